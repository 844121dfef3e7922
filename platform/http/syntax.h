// What both directions of HTTP/1.1 are written with (RFC 9110, 5.6; RFC 9112, 7.1). Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/words.h"

namespace starling::http {

inline constexpr size_t kMaxFields = 100;          // of a header
inline constexpr size_t kMaxChunkLineBytes = 256;  // of a chunk's size with its extensions

enum CharacterClass : uint8_t { kToken = 1, kTarget = 2, kValue = 4, kHost = 8, kPath = 16 };

inline constexpr std::array<uint8_t, 256> kClasses = [] {
  std::array<uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const auto is_one_of = [c](std::string_view set) {
      return c != 0 && set.find(static_cast<char>(c)) != std::string_view::npos;
    };
    if (alphanumeric || is_one_of("!#$%&'*+-.^_`|~")) classes[c] |= kToken;  // RFC 9110, 5.6.2
    if (c > 0x20 && c < 0x7f && c != '#') classes[c] |= kTarget;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) classes[c] |= kValue;  // obs-text included
    if (alphanumeric || is_one_of("-._~!$&'()*+;=:[]%"))
      classes[c] |= kHost;  // RFC 3986, 3.2.2, without ','
    if (alphanumeric || is_one_of("-._~!$&'()*+,;=:@/")) classes[c] |= kPath;  // RFC 3986, 3.3
  }
  return classes;
}();

inline bool All(std::string_view text, CharacterClass wanted) {
  for (const char c : text) {
    if ((kClasses[static_cast<unsigned char>(c)] & wanted) == 0) return false;
  }
  return true;
}

inline std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls f with each element of a comma-separated list, trimmed; empty ones are left out.
template <typename F>
void ForEachInList(std::string_view list, F f) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (const std::string_view one = TrimSpace(list.substr(0, comma)); !one.empty()) f(one);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

// Appends it with blanks for what would end its line or cut it (CR, LF, NUL).
inline void AppendInLine(std::string_view text, std::string& out) {
  const size_t at = out.size();
  out.append(text);
  if (!AnyWord(text, [](uint64_t word) { return BytesBelow(word, '\r' + 1); })) return;
  for (size_t i = at; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  }
}

// A malformed piece as an error may show it: short and printable.
std::string Shown(std::string_view text);

// Digits alone, below 10^19; nullopt for anything else.
std::optional<uint64_t> ParseContentLength(std::string_view value);

// Whether a field may stand behind a body: not what frames the message, says where it goes, who
// asks, how the content is to be read or kept (RFC 9110, 6.5.1), nor a pseudo field.
bool MayBeTrailer(std::string_view name);

struct ChunkSize {
  uint64_t size;
  size_t extension_bytes;
};
// The line before a chunk, without its CRLF: "1f", "1F;name=value".
std::optional<ChunkSize> ParseChunkSizeLine(std::string_view line);

}  // namespace starling::http
