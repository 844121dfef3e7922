#include "platform/http/h2_client.h"

#include <absl/container/inlined_vector.h>
#include <fmt/core.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>

#include "platform/http/syntax.h"

namespace starling::http {
namespace {

constexpr size_t kFillBytes = size_t{64} * 1024;
constexpr char kFlood[] = "it sends too many frames that carry nothing";
constexpr int32_t kConnectionWindow = 4 * 1024 * 1024;

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

nghttp2_nv Field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

// What a server says with RST_STREAM (RFC 9113, 7).
Status ReasonOf(uint32_t error_code) {
  switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
      return Unavailable("it refused the request before it looked at it");
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return Overloaded("it has too much to do", std::chrono::seconds(1));
    case NGHTTP2_CANCEL:
      return Unavailable("it broke its answer off");
    case NGHTTP2_NO_ERROR:
      return Unavailable("it ended the stream without an answer");
    default:
      return Unavailable("it broke the stream off with {}", nghttp2_http2_strerror(error_code));
  }
}

}  // namespace

// What nghttp2 calls of a session.
class H2ClientCallbacks {
 public:
  static H2ClientSession& Session(void* data) { return *static_cast<H2ClientSession*>(data); }
  static H2ClientStream* Find(nghttp2_session* session, int32_t id) {
    return static_cast<H2ClientStream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* head, void* data) {
    H2ClientSession& self = Session(data);
    const bool empty = head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0;
    switch (head->type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_RST_STREAM:
      case NGHTTP2_GOAWAY:
      case NGHTTP2_WINDOW_UPDATE:
        return 0;
      case NGHTTP2_DATA:
      case NGHTTP2_CONTINUATION:
        if (!empty) return 0;
        break;
      default:
        break;
    }
    if (self.controls_.Take(self.now_)) return 0;
    self.error_ = kFlood;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* data) {
    H2ClientStream* stream = Find(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const bool good =
        Session(data).TakeField(*stream, View(name, name_size), View(value, value_size));
    return good ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int OnInvalidHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t*,
                             size_t, const uint8_t*, size_t, uint8_t, void*) {
    if (H2ClientStream* stream = Find(session, frame->hd.stream_id))
      stream->fault_ = Unavailable("its answer is malformed: a field that may not be there");
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // refused, not ignored (RFC 9113, 8.2.1)
  }
  static int OnInvalidFrame(nghttp2_session* session, const nghttp2_frame* frame, int error,
                            void*) {
    H2ClientStream* stream = Find(session, frame->hd.stream_id);
    if (stream != nullptr && stream->fault_.ok())
      stream->fault_ = Unavailable("its answer is malformed: {}", nghttp2_strerror(error));
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    H2ClientSession& self = Session(data);
    switch (frame->hd.type) {
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) self.greeted_ = true;
        return 0;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++self.pings_answered_;
        return 0;
      case NGHTTP2_GOAWAY:
        self.leaving_ = true;
        return 0;
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        break;
      default:
        return 0;
    }
    H2ClientStream* stream = Find(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->has_head_) {
      if (stream->answer_.status < 200) {  // not yet the answer
        if (stream->interim_.size() < H2ClientStream::kMostInterim)
          stream->interim_.push_back(std::move(stream->answer_));
        stream->answer_ = {};
        stream->header_bytes_ = 0;
        stream->OnEvent();
        return 0;
      }
      stream->has_head_ = true;
      stream->header_bytes_ = 0;
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->whole_ = true;
    stream->OnEvent();
    return 0;
  }

  static int OnDataChunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                         size_t size, void*) {
    // The connection's window is open for others, whoever reads this.
    nghttp2_session_consume_connection(session, size);
    if (H2ClientStream* stream = Find(session, id)) stream->in_.append(View(bytes, size));
    return 0;
  }

  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t error_code, void*) {
    H2ClientStream* stream = Find(session, id);
    if (stream == nullptr) return 0;
    nghttp2_session_set_stream_user_data(session, id, nullptr);
    Status why = stream->fault_.ok() ? ReasonOf(error_code) : stream->fault_;
    stream->Close(std::move(why), error_code == NGHTTP2_REFUSED_STREAM && stream->fault_.ok());
    return 0;
  }

  static ssize_t Send(nghttp2_session*, const uint8_t* bytes, size_t size, int, void* data) {
    std::string& out = *Session(data).out_;
    if (out.size() >= kFillBytes) return NGHTTP2_ERR_WOULDBLOCK;
    out.append(View(bytes, size));
    return static_cast<ssize_t>(size);
  }
  static ssize_t ReadData(nghttp2_session* session, int32_t id, uint8_t*, size_t size,
                          uint32_t* flags, nghttp2_data_source*, void*) {
    H2ClientStream* stream = Find(session, id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (stream->unsent() == 0 && !stream->out_ended_) return NGHTTP2_ERR_DEFERRED;
    size = std::min(size, stream->unsent());
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->out_ended_ && size == stream->unsent()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
  static int SendData(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* head,
                      size_t size, nghttp2_data_source*, void* data) {
    H2ClientSession& self = Session(data);
    if (self.out_->size() >= kFillBytes) return NGHTTP2_ERR_WOULDBLOCK;
    H2ClientStream* stream = Find(session, frame->hd.stream_id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    self.out_->append(View(head, 9)).append(stream->out_, stream->out_begin_, size);
    stream->out_begin_ += size;
    if (stream->unsent() == 0) {
      stream->out_.clear();
      stream->out_begin_ = 0;
      stream->OnEvent();
    }
    return 0;
  }
  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
      H2ClientSession& self = Session(data);
      if (self.error_.empty()) self.error_ = self.Broken(frame->goaway.error_code);
      return 0;
    }
    H2ClientStream* stream = Find(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS) stream->head_sent_ = true;
    // nghttp2's own judgement: a length that was not kept, a head that came too late.
    if (frame->hd.type == NGHTTP2_RST_STREAM && stream->fault_.ok() &&
        frame->rst_stream.error_code != NGHTTP2_CANCEL) {
      stream->fault_ = Unavailable("its answer is malformed: {}",
                                   nghttp2_http2_strerror(frame->rst_stream.error_code));
    }
    return 0;
  }

  static nghttp2_session* NewSession(H2ClientSession* session) {
    static const nghttp2_session_callbacks* const callbacks = [] {
      nghttp2_session_callbacks* made = nullptr;
      nghttp2_session_callbacks_new(&made);
      nghttp2_session_callbacks_set_on_begin_frame_callback(made, OnBeginFrame);
      nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
      nghttp2_session_callbacks_set_on_invalid_header_callback(made, OnInvalidHeader);
      nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, OnInvalidFrame);
      nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, OnDataChunk);
      nghttp2_session_callbacks_set_on_stream_close_callback(made, OnStreamClose);
      nghttp2_session_callbacks_set_send_callback(made, Send);
      nghttp2_session_callbacks_set_send_data_callback(made, SendData);
      nghttp2_session_callbacks_set_on_frame_send_callback(made, OnFrameSent);
      return made;
    }();
    static const nghttp2_option* const option = [] {
      nghttp2_option* made = nullptr;
      nghttp2_option_new(&made);
      nghttp2_option_set_no_auto_window_update(made, 1);  // TakeBody opens them
      return made;
    }();
    nghttp2_session* made = nullptr;
    nghttp2_session_client_new2(&made, callbacks, session, option);
    return made;
  }
};

