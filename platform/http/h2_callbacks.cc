#include "platform/http/h2_callbacks.h"

#include <algorithm>

namespace starling::http {
namespace {

constexpr size_t kFillBytes = size_t{64} * 1024;
// A field section may be this many times what is answered with 431; a longer one is a flood.
constexpr size_t kHeaderFlood = 16;

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

// What comes.

int H2Callbacks::OnBeginFrame(nghttp2_session* nghttp2, const nghttp2_frame_hd* head, void* data) {
  H2Session& session = Session(data);
  bool within = true;
  const bool is_known = head->stream_id > 0 &&
                        nghttp2_session_get_stream_remote_close(nghttp2, head->stream_id) != -1;
  switch (head->type) {
    case NGHTTP2_HEADERS:
      if (!session.MayBeginOrGoOn(head->stream_id, is_known)) return NGHTTP2_ERR_CALLBACK_FAILURE;
      break;
    case NGHTTP2_DATA:
    case NGHTTP2_CONTINUATION:
      // Of those that carry nothing. Padding counts in OnFrame.
      if (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0)
        within = session.controls_.Take(session.now_);
      break;
    case NGHTTP2_PRIORITY:
      if (head->stream_id == 0) {
        session.fault_ = NGHTTP2_PROTOCOL_ERROR;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      }
      within = session.controls_.Take(session.now_);
      break;
    case NGHTTP2_RST_STREAM:
      within = session.resets_.Take(session.now_);
      break;
    case NGHTTP2_WINDOW_UPDATE:
      if (session.window_credit_ > 0) {
        --session.window_credit_;
        break;
      }
      [[fallthrough]];
    default:
      within = session.controls_.Take(session.now_);
      break;
  }
  if (within) return 0;
  session.fault_ = NGHTTP2_ENHANCE_YOUR_CALM;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int H2Callbacks::OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  H2Stream* stream = Session(data).Open(frame->hd.stream_id);
  if (stream == nullptr) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                              NGHTTP2_REFUSED_STREAM);
    return 0;
  }
  nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
  return 0;
}

int H2Callbacks::OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                          size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                          void* data) {
  H2Session& self = Session(data);
  H2Stream* stream = Find(session, frame->hd.stream_id);
  if (stream == nullptr) return 0;
  // As SETTINGS_MAX_HEADER_LIST_SIZE counts, RFC 9113, 6.5.2.
  stream->header_bytes_ += name_size + value_size + 32;
  if (stream->header_bytes_ > kHeaderFlood * self.options_.max_header_bytes) {
    self.fault_ = NGHTTP2_ENHANCE_YOUR_CALM;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  // Trailers are checked like fields, then dropped (RFC 9110, 6.5.1).
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
    self.TakeField(*stream, View(name, name_size), View(value, value_size));
  return 0;
}

int H2Callbacks::OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
  H2Session& self = Session(data);
  const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
      self.greeted_ = true;
      break;
    case NGHTTP2_HEADERS: {
      H2Stream* stream = Find(session, frame->hd.stream_id);
      if (stream == nullptr) break;
      if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        self.TakeHead(*stream, ends);
      } else if (ends) {
        self.Complete(*stream);
      }
      break;
    }
    case NGHTTP2_DATA: {
      H2Stream* stream = Find(session, frame->hd.stream_id);
      if (stream != nullptr && ends) self.Complete(*stream);
      if (!ends && frame->hd.length > 0 && frame->hd.length == frame->data.padlen &&
          !self.controls_.Take(self.now_)) {
        self.fault_ = NGHTTP2_ENHANCE_YOUR_CALM;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      }
      break;
    }
    default:
      break;
  }
  return 0;
}

int H2Callbacks::OnDataChunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                             size_t size, void* data) {
  H2Stream* stream = Find(session, id);
  if (stream != nullptr) {
    Session(data).TakeBody(*stream, View(bytes, size));
  } else {
    nghttp2_session_consume(session, id, size);
  }
  return 0;
}

int H2Callbacks::OnStreamClose(nghttp2_session* session, int32_t id, uint32_t, void* data) {
  H2Stream* stream = Find(session, id);
  if (stream == nullptr) return 0;
  nghttp2_session_set_stream_user_data(session, id, nullptr);
  stream->ClientIsGone();
  if (!stream->handling_) Session(data).Release(*stream);
  return 0;
}

// What goes.

ssize_t H2Callbacks::Send(nghttp2_session*, const uint8_t* bytes, size_t size, int, void* data) {
  std::string& out = *Session(data).out_;
  if (out.size() >= kFillBytes) return NGHTTP2_ERR_WOULDBLOCK;
  out.append(View(bytes, size));
  return static_cast<ssize_t>(size);
}

ssize_t H2Callbacks::ReadData(nghttp2_session* session, int32_t id, uint8_t*, size_t size,
                              uint32_t* flags, nghttp2_data_source*, void*) {
  H2Stream* stream = Find(session, id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const std::string_view pending = stream->pending();
  if (pending.empty() && !stream->ended_) return NGHTTP2_ERR_DEFERRED;
  size = std::min(size, pending.size());
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (stream->ended_ && size == pending.size()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!stream->response.trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      stream->session_.SubmitTrailers(*stream);
    }
  }
  return static_cast<ssize_t>(size);
}

int H2Callbacks::SendData(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* head,
                          size_t size, nghttp2_data_source*, void* data) {
  H2Session& self = Session(data);
  if (self.out_->size() >= kFillBytes) return NGHTTP2_ERR_WOULDBLOCK;
  H2Stream* stream = Find(session, frame->hd.stream_id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  std::string_view& pending = stream->pending();
  self.out_->append(View(head, 9)).append(pending.substr(0, size));
  pending.remove_prefix(size);
  stream->taken_ += size;
  self.taken_ += size;
  self.window_credit_ = std::min(self.window_credit_ + 2, kMaxWindowCredit);
  if (stream->streaming_ && pending.empty()) stream->WakeWriter(true);
  return 0;
}

int H2Callbacks::OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
  H2Session& self = Session(data);
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
      // The answer is whole before the request is: its rest is not wanted (RFC 9113, 8.1).
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
          nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_NO_ERROR);
      }
      break;
    case NGHTTP2_RST_STREAM: {
      const uint32_t code = frame->rst_stream.error_code;
      self.left_.push_back(frame->hd.stream_id);
      if (self.left_.size() > kRemembered) self.left_.erase(self.left_.begin());
      if (code == NGHTTP2_PROTOCOL_ERROR) self.owner_.OnMalformed();
      // A client can make us reset its streams too, by what it says of them.
      if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM &&
          !self.resets_.Take(self.now_)) {
        self.fault_ = NGHTTP2_ENHANCE_YOUR_CALM;
      }
      break;
    }
    case NGHTTP2_GOAWAY:
      if (self.end_ == H2Session::End::kNone && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        self.end_ = frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM
                        ? H2Session::End::kFlood
                        : H2Session::End::kProtocolError;
      }
      break;
    default:
      break;
  }
  return 0;
}

nghttp2_session* H2Callbacks::NewSession(H2Session* session) {
  static const nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, OnBeginFrame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
    nghttp2_session_callbacks_set_on_invalid_header_callback(made, OnInvalidHeader);
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
    // Those that have ended are unknown at once: for MayBeginOrGoOn.
    nghttp2_option_set_no_closed_streams(made, 1);
    return made;
  }();
  nghttp2_session* made = nullptr;
  nghttp2_session_server_new2(&made, callbacks, session, option);
  return made;
}

}  // namespace starling::http
