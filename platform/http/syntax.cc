#include "platform/http/syntax.h"

#include <charconv>

#include "platform/http/message.h"

namespace starling::http {

bool MayBeTrailer(std::string_view name) {
  if (name.empty() || name[0] == ':') return false;
  for (const std::string_view other : {"transfer-encoding",
                                       "content-length",
                                       "connection",
                                       "keep-alive",
                                       "proxy-connection",
                                       "upgrade",
                                       "te",
                                       "trailer",
                                       "host",
                                       "expect",
                                       "max-forwards",
                                       "range",
                                       "cache-control",
                                       "pragma",
                                       "age",
                                       "date",
                                       "expires",
                                       "vary",
                                       "warning",
                                       "location",
                                       "retry-after",
                                       "authorization",
                                       "proxy-authorization",
                                       "www-authenticate",
                                       "proxy-authenticate",
                                       "proxy-authentication-info",
                                       "authentication-info",
                                       "cookie",
                                       "set-cookie",
                                       "content-type",
                                       "content-encoding",
                                       "content-range",
                                       "strict-transport-security"}) {
    if (EqualsIgnoreCase(name, other)) return false;
  }
  return true;
}

std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, 40));
  for (char& c : shown) {
    if (c < 0x20 || c == 0x7f || c == '"') c = '?';
  }
  return text.size() > 40 ? shown + "..." : shown;
}

std::optional<uint64_t> ParseContentLength(std::string_view value) {
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  // from_chars takes no sign for unsigned types, but value may be empty or have more behind the
  // digits.
  if (error != std::errc() || end != value.data() + value.size() || value.size() > 19)
    return std::nullopt;
  return length;
}

std::optional<ChunkSize> ParseChunkSizeLine(std::string_view line) {
  const size_t size_end = std::min(line.find(';'), line.size());
  // "5 ;name": whitespace is allowed before an extension, and only there.
  const std::string_view size = size_end < line.size() ? TrimSpace(line.substr(0, size_end)) : line;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), value, 16);
  if (error != std::errc() || end != size.data() + size.size() || size.size() > 15 ||
      line[0] == ' ' || line[0] == '\t' || !All(line, kValue)) {
    return std::nullopt;
  }
  return ChunkSize{value, line.size() - size.size()};
}

}  // namespace starling::http