H2ClientStream::~H2ClientStream() { Leave(); }

std::optional<Response> H2ClientStream::TakeInterim() {
  if (interim_.empty()) return std::nullopt;
  Response oldest = std::move(interim_.front());
  interim_.pop_front();
  return oldest;
}

void H2ClientStream::Leave() {
  if (session_ == nullptr) return;
  if (!closed_) {
    nghttp2_session_set_stream_user_data(session_->session_, id_, nullptr);
    Reset(NGHTTP2_CANCEL);
  }
  session_->Remove(*this);
}

bool H2ClientStream::Begin(H2ClientSession& session, const Fields& fields, bool has_body) {
  if (session.closed_ || session.streams_.size() >= session.limit()) return false;
  absl::InlinedVector<nghttp2_nv, 24> list;
  for (const auto& [name, value] : fields) list.push_back(Field(name, value));
  nghttp2_data_provider provider{};
  provider.read_callback = H2ClientCallbacks::ReadData;
  const int32_t id = nghttp2_submit_request(session.session_, nullptr, list.data(), list.size(),
                                            has_body ? &provider : nullptr, this);
  if (id < 0) return false;  // its numbers are used up
  id_ = id;
  session_ = &session;
  index_ = session.streams_.size();
  session.streams_.push_back(this);
  out_ended_ = !has_body;
  session.owner_.OnOutput();
  return true;
}

void H2ClientStream::Append(std::string_view bytes) {
  if (bytes.empty() || closed_ || session_ == nullptr) return;
  if (out_begin_ > 0) {
    out_.erase(0, out_begin_);
    out_begin_ = 0;
  }
  out_.append(bytes);
  nghttp2_session_resume_data(session_->session_, id_);
  session_->owner_.OnOutput();
}

void H2ClientStream::EndBody() {
  if (closed_ || session_ == nullptr || std::exchange(out_ended_, true)) return;
  nghttp2_session_resume_data(session_->session_, id_);
  session_->owner_.OnOutput();
}

