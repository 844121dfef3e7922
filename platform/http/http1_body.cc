// How a handler reads the body of a request itself.
#include <cstring>

#include "platform/async/asio_await.h"
#include "platform/http/http1_connection.h"

namespace starling::http {
namespace {

constexpr uint64_t kSmallRest = uint64_t{64} * 1024;
constexpr size_t kStepBytes = size_t{64} * 1024;  // that earn another second

using boost::system::error_code;

}  // namespace

Task<BodyPiece> Http1Connection::ReadBody() {
  if (!body_streams_) {
    BodyPiece whole = co_await Exchange::ReadBody();
    co_return whole;
  }
  for (;;) {
    if (body_stopped_) co_return Cancelled("the body is not wanted any more");
    std::optional<BodyPiece> read = BodyRead();
    if (read) co_return *std::move(read);
    Status more = co_await ReadMoreBody();
    if (!more.ok()) co_return more;
  }
}

std::optional<BodyPiece> Http1Connection::BodyRead() {
  if (tunnel_) {
    if (in_begin_ == in_end_) {
      return tunnel_ended_ ? std::optional(BodyPiece(std::nullopt)) : std::nullopt;
    }
    const size_t at = std::exchange(in_begin_, in_end_);
    return BodyPiece(std::string_view(in_).substr(at, in_end_ - at));
  }
  size_t begin = 0, size = 0;  // in in_
  for (;;) {
    const RequestParser::Result result =
        parser_.Feed(std::string_view(in_).substr(in_begin_, in_end_ - in_begin_), request);
    in_begin_ += result.used;
    if (result.step == Step::kBody) {
      // Many small chunks become one piece.
      const auto at = static_cast<size_t>(result.body.data() - in_.data());
      if (size == 0) {
        begin = at;
      } else {
        std::memmove(in_.data() + begin + size, in_.data() + at, result.body.size());
      }
      size += result.body.size();
      continue;
    }
    if (size > 0) return BodyPiece(std::string_view(in_).substr(begin, size));
    if (result.step == Step::kComplete) return BodyPiece(std::nullopt);
    if (result.step == Step::kError) return BodyPiece(BodyError());
    return std::nullopt;
  }
}

Status Http1Connection::BodyError() {
  if (!std::exchange(body_refused_, true)) thread_->counters.malformed_requests.Add();
  Status error = InvalidArgument("{}", parser_.error().detail);
  switch (parser_.error().http_status) {
    case 413:
      return WithReason(std::move(error), reason::kPayloadTooLarge);
    case 431:  // trailers
      return WithReason(std::move(error), reason::kFieldsTooLarge);
    default:
      return error;
  }
}

Task<Status> Http1Connection::ReadMoreBody() {
  if (std::exchange(must_continue_, false) && !streaming_) {
    out_.append("HTTP/1.1 100 Continue\r\n\r\n");
    co_await Flush();
  }
  for (;;) {
    if (body_stopped_ || ClientGone()) co_return Cancelled("the client is gone");
    if (body_timed_out_) {
      co_return WithReason(DeadlineExceeded("the request's body took too long"),
                           reason::kRequestTimeout);
    }
    PrepareBuffer();
    const Instant begin = std::chrono::steady_clock::now();
    const bool limited = body_time_left_ != Duration::max();
    body_deadline_ = limited ? begin + body_time_left_ : Instant::max();
    body_waits_ = true;
    error_code error;
    const size_t size = co_await transport_.Read(in_.data() + in_end_, in_.size() - in_end_, error);
    body_waits_ = false;
    if (limited) body_time_left_ -= std::chrono::steady_clock::now() - begin;
    if (!error) {
      in_end_ += size;
      const size_t before = body_seen_ / kStepBytes;
      body_seen_ += size;
      if (limited) body_time_left_ += std::chrono::seconds(body_seen_ / kStepBytes - before);
      co_return OkStatus();
    }
    if (body_timed_out_) thread_->counters.timeouts.Add();
    if (tunnel_ && error == boost::asio::error::eof && !ClientGone()) {
      tunnel_ended_ = true;
      co_return OkStatus();
    }
    // Else the socket was cancelled for who writes.
    if (error != boost::asio::error::operation_aborted && !ClientGone()) ClientIsGone();
  }
}

void Http1Connection::StopReadingBody() {
  body_stopped_ = true;
  WakeBodyReader();
}

void Http1Connection::WakeBodyReader() {
  if (!body_waits_) return;
  error_code ignored;
  transport_.socket().cancel(ignored);
}

// Whether the connection goes on behind what the handler did not read.
bool Http1Connection::RestIsSmall() {
  if (ClientGone() || must_continue_ || body_timed_out_) return false;
  Step step = Step::kBody;
  while (step == Step::kBody) step = Parse();
  if (step != Step::kNeedMore) return step == Step::kComplete;
  return parser_.body_length() && parser_.body_remaining() <= kSmallRest;
}

Task<bool> Http1Connection::DropBody() {
  bool open = true;
  while (open) {
    switch (Parse()) {
      case Step::kBody:
        break;
      case Step::kComplete:
        body_streams_ = false;
        request.Clear();
        parser_.Reset();
        co_return true;
      case Step::kNeedMore:
        open = co_await Flush();
        if (open) open = co_await Read();
        break;
      default:
        close_after_ = true;
        open = false;
    }
  }
  co_return false;
}

}  // namespace starling::http
