// Bytes in, requests out: the HTTP/1.x request syntax of RFC 9112, read strictly and without any
// I/O.
//
//   RequestParser parser({});
//   for (;;) {
//     const RequestParser::Result result = parser.Feed(buffer, request);
//     buffer.remove_prefix(result.used);
//     if (result.step == Step::kHead) ...      // headers are known, the body is not yet read:
//     bounds may be changed if (result.step == Step::kComplete) ...  // answer it, then
//     request.Clear() and parser.Reset() if (result.step == Step::kNeedMore) ...  // append to the
//     buffer and feed again, unused bytes first if (result.step == Step::kError) ...     // answer
//     parser.error() and close
//   }
//
// Refused with 400, since two parsers may read them differently (request smuggling): bare CR or LF,
// folded lines, whitespace before a colon, control characters, Content-Length that is not digits or
// differs, Content-Length with Transfer-Encoding, Transfer-Encoding in HTTP/1.0 or not ending in
// chunked, chunk sizes that are not hex, no Host or several, a malformed target. Other refusals:
// 413 body, 414 target, 417 expectation, 431 head or above 100 fields, 501 transfer coding or
// CONNECT, 505 version.
//
// One parser a connection, not thread-safe; after kError it stays there. Each byte is looked at
// about twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/http/message.h"

namespace starling::http {

struct RequestLimits {
  size_t max_header_bytes =
      16 * 1024;  // request line and fields; chunk extensions and trailers again as much
  uint64_t max_body_bytes = 1024 * 1024;
};

// A host with or without a port, as Host and :authority have it: no user, no path (RFC 3986, 3.2).
bool IsHost(std::string_view text);

// Takes a path with its query ("/a?b=1"), or "*" of OPTIONS, as a request's target: `target`,
// `path` and `query` are set, `verb` must be. INVALID_ARGUMENT for anything else.
Status TakeTarget(std::string_view target, Request& request);

class RequestParser {
 public:
  enum class Step : uint8_t { kNeedMore, kHead, kBody, kComplete, kError };
  struct Result {
    Step step;
    size_t used;                 // bytes of the front that are done with
    std::string_view body = {};  // kBody: a piece of it, not empty, within what was fed
  };
  struct Error {
    int http_status = 400;
    std::string detail;
  };

  explicit RequestParser(RequestLimits limits) : limits_(limits) {}

  Result Feed(std::string_view bytes, Request& request);

  // Ready for the next message; the limits are the constructor's again.
  void Reset();

  // For this message; called at kHead. A body known to be longer is refused by the next Feed.
  void SetMaxBodyBytes(uint64_t limit) { max_body_bytes_ = limit; }

  // For this message; called at kHead: its body comes in pieces by kBody, and not in request.body.
  void StreamBody() { streams_ = true; }

  const Error& error() const { return error_; }

  // Known from kHead on.
  bool keep_alive() const { return keep_alive_; }
  bool expects_continue() const { return expects_continue_; }
  bool has_body() const { return chunked_ || content_length_ > 0; }
  bool body_fits() const { return content_length_ <= max_body_bytes_; }
  // nullopt: chunked.
  std::optional<uint64_t> body_length() const {
    return chunked_ ? std::nullopt : std::optional(content_length_);
  }
  // Of a body whose length is known, what has not come yet.
  uint64_t body_remaining() const { return remaining_; }

  // Nothing of a message has been used yet.
  bool idle() const { return state_ == State::kRequestLine && head_bytes_ == 0; }
  bool in_body() const { return state_ >= State::kBody && state_ < State::kComplete; }

 private:
  enum class State : uint8_t {
    kRequestLine,
    kFields,
    kBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kComplete,
    kError
  };

  bool Fail(int http_status, std::string detail);
  bool ParseRequestLine(std::string_view line, Request& request);
  bool ParseTarget(std::string_view target, Request& request);
  bool ParseField(std::string_view line, Request& request);
  bool ParseKnownField(std::string_view name, std::string_view value, Request& request);
  bool ParseConnection(std::string_view value);
  bool FinishHead(Request& request);
  bool ParseChunkSize(std::string_view line);

  const RequestLimits limits_;
  uint64_t max_body_bytes_ = limits_.max_body_bytes;
  State state_ = State::kRequestLine;
  size_t scanned_ = 0;  // bytes of the unused front known to hold no line end
  size_t head_bytes_ = 0;
  size_t framing_bytes_ = 0;  // chunk extensions and trailers
  uint64_t content_length_ = 0;
  uint64_t remaining_ = 0;    // of the body or of the chunk
  uint64_t chunk_bytes_ = 0;  // of all chunks so far
  bool has_content_length_ = false;
  bool chunked_ = false;
  bool streams_ = false;
  bool has_host_ = false;
  bool skipped_empty_line_ = false;
  bool connection_close_ = false;
  bool connection_keep_alive_ = false;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
  std::string authority_;  // of a target in absolute form
  Error error_;
};

}  // namespace starling::http