void H2ClientStream::Reset(uint32_t error_code) {
  if (closed_ || session_ == nullptr || session_->closed_) return;
  nghttp2_submit_rst_stream(session_->session_, NGHTTP2_FLAG_NONE, id_, error_code);
  session_->owner_.OnOutput();
}

std::string H2ClientStream::TakeBody() {
  std::string taken = std::exchange(in_, {});
  if (!closed_ && !whole_ && session_ != nullptr && !session_->closed_) {
    nghttp2_session_consume_stream(session_->session_, id_, taken.size());
    session_->owner_.OnOutput();
  }
  return taken;
}

void H2ClientStream::Close(Status why, bool unprocessed) {
  if (std::exchange(closed_, true)) return;
  if (!whole_ || !fault_.ok()) {
    whole_ = false;
    why_ = std::move(why);
    unprocessed_ = unprocessed && !has_head_;
  }
  out_.clear();
  out_begin_ = 0;
  session_->Remove(*this);
  OnEvent();
}

H2ClientSession::H2ClientSession(const H2ClientOptions& options, Owner& owner)
    : options_(options), owner_(owner), controls_(1000, 100) {
  session_ = H2ClientCallbacks::NewSession(this);
}

H2ClientSession::~H2ClientSession() {
  Close(Unavailable("the connection was closed"));
  nghttp2_session_del(session_);
}

void H2ClientSession::Start() {
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(options_.max_header_bytes)}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  owner_.OnOutput();
}

bool H2ClientSession::Feed(std::string_view bytes, Instant now) {
  if (closed_) return false;
  now_ = now;
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  owner_.OnOutput();
  if (used >= 0) return true;
  if (error_.empty())
    error_ = used == NGHTTP2_ERR_FLOODED ? kFlood : Broken(NGHTTP2_PROTOCOL_ERROR);
  nghttp2_session_terminate_session(session_, NGHTTP2_PROTOCOL_ERROR);
  return false;
}

std::string H2ClientSession::Broken(uint32_t error_code) const {
  if (!greeted_) return "it does not speak HTTP/2";
  return fmt::format("it broke HTTP/2 ({})", nghttp2_http2_strerror(error_code));
}

void H2ClientSession::Fill(std::string& out) {
  if (closed_) return;
  out_ = &out;
  nghttp2_session_send(session_);
  out_ = nullptr;
}

void H2ClientSession::Ping() {
  if (closed_) return;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  owner_.OnOutput();
}

void H2ClientSession::SayGoodbye() {
  if (closed_) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  owner_.OnOutput();
}

void H2ClientSession::Close(const Status& why) {
  if (std::exchange(closed_, true)) return;
  while (!streams_.empty()) {
    H2ClientStream& stream = *streams_.back();
    nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
    stream.Close(stream.fault_.ok() ? why : stream.fault_, !stream.head_sent_);
  }
}

bool H2ClientSession::finished() const {
  return closed_ ||
         (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

size_t H2ClientSession::limit() const {
  if (closed_ || leaving_ || nghttp2_session_check_request_allowed(session_) == 0) return 0;
  const uint32_t theirs =
      nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return std::min<size_t>(options_.max_streams, theirs);
}

void H2ClientSession::Remove(H2ClientStream& stream) {
  if (stream.session_ == nullptr) return;
  stream.session_ = nullptr;
  streams_[stream.index_] = streams_.back();
  streams_[stream.index_]->index_ = stream.index_;
  streams_.pop_back();
}

// False: the answer is refused, and the stream's fault says why.
bool H2ClientSession::TakeField(H2ClientStream& stream, std::string_view name,
                                std::string_view value) {
  Response& answer = stream.answer_;
  stream.header_bytes_ += name.size() + value.size() + 32;  // as RFC 9113, 6.5.2 counts
  if (stream.header_bytes_ > options_.max_header_bytes) {
    stream.fault_ =
        Unavailable("its answer is malformed: the header is above the limit of {} bytes",
                    options_.max_header_bytes);
    return false;
  }
  Headers& headers = stream.has_head_ ? answer.trailers : answer.headers;
  if (headers.size() >= kMaxFields) {
    stream.fault_ =
        Unavailable("its answer is malformed: the header has more than {} fields", kMaxFields);
    return false;
  }
  if (stream.has_head_) {
    if (MayBeTrailer(name)) headers.Add(name, value);
  } else if (name == ":status") {
    std::from_chars(value.data(), value.data() + value.size(), answer.status);
  } else if (name == "content-length") {
    stream.length_ = ParseContentLength(value);
  } else if (!name.starts_with(':')) {
    headers.Add(name, value);
  }
  return true;
}

}  // namespace starling::http
