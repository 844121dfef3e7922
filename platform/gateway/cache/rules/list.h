// Field values that are lists, and numbers in them (RFC 9110, 5.6.1; RFC 9111, 1.2).
// Pure, no allocation.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "platform/gateway/cache/rules/cache_control.h"

namespace starling::gateway {

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

inline std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

// Where the quoted string that begins at `from` ends, behind its quote; npos when nothing closes
// it.
inline size_t EndOfQuoted(std::string_view text, size_t from) {
  for (size_t i = from + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

// Each element between commas, trimmed, empty ones left out; a comma in quotes is none. A quote
// that nothing closes is an ordinary character. O(n): what is behind such a quote is not searched
// again.
template <typename See>
void ForEachElement(std::string_view text, See see) {
  size_t begin = 0;
  bool closes = true;
  const auto element = [&](size_t end) {
    const std::string_view found = Trim(text.substr(begin, end - begin));
    if (!found.empty()) see(found);
    begin = end + 1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      element(i);
    } else if (text[i] == '"' && closes) {
      const size_t end = EndOfQuoted(text, i);
      closes = end != std::string_view::npos;
      if (closes) i = end - 1;
    }
  }
  element(text.size());
}

// delta-seconds: digits alone; above kLongest it is kLongest. nullopt for anything else.
inline std::optional<seconds> ParseDeltaSeconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    if (value <= kLongest.count()) value = value * 10 + (c - '0');
  }
  return seconds(value > kLongest.count() ? kLongest.count() : value);
}

}  // namespace starling::gateway
