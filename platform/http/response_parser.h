// Bytes in, responses out: the HTTP/1.x response syntax of RFC 9112, read strictly and without any
// I/O. A body is not gathered: it is given in pieces, as views of what was fed.
//
//   ResponseParser parser({});
//   parser.Begin(request.verb == Verb::kHead);
//   for (;;) {
//     const ResponseParser::Result result = parser.Feed(buffer, response);
//     buffer.remove_prefix(result.used);
//     if (result.step == Step::kInterim) ...   // those of an answer before the answer (1xx)
//     if (result.step == Step::kHead) ...      // status and fields are there
//     if (result.step == Step::kBody) ...      // result.body is the next piece
//     if (result.step == Step::kComplete) ...  // the connection is free when keep_alive()
//     if (result.step == Step::kNeedMore) ...  // read more, or parser.End() when there is no more
//     if (result.step == Step::kError) ...     // close the connection
//   }
//
// Fields that are about the connection alone (Connection and what it names, Keep-Alive,
// Proxy-Connection, Trailer, Transfer-Encoding, Upgrade, Content-Length; RFC 9110, 7.6.1) are used
// here and not given on; trailers that may be none (MayBeTrailer) are dropped. Refused, since two
// readers may take them differently: bare CR or LF, folded lines, whitespace before a colon,
// control characters, Content-Length that is not digits or differs, both lengths, a transfer coding
// other than chunked, malformed chunks; and a 101 that nobody asked for.
//
// One parser a connection, not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/http/message.h"

namespace starling::http {

struct ResponseLimits {
  size_t max_header_bytes = size_t{32} * 1024;  // chunk extensions and trailers again as much
};

class ResponseParser {
 public:
  enum class Step : uint8_t { kNeedMore, kInterim, kHead, kBody, kComplete, kError };
  struct Result {
    Step step;
    size_t used;  // bytes of the front that are done with
    std::string_view body = {};
  };

  explicit ResponseParser(ResponseLimits limits) : limits_(limits) {}

  // Ready for the answer to the next request.
  void Begin(bool to_head);
  // The request, Begin's last, asked to switch to this protocol: 101 may come for it and nothing
  // else; it is given as kHead, and what follows as a body that the connection's end ends.
  void ExpectUpgrade(std::string_view protocol) { wanted_upgrade_ = protocol; }
  // `response` must be the same, cleared before the first call and after each kInterim, until
  // kHead.
  Result Feed(std::string_view bytes, Response& response);
  // The peer has ended: kComplete when that is how this body ends, else kError.
  Step End();

  const std::string& error() const { return error_; }
  // Any byte of the final response was seen.
  bool begun() const { return begun_; }

  // Known from kHead on. The length is none of a body in chunks or until the end; that of an answer
  // to HEAD is what GET's would be.
  std::optional<uint64_t> content_length() const { return content_length_; }
  bool complete() const { return state_ == State::kComplete; }
  bool keep_alive() const { return keep_alive_; }

 private:
  enum class State : uint8_t {
    kStatusLine,
    kFields,
    kBody,
    kUntilEnd,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kComplete,
    kError
  };

  bool Fail(std::string why);
  bool ParseStatusLine(std::string_view line, Response& response);
  bool ParseField(std::string_view line, Response& response);
  // Whether the field is about the connection alone; Fails when it is malformed.
  bool TakeConnectionField(std::string_view name, std::string_view value);
  bool FinishHead(Response& response);
  bool ReadLine(std::string_view line, Response& response);

  const ResponseLimits limits_;
  State state_ = State::kComplete;
  bool to_head_ = false;
  std::string_view wanted_upgrade_;
  bool upgrades_ = false;  // to what was wanted
  bool begun_ = false;
  bool chunked_ = false;
  bool keep_alive_ = false;
  bool connection_close_ = false;
  bool connection_keep_alive_ = false;
  int minor_version_ = 1;
  size_t scanned_ = 0;
  size_t head_bytes_ = 0;
  size_t framing_bytes_ = 0;
  uint64_t remaining_ = 0;
  std::optional<uint64_t> content_length_;
  std::string named_;  // fields that Connection names
  std::string error_;
};

}  // namespace starling::http
