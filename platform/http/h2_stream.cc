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
  streams_body_above.reset();
  body_timeout.reset();
  body_given_ = body_streams_ = must_continue_ = false;
  body_bytes_ = 0;
  piece_.clear();
  body_end_ = OkStatus();
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

ResponseStream& H2Stream::OpenStream() {
  if (streaming_) return *this;
  streaming_ = true;
  if (!MayHaveBody(response.status)) response.status = 200;
  left_ = response.length;
  session_.Submit(*this);
  return *this;
}

Task<Status> H2Stream::SendInterim(const Response& interim) {
  if (closed_) co_return Cancelled("the client is gone");
  if (!submitted_ && IsInterim(interim.status)) session_.SendInterim(*this, interim);
  co_return OkStatus();
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

Task<BodyPiece> H2Stream::ReadBody() {
  if (!body_streams_) {
    BodyPiece whole = co_await Exchange::ReadBody();
    co_return whole;
  }
  session_.TakenOfBody(*this, piece_.size());
  piece_.clear();
  while (request.body.empty()) {
    if (!body_end_.ok()) co_return body_end_;
    if (complete_) co_return std::nullopt;
    if (closed_) co_return Cancelled("the client is gone");
    if (std::exchange(must_continue_, false) && !streaming_) session_.Continue(*this);
    const bool limited = body_time_left_ != Duration::max();
    const Instant begin = std::chrono::steady_clock::now();
    if (limited) deadline_ = begin + body_time_left_;
    co_await Suspend<bool>(
        [this](Completion<bool> completion) { reader_.emplace(std::move(completion)); });
    if (limited) body_time_left_ -= std::chrono::steady_clock::now() - begin;
    deadline_ = Instant::max();
  }
  piece_.swap(request.body);
  co_return piece_;
}

void H2Stream::StopReadingBody() { EndBody(Cancelled("the body is not wanted any more")); }

void H2Stream::EndBody(Status why) {
  if (!body_end_.ok() || !body_streams_) return;
  body_end_ = std::move(why);
  session_.TakenOfBody(*this, request.body.size());
  request.body.clear();
  WakeReader();
}

void H2Stream::WakeReader() {
  if (!reader_) return;
  Completion<bool> reader = *std::exchange(reader_, std::nullopt);
  reader(true);
}

void H2Stream::ClientIsGone() {
  closed_ = true;
  chunk_ = body_ = {};
  WakeWriter(false);
  WakeReader();
  if (cancellation_) cancellation_->Cancel();
}

}  // namespace starling::http
