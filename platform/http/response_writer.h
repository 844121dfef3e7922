// A response's head as bytes. Pure; no I/O.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/http/message.h"

namespace starling::http {

enum class BodyFraming : uint8_t {
  kLength,      // Content-Length: response.length, or response.body.size()
  kChunked,     // Transfer-Encoding: chunked
  kUntilClose,  // nothing: HTTP/1.0 streams
};
enum class ConnectionField : uint8_t { kNone, kClose, kKeepAlive, kUpgrade };

// Appends "HTTP/1.1 200 OK\r\n...\r\n\r\n". `date_line` is "Date: ...\r\n", for a response that has
// no Date of its own. Fields that are the server's to write (Content-Length, Transfer-Encoding,
// Connection) are left out; CR, LF and NUL become spaces.
void AppendHead(const Response& response, BodyFraming framing, ConnectionField connection,
                std::string_view date_line, std::string& out);

// Appends "HTTP/1.1 103 Early Hints\r\n...\r\n\r\n", with the same fields left out.
void AppendInterim(const Response& interim, std::string& out);

// Whether it is 1xx, and no 101.
bool IsInterim(int status);

// Appends the end of a body in chunks, "0\r\n...\r\n", with its trailers.
void AppendLastChunk(const Headers* trailers, std::string& out);

// 1xx, 204 and 304 never have a body (RFC 9112, 6.3).
bool MayHaveBody(int status);

// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
std::string DateLine(TimePoint now);

}  // namespace starling::http
