#include "platform/http/connection.h"

#include <sys/ioctl.h>

#include <boost/asio/buffer.hpp>
#include <cstdio>
#include <cstring>

#include "platform/async/asio_await.h"
#include "platform/http/problem.h"

namespace starling::http {
namespace {

constexpr size_t kSmallBuffer = 4 * 1024;
constexpr size_t kBodyBuffer = 64 * 1024;
constexpr size_t kLingerBytes = 4 * 1024 * 1024;

using boost::system::error_code;

}  // namespace

Connection::Connection(std::shared_ptr<ServerThread> thread, Socket socket,
                       std::string remote_address, uint64_t id)
    : thread_(std::move(thread)),
      socket_(std::move(socket)),
      parser_({.max_header_bytes = thread_->options().max_header_bytes,
               .max_body_bytes = thread_->options().max_body_bytes}) {
  request.remote_address = std::move(remote_address);
  request.connection_id = id;
  request.thread_index = thread_->index();
  in_.resize(kSmallBuffer);
  thread_->Link(this);
}

Connection::~Connection() {
  thread_->Unlink(this);
  thread_->core().connections.fetch_sub(1, std::memory_order_release);
}

Task<void> Connection::Run() {
  // A client that connects should also speak; after its first request it may pause for
  // idle_timeout.
  deadline_ = std::chrono::steady_clock::now() +
              std::min(thread_->options().header_timeout, thread_->options().idle_timeout);
  for (bool open = true; open;) {
    switch (answer_now_ ? Step::kComplete : Parse()) {
      case Step::kNeedMore:
        open = co_await Flush();
        if (open) open = co_await Read();
        break;
      case Step::kHead:
        OnHead();
        break;
      case Step::kComplete:
        co_await Handle();
        open = !ClientGone();
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
  if (close_after_ && !ClientGone()) co_await Linger();
  phase_ = Phase::kClosed;
  error_code ignored;
  // A broken answer ends in a reset, which no client takes for the end of it.
  if (aborted_) socket_.set_option(Socket::linger(true, 0), ignored);
  socket_.close(ignored);
}

Connection::Step Connection::Parse() {
  const RequestParser::Result result =
      parser_.Feed(std::string_view(in_).substr(in_begin_, in_end_ - in_begin_), request);
  in_begin_ += result.used;
  return result.step;
}

void Connection::PrepareBuffer() {
  if (in_begin_ == in_end_) {
    in_begin_ = in_end_ = 0;
    const size_t wanted = parser_.in_body() ? kBodyBuffer : kSmallBuffer;
    // Grows for a body, and gives the memory back when the connection falls idle.
    if (parser_.in_body() ? in_.size() < wanted && body_seen_ >= in_.size()
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

Task<bool> Connection::Read() {
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
  const size_t size = co_await socket_.async_read_some(
      boost::asio::buffer(in_.data() + in_end_, in_.size() - in_end_), AsTask(error));
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

void Connection::HandleReadError(bool end_of_file) {
  if (cut_ || !std::exchange(timed_out_, false)) {
    if (end_of_file && phase_ != Phase::kIdle) thread_->counters.client_disconnects.Add();
    gone_ = true;
  } else if (phase_ == Phase::kIdle) {
    close_after_ = true;  // closed as politely as after an answer
  } else {
    thread_->counters.timeouts.Add();
    AnswerProblem(408, phase_ == Phase::kHead ? "the request's header took too long"
                                              : "the request's body took too long");
  }
}

void Connection::OnHead() {
  request.received = read_at_;
  body_seen_ = 0;
  router_ = thread_->core().router.load();
  match_ = router_->Find(*this);
  if (const auto limit = Router::MaxBodyBytes(match_)) parser_.SetMaxBodyBytes(*limit);
  if (!parser_.expects_continue() || !parser_.has_body() || in_begin_ != in_end_) return;
  if (match_.route == nullptr) {
    // The client waits for leave to send a body that nobody wants: it gets the answer instead.
    answer_now_ = true;
    close_after_ = true;
  } else if (parser_.body_fits()) {
    out_.append("HTTP/1.1 100 Continue\r\n\r\n");
  }
}

Task<void> Connection::Handle() {
  ServerCore& core = thread_->core();
  response.Clear();
  streaming_ = aborted_ = answer_now_ = false;
  phase_ = Phase::kHandling;
  if (core.in_flight.fetch_add(1, std::memory_order_relaxed) < core.options.max_in_flight) {
    thread_->counters.requests.Add();
    // Answers before this one must not wait for it. The post is a no-op when the handler ends
    // without waiting.
    if (out_.size() > out_sent_ && !flush_posted_) {
      flush_posted_ = true;
      boost::asio::post(thread_->context(),
                        [self = shared_from_this()] { self->FlushBeforeWaiting(); });
    }
    co_await RunHandler();
  } else {
    thread_->counters.rejected_requests.Add();
    response =
        ProblemResponse(Overloaded(fmt::format("{} requests are in flight, the server's limit",
                                               core.options.max_in_flight),
                                   std::chrono::seconds(1)),
                        request.path);
  }
  core.in_flight.fetch_sub(1, std::memory_order_relaxed);
  FinishAnswer();
}

Task<void> Connection::RunHandler() {
  const char* what = "an exception of unknown type";
  std::string message;
  try {
    co_await router_->Answer(match_, *this);
    co_return;
  } catch (const std::exception& e) {
    message = e.what();
    what = message.c_str();
  } catch (...) {
  }
  thread_->counters.handler_exceptions.Add();
  std::fprintf(stderr, "error: the handler of %s %s threw: %s\n", request.verb_text.c_str(),
               request.path.c_str(), what);
  if (streaming_) {
    Abort();
  } else {
    response.Clear();
    response = ProblemResponse(Internal("a handler threw"), request.path);
  }
}

bool Connection::MoreInputWaits() {
  if (in_begin_ != in_end_) return true;
  int waiting = 0;
  return ::ioctl(socket_.native_handle(), FIONREAD, &waiting) == 0 && waiting > 0;
}

void Connection::FinishAnswer() {
  if (streaming_ && left_.value_or(0) > 0 && request.verb != Verb::kHead) aborted_ = true;
  if (!parser_.keep_alive() || aborted_) close_after_ = true;
  // While draining, the last answer of what was received says that it is the last.
  if (thread_->draining() && !MoreInputWaits()) close_after_ = true;
  if (streaming_) {
    if (aborted_) {
      gone_ = true;
    } else if (left_) {
      left_.reset();
    } else if (request.minor_version == 0) {
      close_after_ = true;
    } else if (request.verb != Verb::kHead) {
      out_.append("0\r\n\r\n");
    }
  } else if (!ClientGone()) {
    AppendAnswer();
  }
  if (thread_->options().observer) {
    thread_->options().observer(*this, std::chrono::steady_clock::now() - request.received);
  }
  cancellation_.reset();
  router_.reset();
  if (close_after_) return;
  request.Clear();
  parser_.Reset();
}

void Connection::AnswerProblem(int http_status, std::string_view detail) {
  response = ProblemResponse(http_status, detail, request.path);
  close_after_ = true;
  AppendAnswer();
}

CancellationToken Connection::cancellation() {
  if (!cancellation_) {
    cancellation_.emplace();
    if (ClientGone()) cancellation_->Cancel();
  }
  return cancellation_->token();
}

Task<void> Connection::Linger() {
  phase_ = Phase::kLingering;
  deadline_ = std::chrono::steady_clock::now() + thread_->options().linger_timeout;
  error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  size_t dropped = 0;
  while (!error && dropped < kLingerBytes) {
    dropped += co_await socket_.async_read_some(boost::asio::buffer(in_.data(), in_.size()),
                                                AsTask(error));
  }
}

void Connection::CheckDeadline(Instant now) {
  if (phase_ == Phase::kHandling || phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kIdle && thread_->draining())
    deadline_ = std::min(deadline_, thread_->drain_idle_deadline());
  if (now < deadline_) return;
  timed_out_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

bool Connection::WantsClientCheck() { return phase_ == Phase::kHandling && !ClientGone(); }

void Connection::ClientIsGone() {
  if (gone_) return;
  gone_ = true;
  thread_->counters.client_disconnects.Add();
  if (cancellation_) cancellation_->Cancel();
}

bool Connection::Cut() {
  if (cut_ || phase_ == Phase::kClosed) return false;
  cut_ = true;
  const bool broken = phase_ != Phase::kIdle && phase_ != Phase::kLingering;
  error_code ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.cancel(ignored);
  if (cancellation_) cancellation_->Cancel();
  return broken;
}

}  // namespace starling::http
