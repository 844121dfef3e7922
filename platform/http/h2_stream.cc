#include "platform/http/h2_stream.h"

#include "platform/http/h2_session.h"
#include "platform/http/response_writer.h"

namespace starling::http {

void H2Stream::Begin(int32_t id, size_t index) {
  id_ = id;
  index_ = index;
  request.Clear();
  response.Clear();
  route = {};
  router.reset();
  match = {};
  max_body_bytes = 0;
  cookies_.clear();
  malformed_.clear();
  header_bytes_ = 0;
  buffered_ = 0;
  has_head_ = complete_ = handling_ = streaming_ = aborted_ = submitted_ = ended_ = closed_ = false;
  left_.reset();
  body_ = chunk_ = {};
  taken_ = swept_ = 0;
  stalled_since_.reset();
  cancellation_.reset();
}

CancellationToken H2Stream::cancellation() {
  if (!cancellation_) {
    cancellation_.emplace();
    if (closed_) cancellation_->Cancel();
  }
  return cancellation_->token();
}

ResponseStream& H2Stream::StartStream() {
  if (streaming_) return *this;
  streaming_ = true;
  if (!MayHaveBody(response.status)) response.status = 200;
  left_ = response.length;
  session_.Submit(*this);
  return *this;
}

Task<Status> H2Stream::Write(std::string_view chunk) {
  if (closed_ || aborted_) co_return Cancelled("the client is gone");
  if (request.verb == Verb::kHead) co_return Cancelled("HEAD has no body to write");
  if (chunk.empty()) co_return OkStatus();
  if (left_) {
    if (chunk.size() > *left_) {
      Abort();
      co_return OutOfRange("{} bytes more than the answer's length", chunk.size() - *left_);
    }
    *left_ -= chunk.size();
  }
  chunk_ = chunk;
  session_.Resume(*this);
  const bool written = co_await Suspend<bool>(
      [this](Completion<bool> completion) { writer_.emplace(std::move(completion)); });
  chunk_ = {};
  if (!written) co_return Cancelled("the client is gone");
  co_return OkStatus();
}

void H2Stream::WakeWriter(bool written) {
  if (!writer_) return;
  Completion<bool> writer = *std::exchange(writer_, std::nullopt);
  writer(written);
}

void H2Stream::ClientIsGone() {
  closed_ = true;
  chunk_ = body_ = {};
  WakeWriter(false);
  if (cancellation_) cancellation_->Cancel();
}

}  // namespace starling::http
