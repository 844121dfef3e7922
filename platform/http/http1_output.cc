// What a connection says: answers, streams, and how they get to the kernel.
#include <charconv>

#include "platform/async/asio_await.h"
#include "platform/http/http1_connection.h"
#include "platform/http/syntax.h"

namespace starling::http {
namespace {

constexpr size_t kCopiedBody = size_t{16} * 1024;  // a larger body is sent from where it is

using boost::system::error_code;

void AppendChunk(std::string_view chunk, std::string& out) {
  char size[20];
  const auto [end, error] = std::to_chars(size, size + sizeof(size), chunk.size(), 16);
  out.append(size, end).append("\r\n").append(chunk).append("\r\n");
}

}  // namespace

// RFC 9110, 6.5.1: only a client that says so is sure to look at them.
bool Http1Connection::TakesTrailers() const {
  if (response.trailers.empty() || request.minor_version == 0) return false;
  bool takes = false;
  const std::string te = request.headers.Joined("te");
  ForEachInList(te, [&](std::string_view one) { takes |= EqualsIgnoreCase(one, "trailers"); });
  return takes;
}

// In one chunk, since trailers come behind chunks alone.
void Http1Connection::AppendWithTrailers(ConnectionField field) {
  AppendHead(response, BodyFraming::kChunked, field, thread_->date_line(), out_);
  if (!response.body.empty()) AppendChunk(response.body, out_);
  AppendLastChunk(&response.trailers, out_);
}

void Http1Connection::AppendAnswer() {
  ConnectionField field = ConnectionField::kNone;
  if (close_after_) {
    field = ConnectionField::kClose;
  } else if (request.minor_version == 0) {
    field = ConnectionField::kKeepAlive;
  }
  if (request.verb != Verb::kHead) {
    response.length.reset();
    if (MayHaveBody(response.status) && TakesTrailers()) return AppendWithTrailers(field);
  }
  AppendHead(response, BodyFraming::kLength, field, thread_->date_line(), out_);
  if (request.verb == Verb::kHead || !MayHaveBody(response.status)) return;
  if (response.body.size() < kCopiedBody) {
    out_.append(response.body);
  } else {
    tail_ = response.body;
  }
}

ResponseStream& Http1Connection::OpenStream() {
  if (streaming_) return *this;
  streaming_ = true;
  if (!MayHaveBody(response.status)) response.status = 200;
  left_ = response.length;
  const BodyFraming framing = left_                       ? BodyFraming::kLength
                              : request.minor_version > 0 ? BodyFraming::kChunked
                                                          : BodyFraming::kUntilClose;
  if (framing == BodyFraming::kUntilClose || !parser_.keep_alive()) close_after_ = true;
  ConnectionField field = ConnectionField::kNone;
  if (close_after_ || thread_->draining()) {
    field = ConnectionField::kClose;
  } else if (request.minor_version == 0) {
    field = ConnectionField::kKeepAlive;
  }
  AppendHead(response, framing, field, thread_->date_line(), out_);
  if (thread_->draining()) close_after_ = true;
  return *this;
}

Task<Status> Http1Connection::SendInterim(const Response& interim) {
  if (ClientGone()) co_return Cancelled("the client is gone");
  if (streaming_ || request.minor_version == 0 || !IsInterim(interim.status)) co_return OkStatus();
  AppendInterim(interim, out_);
  const bool sent = co_await Flush();
  phase_ = Phase::kHandling;
  if (!sent) co_return Cancelled("the client is gone");
  co_return OkStatus();
}

ResponseStream* Http1Connection::StartTunnel() {
  if (streaming_ || parser_.has_body() || request.minor_version == 0 || ClientGone())
    return nullptr;
  streaming_ = tunnel_ = body_streams_ = close_after_ = true;
  body_time_left_ = Duration::max();
  left_.reset();
  response.status = 101;
  AppendHead(response, BodyFraming::kUntilClose, ConnectionField::kUpgrade, thread_->date_line(),
             out_);
  return this;
}

Task<Status> Http1Connection::Write(std::string_view chunk) {
  if (ClientGone() || aborted_) co_return Cancelled("the client is gone");
  if (request.verb == Verb::kHead) co_return Cancelled("HEAD has no body to write");
  if (!chunk.empty()) {
    if (left_) {
      if (chunk.size() > *left_) {
        Abort();
        co_return OutOfRange("{} bytes more than the answer's length", chunk.size() - *left_);
      }
      *left_ -= chunk.size();
      out_.append(chunk);
    } else if (request.minor_version > 0 && !tunnel_) {
      AppendChunk(chunk, out_);
    } else {
      out_.append(chunk);
    }
  }
  const bool sent = co_await Flush();
  phase_ = Phase::kHandling;
  if (!sent) co_return Cancelled("the client is gone");
  co_return OkStatus();
}

void Http1Connection::Abort() { aborted_ = true; }

Http1Connection::Sent Http1Connection::TrySend() {
  std::string_view head = std::string_view(out_).substr(out_sent_);
  const Sent sent = transport_.TrySend(head, tail_);
  out_sent_ = out_.size() - head.size();
  if (sent != Sent::kAll) return sent;
  out_.clear();
  if (out_.capacity() > 2 * kGatherBytes) out_.shrink_to_fit();
  out_sent_ = 0;
  gathered_ = 0;
  return Sent::kAll;
}

Task<bool> Http1Connection::Flush() {
  if (out_.empty() && tail_.empty()) co_return !ClientGone();
  Sent sent = TrySend();
  while (sent == Sent::kBlocked && !cut_) {
    const Phase before = phase_;
    phase_ = Phase::kWriting;
    deadline_ = std::chrono::steady_clock::now() + thread_->options().write_timeout;
    error_code error;
    co_await transport_.socket().async_wait(Socket::wait_write, AsTask(error));
    phase_ = before;
    // The socket was cancelled for who waits for the body.
    if (error == boost::asio::error::operation_aborted && !timed_out_ && !ClientGone()) continue;
    if (error) {
      if (timed_out_) thread_->counters.timeouts.Add();
      sent = Sent::kBroken;
    } else {
      timed_out_ = false;
      sent = TrySend();
    }
  }
  if (sent == Sent::kAll) co_return !ClientGone();
  if (!timed_out_ && !ClientGone()) thread_->counters.client_disconnects.Add();
  gone_ = true;
  WakeBodyReader();
  if (cancellation_) cancellation_->Cancel();
  co_return false;
}

void Http1Connection::FlushBeforeWaiting() {
  flush_posted_ = false;
  // Not while Flush itself waits for room, and not for a large body, whose memory Flush guards.
  if (phase_ != Phase::kHandling || out_sent_ == out_.size() || !tail_.empty()) return;
  if (TrySend() == Sent::kBroken) ClientIsGone();
}

}  // namespace starling::http
