// What nghttp2 calls of an H2Session. Internal to h2_session.cc and h2_callbacks.cc: no other
// header has nghttp2's.
#pragma once

#include <nghttp2/nghttp2.h>

#include "platform/http/h2_session.h"

namespace starling::http {

inline constexpr int kMaxWindowCredit = 1000;
inline constexpr size_t kRemembered = 64;

// The functions that nghttp2 calls. Those for what comes run in Feed, those for what goes in Fill.
class H2Callbacks {
 public:
  static nghttp2_session* NewSession(H2Session* session);

 private:
  friend class H2Session;
  static H2Session& Session(void* data) { return *static_cast<H2Session*>(data); }
  static H2Stream* Find(nghttp2_session* session, int32_t id) {
    return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* head, void* data);
  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* data);
  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* data);
  static int OnInvalidHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t,
                             const uint8_t*, size_t, uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // malformed, not ignored (RFC 9113, 8.2.1)
  }
  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* data);
  static int OnDataChunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                         size_t size, void* data);
  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t, void* data);

  static ssize_t Send(nghttp2_session*, const uint8_t* bytes, size_t size, int, void* data);
  static ssize_t ReadData(nghttp2_session* session, int32_t id, uint8_t*, size_t size,
                          uint32_t* flags, nghttp2_data_source*, void*);
  static int SendData(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* head,
                      size_t size, nghttp2_data_source*, void* data);
  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* data);
};

}  // namespace starling::http
