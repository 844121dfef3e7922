// What goes out of an HTTP/2 session: heads, bodies as there is room for them, trailers, resets.
#include <absl/container/inlined_vector.h>

#include <charconv>

#include "platform/http/h2_callbacks.h"
#include "platform/http/h2_session.h"
#include "platform/http/response_writer.h"
#include "platform/http/syntax.h"

namespace starling::http {
namespace {

nghttp2_nv Field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

// Not of the handler's to say: ours, or of one connection (RFC 9113, 8.2.2).
bool IsNotForAnswers(std::string_view name) {
  for (const std::string_view other : {"connection", "keep-alive", "content-length",
                                       "proxy-connection", "transfer-encoding", "upgrade"}) {
    if (EqualsIgnoreCase(name, other)) return true;
  }
  return name.empty() || name[0] == ':';
}

using Fields = absl::InlinedVector<nghttp2_nv, 24>;

// Those of a handler, as HTTP/2 has them. What `fields` says stands in `texts`.
void AddFields(const Headers& headers, std::string& texts, Fields& fields) {
  size_t bytes = 0;
  for (const Headers::Field field : headers) bytes += field.name.size() + field.value.size();
  texts.clear();
  texts.reserve(bytes);  // so that it does not move under `fields`
  const auto clean = [&](std::string_view text, bool lower) {
    const size_t at = texts.size();
    for (char c : text) {
      if (c == '\r' || c == '\n' || c == '\0') c = ' ';
      if (lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
      texts += c;
    }
    return std::string_view(texts).substr(at);
  };
  for (const Headers::Field field : headers) {
    if (IsNotForAnswers(field.name)) continue;
    const std::string_view name = clean(field.name, true);
    fields.push_back(Field(name, clean(field.value, false)));
  }
}

}  // namespace

void H2Session::Fill(std::string& out) {
  if (closed_) return;
  out_ = &out;
  nghttp2_session_send(session_);
  if (fault_ != 0 && end_ == End::kNone) {
    EndWith(fault_);
    nghttp2_session_send(session_);
  }
  out_ = nullptr;
}

void H2Session::Continue(H2Stream& stream) {
  if (closed_ || stream.closed_) return;
  const nghttp2_nv go_on = Field(":status", "100");
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, &go_on, 1, nullptr);
  owner_.OnOutput();
}

void H2Session::SendInterim(H2Stream& stream, const Response& interim) {
  if (closed_ || stream.closed_) return;
  char digits[8];
  const char* end = std::to_chars(digits, std::end(digits), interim.status).ptr;
  Fields fields;
  fields.push_back(Field(":status", {digits, end}));
  AddFields(interim.headers, names_, fields);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, fields.data(),
                         fields.size(), nullptr);
  owner_.OnOutput();
}

void H2Session::Answer(H2Stream& stream) {
  stream.handling_ = false;
  GiveBack(stream);
  if (stream.body_streams_) {
    stream.complete_ = true;  // what still comes is dropped
    stream.request.body.clear();
    stream.piece_ = {};
  }
  if (stream.closed_) return Release(stream);
  // It said that it would be longer.
  if (stream.streaming_ && stream.left_.value_or(0) > 0 && stream.request.verb != Verb::kHead)
    stream.aborted_ = true;
  if (stream.aborted_) {
    Reset(stream, NGHTTP2_INTERNAL_ERROR);
  } else if (stream.streaming_) {
    stream.ended_ = true;
    Resume(stream);
  } else {
    Submit(stream);
  }
}

void H2Session::Reset(H2Stream& stream, uint32_t error_code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, error_code);
  owner_.OnOutput();
}

void H2Session::Resume(H2Stream& stream) {
  nghttp2_session_resume_data(session_, stream.id_);
  owner_.OnOutput();
}

void H2Session::Submit(H2Stream& stream) {
  if (closed_ || stream.closed_ || std::exchange(stream.submitted_, true)) return;
  const Response& response = stream.response;
  const int status = response.status >= 200 && response.status <= 599 ? response.status : 500;
  const bool may_have_body = MayHaveBody(status);
  char digits[32];
  const char* status_end = std::to_chars(digits, digits + 3, status).ptr;
  // As over HTTP/1.1, see Response::length.
  const bool head = stream.request.verb == Verb::kHead;
  const uint64_t length = head || stream.streaming_ ? response.length.value_or(response.body.size())
                                                    : response.body.size();
  const char* length_end = std::to_chars(digits + 3, std::end(digits), length).ptr;

  Fields fields;
  fields.push_back(Field(":status", {digits, status_end}));
  if (!response.headers.Has("date")) fields.push_back(Field("date", owner_.Date()));
  AddFields(response.headers, names_, fields);
  // Who reads trailers knows the end by them: gRPC takes each other field for the caller's.
  const bool has_trailers = may_have_body && !head && !response.trailers.empty();
  if (may_have_body && !has_trailers && (!stream.streaming_ || response.length) &&
      !response.headers.Has("grpc-status"))
    fields.push_back(Field("content-length", {digits + 3, length_end}));

  const bool has_body =
      !head && may_have_body && (stream.streaming_ || !response.body.empty() || has_trailers);
  if (has_body && !stream.streaming_) {
    stream.body_ = response.body;
    stream.ended_ = true;
  }
  nghttp2_data_provider provider{};
  provider.read_callback = H2Callbacks::ReadData;
  nghttp2_submit_response(session_, stream.id_, fields.data(), fields.size(),
                          has_body ? &provider : nullptr);
  owner_.OnOutput();
}

void H2Session::SubmitTrailers(H2Stream& stream) {
  std::vector<nghttp2_nv> fields;
  std::string names;  // in lower case; values that nghttp2 would not take are left out
  size_t bytes = 0;
  for (const Headers::Field field : stream.response.trailers) bytes += field.name.size();
  names.reserve(bytes);
  for (const Headers::Field field : stream.response.trailers) {
    if (!MayBeTrailer(field.name) || !All(field.name, kToken) || !All(field.value, kValue))
      continue;
    const size_t at = names.size();
    for (const char c : field.name) names += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    fields.push_back(Field(std::string_view(names).substr(at), field.value));
  }
  nghttp2_submit_trailer(session_, stream.id_, fields.data(), fields.size());
}

}  // namespace starling::http
