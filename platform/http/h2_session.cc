// What comes into an HTTP/2 session, and its life; what goes out is in h2_answers.cc.
#include "platform/http/h2_session.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "platform/http/h2_callbacks.h"
#include "platform/http/problem.h"
#include "platform/http/request_parser.h"
#include "platform/http/syntax.h"

namespace starling::http {
namespace {

constexpr size_t kSpareStreams = 32;
// What a client may send of a body that is read by its handler, ahead of it; RFC 9113's own.
constexpr uint64_t kStreamWindow = 65'535;
// Of one that is gathered, once its head is there.
constexpr int32_t kGatherWindow = 256 * 1024;
constexpr size_t kStepBytes = size_t{64} * 1024;  // that earn another second
constexpr int32_t kConnectionWindow = 1024 * 1024;

}  // namespace

H2Session::H2Session(const H2Options& options, Owner& owner)
    : options_(options), owner_(owner), controls_(500, 50), resets_(200, 20) {
  session_ = H2Callbacks::NewSession(this);
}

H2Session::~H2Session() { nghttp2_session_del(session_); }

void H2Session::Start() {
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, static_cast<uint32_t>(options_.max_streams)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(options_.max_header_bytes)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

void H2Session::Feed(std::string_view bytes, Instant now) {
  if (closed_ || end_ != End::kNone) return;
  now_ = now;
  // nghttp2 drops DATA of streams that are closed, and does not read PRIORITY: both are looked at
  // just before it has their whole head.
  size_t fed = 0;
  for (size_t scanned = 0; scanned < bytes.size();) {
    scanned += frames_.Scan(bytes.substr(scanned));
    const H2FrameScanner::Head& head = frames_.head();
    if (!frames_.at_head() ||
        (head.type != H2FrameScanner::kData && head.type != H2FrameScanner::kPriority)) {
      continue;
    }
    if (!Receive(bytes.substr(fed, scanned - 1 - fed))) return;
    fed = scanned - 1;
    if (!IsInOrder(head)) return EndWith(fault_);
  }
  (void)Receive(bytes.substr(fed));
}

bool H2Session::Receive(std::string_view bytes) {
  if (bytes.empty()) return end_ == End::kNone;
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (used >= 0) return end_ == End::kNone;
  const bool flood = used == NGHTTP2_ERR_FLOODED || used == NGHTTP2_ERR_TOO_MANY_SETTINGS ||
                     used == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
  EndWith(fault_ != 0 ? fault_ : flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
  return false;
}

bool H2Session::IsInOrder(const H2FrameScanner::Head& head) {
  if (head.type == H2FrameScanner::kPriority) {
    // RFC 7540, 5.3.1: no stream depends on itself.
    if (head.stream != 0 && head.depends_on == head.stream) fault_ = NGHTTP2_PROTOCOL_ERROR;
    return fault_ == 0;
  }
  return head.stream == 0 || MayBeginOrGoOn(head.stream, nghttp2_session_get_stream_remote_close(
                                                             session_, head.stream) != -1);
}

bool H2Session::finished() const {
  return closed_ ||
         (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

void H2Session::Terminate() { nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR); }

void H2Session::EndWith(uint32_t error_code) {
  if (end_ != End::kNone) return;
  end_ = error_code == NGHTTP2_ENHANCE_YOUR_CALM ? End::kFlood : End::kProtocolError;
  nghttp2_session_terminate_session(session_, error_code);
}

void H2Session::AnnounceShutdown() {
  if (!closed_) nghttp2_submit_shutdown_notice(session_);
}

void H2Session::Shutdown() {
  if (closed_) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void H2Session::Close() {
  if (std::exchange(closed_, true)) return;
  for (size_t i = streams_.size(); i-- > 0;) {
    streams_[i]->ClientIsGone();
    if (!streams_[i]->handling_) Release(*streams_[i]);
  }
}

bool H2Session::MayBeginOrGoOn(int32_t id, bool is_known) {
  if (is_known || id > last_opened_ || id % 2 == 0) return true;
  // What was under way when we ended a stream is no fault of the client.
  if (std::find(left_.begin(), left_.end(), id) != left_.end()) return true;
  const bool never_was = std::any_of(skipped_.begin(), skipped_.end(), [&](const auto& range) {
    return id >= range.first && id <= range.second;
  });
  fault_ = never_was ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED;  // RFC 9113, 5.1.1 and 5.1
  return false;
}

H2Stream* H2Session::Open(int32_t id) {
  if (id > last_opened_ + 2) {
    skipped_.emplace_back(last_opened_ + 1, id - 1);
    if (skipped_.size() > kRemembered) skipped_.erase(skipped_.begin());
  }
  last_opened_ = id;
  if (streams_.size() >= options_.max_streams) return nullptr;
  std::unique_ptr<H2Stream> stream;
  if (spare_.empty()) {
    stream = std::make_unique<H2Stream>(*this);
  } else {
    stream = std::move(spare_.back());
    spare_.pop_back();
  }
  stream->Begin(id, streams_.size());
  stream->max_body_bytes = options_.max_body_bytes;
  stream->deadline_ = now_ + options_.header_timeout;
  stream->request.major_version = 2;
  streams_.push_back(std::move(stream));
  window_credit_ = std::min(window_credit_ + 2, kMaxWindowCredit);
  return streams_.back().get();
}

void H2Session::GiveBack(H2Stream& stream) { buffered_ -= std::exchange(stream.buffered_, 0); }

void H2Session::Release(H2Stream& stream) {
  GiveBack(stream);
  const size_t index = stream.index_;
  std::swap(streams_[index], streams_.back());
  streams_[index]->index_ = index;
  if (spare_.size() < kSpareStreams && !closed_) {
    stream.request.Clear();
    stream.response.Clear();
    spare_.push_back(std::move(streams_.back()));
  }
  streams_.pop_back();
}

void H2Session::TakeField(H2Stream& stream, std::string_view name, std::string_view value) {
  Request& request = stream.request;
  if (request.headers.size() >= kMaxFields || stream.header_bytes_ > options_.max_header_bytes)
    return;  // answered with 431 once it is known whole
  if (name == ":method") {
    request.verb_text.assign(value);
    request.verb = ParseVerb(value);
  } else if (name == ":path") {
    request.target.assign(value);
  } else if (name == ":authority") {
    request.headers.Add("host", value);
  } else if (name == "host") {
    const std::optional<std::string_view> authority = request.headers.Find("host");
    if (!authority) {
      request.headers.Add(name, value);
    } else if (!EqualsIgnoreCase(*authority, value)) {
      stream.malformed_ = "Host is not what :authority is";  // RFC 9113, 8.3.1
    }
  } else if (name == "cookie") {
    // May come in pieces, RFC 9113, 8.2.3.
    if (!stream.cookies_.empty()) stream.cookies_.append("; ");
    stream.cookies_.append(value);
  } else if (!name.starts_with(':')) {
    request.headers.Add(name, value);
  }
}

void H2Session::TakeHead(H2Stream& stream, bool ends) {
  Request& request = stream.request;
  request.received = now_;
  stream.has_head_ = true;
  stream.deadline_ = now_ + options_.body_timeout;
  if (!stream.cookies_.empty()) request.headers.Add("cookie", stream.cookies_);
  if (stream.header_bytes_ > options_.max_header_bytes || request.headers.size() >= kMaxFields) {
    owner_.OnMalformed();
    return Refuse(stream, ProblemResponse(431, fmt::format("the header is above the limit of {} "
                                                           "bytes or {} fields",
                                                           options_.max_header_bytes, kMaxFields)));
  }
  if (request.verb_text == "CONNECT") {
    owner_.OnMalformed();
    return Refuse(stream, ProblemResponse(501, "CONNECT is not supported: this is no proxy"));
  }
  const std::optional<std::string_view> host = request.headers.Find("host");
  if (host && !IsHost(*host)) stream.malformed_ = "the host is malformed";
  if (stream.malformed_.empty()) {
    const std::string target = std::exchange(request.target, {});
    if (const Status taken = TakeTarget(target, request); !taken.ok())
      stream.malformed_ = std::string(taken.message());
  }
  if (!stream.malformed_.empty()) {
    owner_.OnMalformed();
    return Refuse(stream, ProblemResponse(400, stream.malformed_));
  }
  owner_.OnHead(stream);
  if (ends) return Complete(stream);
  uint64_t length = 0;
  const std::optional<std::string_view> said = request.headers.Find("content-length");
  if (said) std::from_chars(said->data(), said->data() + said->size(), length);
  if (length > stream.max_body_bytes) {
    owner_.OnMalformed();
    return Refuse(stream, ProblemResponse(413, fmt::format("the body has {} bytes, above the limit "
                                                           "of {}",
                                                           length, stream.max_body_bytes)));
  }
  const std::optional<std::string_view> expects = request.headers.Find("expect");
  if (stream.streams_body_above && (!said || length > *stream.streams_body_above) &&
      (!expects || EqualsIgnoreCase(*expects, "100-continue"))) {
    stream.body_streams_ = stream.handling_ = true;
    stream.must_continue_ = expects.has_value();
    stream.body_time_left_ = stream.body_timeout.value_or(options_.body_timeout);
    stream.deadline_ = Instant::max();  // of each wait of the handler
    return owner_.OnRequest(stream);
  }
  if (!said || length > kStreamWindow) {
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, stream.id_, kGatherWindow);
  }
  if (!expects) return;
  if (!EqualsIgnoreCase(*expects, "100-continue")) {
    owner_.OnMalformed();
    return Refuse(stream, ProblemResponse(417, "only the expectation 100-continue is met"));
  }
  // Who waits for leave to send a body that nobody wants gets the answer instead.
  if (stream.match.route == nullptr) return Complete(stream);
  Continue(stream);
}

void H2Session::TakeBody(H2Stream& stream, std::string_view bytes) {
  // The connection's window is open for others, whoever reads this. nghttp2 gives back what it
  // drops.
  nghttp2_session_consume_connection(session_, bytes.size());
  if (stream.complete_ || !stream.body_end_.ok()) return;
  if (stream.body_bytes_ + bytes.size() > stream.max_body_bytes) {
    owner_.OnMalformed();
    return RefuseBody(stream, WithReason(InvalidArgument("the body is above the limit of {} bytes",
                                                         stream.max_body_bytes),
                                         reason::kPayloadTooLarge));
  }
  const uint64_t others = buffered_ - stream.buffered_;
  if (others > 0 && buffered_ + bytes.size() > options_.max_connection_body_bytes) {
    return RefuseBody(stream, Overloaded(fmt::format("the requests of this connection have bodies "
                                                     "above its limit of {} bytes",
                                                     options_.max_connection_body_bytes),
                                         std::chrono::seconds(1)));
  }
  // A second more for each 64 KiB, as over HTTP/1.1.
  const std::chrono::seconds more((stream.body_bytes_ + bytes.size()) / kStepBytes -
                                  stream.body_bytes_ / kStepBytes);
  stream.body_bytes_ += bytes.size();
  stream.request.body.append(bytes);
  stream.buffered_ += bytes.size();
  buffered_ += bytes.size();
  if (!stream.body_streams_) {
    stream.deadline_ += more;
    nghttp2_session_consume_stream(session_, stream.id_, bytes.size());
    return;
  }
  if (stream.body_time_left_ != Duration::max()) stream.body_time_left_ += more;
  stream.WakeReader();
}

void H2Session::TakenOfBody(H2Stream& stream, size_t bytes) {
  if (bytes == 0) return;
  stream.buffered_ -= bytes;
  buffered_ -= bytes;
  if (closed_ || stream.closed_ || stream.complete_) return;
  nghttp2_session_consume_stream(session_, stream.id_, bytes);
  owner_.OnOutput();
}

void H2Session::Complete(H2Stream& stream) {
  if (std::exchange(stream.complete_, true)) return;
  if (stream.body_streams_) return stream.WakeReader();
  stream.handling_ = true;
  owner_.OnRequest(stream);
}

void H2Session::RefuseBody(H2Stream& stream, Status why) {
  if (stream.body_streams_) return stream.EndBody(std::move(why));
  Refuse(stream, ProblemResponse(why, stream.request.path));
}

void H2Session::Refuse(H2Stream& stream, Response response) {
  stream.complete_ = true;
  GiveBack(stream);
  stream.request.body.clear();
  stream.response = std::move(response);
  Submit(stream);
}

bool H2Session::IsStalled(const H2Stream& stream) const {
  if ((stream.streaming_ ? stream.chunk_ : stream.body_).empty()) return false;
  if (nghttp2_session_get_stream_remote_window_size(session_, stream.id_) <= 0)
    return stream.taken_ == stream.swept_;
  // Streams have their turn one after the other: while one gets on, the others only wait.
  return nghttp2_session_get_remote_window_size(session_) <= 0 && taken_ == swept_;
}

size_t H2Session::CheckDeadlines(Instant now, Duration write_timeout) {
  if (closed_) return 0;
  size_t slow = 0;
  for (const std::unique_ptr<H2Stream>& held : streams_) {
    H2Stream& stream = *held;
    if (stream.closed_) continue;
    if (!stream.complete_ && now >= stream.deadline_) {
      ++slow;
      if (!stream.has_head_) {
        // Nothing else can come before the rest of its field section.
        Terminate();
        break;
      }
      RefuseBody(stream, WithReason(DeadlineExceeded("the request's body took too long"),
                                    reason::kRequestTimeout));
    } else if (!IsStalled(stream)) {
      stream.stalled_since_.reset();
    } else if (!stream.stalled_since_) {
      stream.stalled_since_ = now;
    } else if (now - *stream.stalled_since_ >= write_timeout) {
      ++slow;
      stream.stalled_since_.reset();
      Reset(stream, NGHTTP2_CANCEL);
    }
    stream.swept_ = stream.taken_;
  }
  swept_ = taken_;
  return slow;
}

}  // namespace starling::http
