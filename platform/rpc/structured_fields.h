// For tests: reads a List of Items with parameters by the rules of RFC 9651 (4.2.1 to 4.2.6),
// strictly: a field that breaks one gives nullopt.
//
//   std::optional<SfList> list = ParseSfList(R"("requests";q=3;w=6, "a";q=1)");
//   list->at(0).value == "\"requests\""; list->at(0).parameters.at("q") == "3";
//
// Of bare items there are Integers, Strings and Tokens; values are kept as they were written.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace starling::rpc {

struct SfItem {
  std::string value;
  std::map<std::string, std::string> parameters;
};
using SfList = std::vector<SfItem>;

namespace sf_internal {

inline bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsAlpha(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }

inline std::optional<std::string> TakeBareItem(std::string_view& text) {
  size_t size = 0;
  if (text.starts_with('"')) {
    for (size = 1;; ++size) {
      if (size >= text.size()) return std::nullopt;
      const char c = text[size];
      if (c < 0x20 || c > 0x7e) return std::nullopt;
      if (c == '"') break;
      if (c != '\\') continue;
      ++size;
      if (size >= text.size() || (text[size] != '"' && text[size] != '\\')) return std::nullopt;
    }
    ++size;
  } else if (!text.empty() && (IsDigit(text[0]) || text[0] == '-')) {
    if (text[0] == '-') ++size;
    const size_t first = size;
    while (size < text.size() && IsDigit(text[size])) ++size;
    if (size == first || size - first > 15) return std::nullopt;
    if (size < text.size() && text[size] == '.') return std::nullopt;  // no Decimal is expected
  } else if (!text.empty() && (IsAlpha(text[0]) || text[0] == '*')) {
    constexpr std::string_view kMore = "!#$%&'*+-.^_`|~:/";
    while (size < text.size() && (IsAlpha(text[size]) || IsDigit(text[size]) ||
                                  kMore.find(text[size]) != std::string_view::npos)) {
      ++size;
    }
  } else {
    return std::nullopt;
  }
  std::string item(text.substr(0, size));
  text.remove_prefix(size);
  return item;
}

inline void Skip(std::string_view& text, std::string_view what) {
  while (!text.empty() && what.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
}

}  // namespace sf_internal

inline std::optional<SfList> ParseSfList(std::string_view text) {
  using namespace sf_internal;  // NOLINT: of this header alone
  SfList list;
  Skip(text, " ");
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  while (!text.empty()) {
    std::optional<std::string> value = TakeBareItem(text);
    if (!value) return std::nullopt;
    SfItem item{.value = *std::move(value)};
    while (text.starts_with(';')) {
      text.remove_prefix(1);
      Skip(text, " ");
      size_t size = 0;
      if (text.empty() || !(IsLower(text[0]) || text[0] == '*')) return std::nullopt;
      while (size < text.size() &&
             (IsLower(text[size]) || IsDigit(text[size]) ||
              std::string_view("_-.*").find(text[size]) != std::string_view::npos)) {
        ++size;
      }
      const std::string key(text.substr(0, size));
      text.remove_prefix(size);
      std::string parameter = "?1";
      if (text.starts_with('=')) {
        text.remove_prefix(1);
        std::optional<std::string> read = TakeBareItem(text);
        if (!read) return std::nullopt;
        parameter = *std::move(read);
      }
      item.parameters[key] = parameter;
    }
    list.push_back(std::move(item));
    Skip(text, " \t");
    if (text.empty()) return list;
    if (text.front() != ',') return std::nullopt;
    text.remove_prefix(1);
    Skip(text, " \t");
    if (text.empty()) return std::nullopt;
  }
  return list;
}

}  // namespace starling::rpc
