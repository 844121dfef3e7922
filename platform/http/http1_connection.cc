#include "platform/http/http1_connection.h"

#include <boost/asio/post.hpp>
#include <cstring>

#include "platform/async/asio_await.h"
#include "platform/http/problem.h"

namespace starling::http {
namespace {

constexpr size_t kSmallBuffer = 4 * 1024;
constexpr size_t kBodyBuffer = 64 * 1024;
constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113, 3.4

using boost::system::error_code;

}  // namespace

Http1Connection::Http1Connection(std::shared_ptr<ServerThread> thread, Transport transport,
                                 Peer peer)
    : Connection(std::move(thread), std::move(transport), std::move(peer)),
      parser_({.max_header_bytes = thread_->options().max_header_bytes,
               .max_body_bytes = thread_->options().max_body_bytes}) {
  Introduce(request);
  in_.resize(kSmallBuffer);
}

Task<bool> Http1Connection::Run() {
  // A client that connects should also speak; after its first request it may pause for
  // idle_timeout.
  deadline_ = std::chrono::steady_clock::now() +
              std::min(thread_->options().header_timeout, thread_->options().idle_timeout);
  bool open = true;
  if (!peer_.tls) {
    open = co_await Read();
    while (open && MayBePreface() && in_end_ < kHttp2Preface.size()) open = co_await Read();
    if (open && MayBePreface()) {
      phase_ = Phase::kClosed;
      co_return true;
    }
  }
  while (open) {
    switch (answer_now_ || body_streams_ ? Step::kComplete : Parse()) {
      case Step::kNeedMore:
        open = co_await Flush();
        if (open) open = co_await Read();
        break;
      case Step::kHead:
        OnHead();
        break;
      case Step::kBody:  // OnHead hands bodies that come so to the handler
      case Step::kComplete:
        co_await Handle();
        open = !ClientGone();
        if (open && !close_after_ && body_streams_) open = co_await DropBody();
        if (open && (close_after_ || !tail_.empty() || out_.size() >= kGatherBytes ||
                     ++gathered_ >= thread_->options().max_pipelined)) {
          open = co_await Flush();
          if (close_after_) open = false;
        }
        break;
      case Step::kError:
        thread_->counters.malformed_requests.Add();
        AnswerProblem(parser_.error().http_status, parser_.error().detail);
        co_await Flush();
        open = false;
        break;
    }
  }
  if (close_after_ && !ClientGone()) {
    phase_ = Phase::kLingering;
    deadline_ = std::chrono::steady_clock::now() + thread_->options().linger_timeout;
    co_await DropInput();
  }
  phase_ = Phase::kClosed;
  // A broken answer ends in a reset, which no client takes for the end of it.
  error_code ignored;
  if (aborted_) transport_.socket().set_option(Socket::linger(true, 0), ignored);
  Close();
  co_return false;
}

bool Http1Connection::MayBePreface() const {
  const std::string_view received(in_.data(), in_end_);
  return kHttp2Preface.starts_with(received.substr(0, kHttp2Preface.size()));
}

Handover Http1Connection::TakeOver() {
  return {std::move(transport_), peer_, in_.substr(0, in_end_)};
}

Http1Connection::Step Http1Connection::Parse() {
  const RequestParser::Result result =
      parser_.Feed(std::string_view(in_).substr(in_begin_, in_end_ - in_begin_), request);
  in_begin_ += result.used;
  return result.step;
}

void Http1Connection::PrepareBuffer() {
  if (in_begin_ == in_end_) {
    in_begin_ = in_end_ = 0;
    const bool long_input = parser_.in_body() || tunnel_;
    const size_t wanted = long_input ? kBodyBuffer : kSmallBuffer;
    // Grows for a body, and gives the memory back when the connection falls idle.
    if (long_input ? in_.size() < wanted && body_seen_ >= in_.size()
                   : in_.size() > 4 * kSmallBuffer) {
      in_ = std::string(wanted, '\0');
    }
    return;
  }
  if (in_begin_ > 0) {
    std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
  }
  // One line may need it all; the parser refuses a longer one.
  if (in_end_ == in_.size()) in_.resize(in_.size() * 2);
}

Task<bool> Http1Connection::Read() {
  PrepareBuffer();
  const ServerOptions& options = thread_->options();
  const bool silent = parser_.idle() && in_end_ == 0;
  const Phase next = silent ? Phase::kIdle : parser_.in_body() ? Phase::kBody : Phase::kHead;
  // A phase's time runs from its beginning, not from each read.
  if (next != phase_) {
    phase_ = next;
    deadline_ =
        std::chrono::steady_clock::now() + (next == Phase::kIdle   ? options.idle_timeout
                                            : next == Phase::kBody ? options.body_timeout
                                                                   : options.header_timeout);
  }
  error_code error;
  const size_t size = co_await transport_.Read(in_.data() + in_end_, in_.size() - in_end_, error);
  if (error) {
    HandleReadError(error == boost::asio::error::eof);
    co_await Flush();
    co_return false;
  }
  timed_out_ = false;
  in_end_ += size;
  read_at_ = std::chrono::steady_clock::now();
  if (phase_ == Phase::kBody) {
    const size_t before = body_seen_ / (64 * 1024);
    body_seen_ += size;
    deadline_ += std::chrono::seconds(body_seen_ / (64 * 1024) - before);
  }
  co_return true;
}

void Http1Connection::HandleReadError(bool end_of_file) {
  if (cut_ || !std::exchange(timed_out_, false)) {
    if (end_of_file && phase_ != Phase::kIdle) thread_->counters.client_disconnects.Add();
    gone_ = true;
  } else if (phase_ == Phase::kIdle || body_streams_) {
    close_after_ = true;  // closed as politely as after an answer
  } else {
    thread_->counters.timeouts.Add();
    AnswerProblem(408, phase_ == Phase::kHead ? "the request's header took too long"
                                              : "the request's body took too long");
  }
}

void Http1Connection::OnHead() {
  request.received = read_at_;
  body_seen_ = 0;
  tunnel_ = tunnel_ended_ = false;
  body_given_ = body_streams_ = body_timed_out_ = body_refused_ = body_stopped_ = false;
  router_ = thread_->core().router.load();
  match_ = router_->Find(*this);
  const RouteOptions& options = Router::OptionsOf(match_);
  if (options.max_body_bytes) parser_.SetMaxBodyBytes(*options.max_body_bytes);
  // A body known to be too long is refused by the next Parse.
  if (options.streams_bodies_above && parser_.has_body() && parser_.body_fits() &&
      parser_.body_length().value_or(UINT64_MAX) > *options.streams_bodies_above) {
    parser_.StreamBody();
    body_streams_ = true;
    body_time_left_ = options.body_timeout.value_or(thread_->options().body_timeout);
    must_continue_ = parser_.expects_continue() && in_begin_ == in_end_;
    return;
  }
  if (!parser_.expects_continue() || !parser_.has_body() || in_begin_ != in_end_) return;
  if (match_.route == nullptr) {
    // The client waits for leave to send a body that nobody wants: it gets the answer instead.
    answer_now_ = true;
    close_after_ = true;
  } else if (parser_.body_fits()) {
    out_.append("HTTP/1.1 100 Continue\r\n\r\n");
  }
}

Task<void> Http1Connection::Handle() {
  response.Clear();
  streaming_ = aborted_ = answer_now_ = false;
  phase_ = Phase::kHandling;
  // Answers before this one must not wait for it. The post is a no-op when the handler ends
  // without waiting.
  if (out_.size() > out_sent_ && !flush_posted_) {
    flush_posted_ = true;
    boost::asio::post(thread_->context(),
                      [this, self = shared_from_this()] { FlushBeforeWaiting(); });
  }
  const bool went_well = co_await RunHandler(*router_, match_, *this);
  if (!went_well && streaming_) Abort();
  FinishAnswer();
}

bool Http1Connection::MoreInputWaits() { return in_begin_ != in_end_ || transport_.InputWaits(); }

void Http1Connection::FinishAnswer() {
  if (body_streams_ && (tunnel_ || !RestIsSmall())) close_after_ = true;
  if (streaming_ && left_.value_or(0) > 0 && request.verb != Verb::kHead) aborted_ = true;
  if (!parser_.keep_alive() || aborted_) close_after_ = true;
  // While draining, the last answer of what was received says that it is the last.
  if (thread_->draining() && !MoreInputWaits()) close_after_ = true;
  if (streaming_) {
    if (aborted_) {
      gone_ = true;
    } else if (left_) {
      left_.reset();
    } else if (request.minor_version == 0 || tunnel_) {
      close_after_ = true;
    } else if (request.verb != Verb::kHead) {
      AppendLastChunk(TakesTrailers() ? &response.trailers : nullptr, out_);
    }
  } else if (!ClientGone()) {
    AppendAnswer();
  }
  Observe(*this);
  cancellation_.reset();
  router_.reset();
  if (close_after_ || body_streams_) return;
  request.Clear();
  parser_.Reset();
}

void Http1Connection::AnswerProblem(int http_status, std::string_view detail) {
  response = ProblemResponse(http_status, detail, request.path);
  close_after_ = true;
  AppendAnswer();
}

CancellationToken Http1Connection::cancellation() {
  if (!cancellation_) {
    cancellation_.emplace();
    if (ClientGone()) cancellation_->Cancel();
  }
  return cancellation_->token();
}

void Http1Connection::CheckDeadline(Instant now) {
  if (body_waits_ && now >= body_deadline_) {
    body_timed_out_ = true;
    error_code ignored;
    transport_.socket().cancel(ignored);
  }
  if (phase_ == Phase::kHandling || phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kIdle && thread_->draining())
    deadline_ = std::min(deadline_, thread_->drain_idle_deadline());
  if (now < deadline_) return;
  timed_out_ = true;
  error_code ignored;
  transport_.socket().cancel(ignored);
}

bool Http1Connection::WantsClientCheck() {
  return phase_ == Phase::kHandling && !tunnel_ && !ClientGone();
}

void Http1Connection::ClientIsGone() {
  if (gone_) return;
  gone_ = true;
  thread_->counters.client_disconnects.Add();
  WakeBodyReader();
  if (cancellation_) cancellation_->Cancel();
}

size_t Http1Connection::Cut() {
  if (cut_ || phase_ == Phase::kClosed) return 0;
  cut_ = true;
  const bool broken = phase_ != Phase::kIdle && phase_ != Phase::kLingering;
  error_code ignored;
  transport_.socket().shutdown(Socket::shutdown_both, ignored);
  transport_.socket().cancel(ignored);
  if (cancellation_) cancellation_->Cancel();
  return broken ? 1 : 0;
}

}  // namespace starling::http
