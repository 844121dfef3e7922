#include "platform/tabular/cell.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "platform/json/utf8.h"

namespace starling::tabular {

bool Cell::operator==(const Cell& other) const {
  if (kind_ != other.kind_) return false;
  switch (kind_) {
    case Kind::kNull:
      return true;
    case Kind::kText:
    case Kind::kJson:
      return text() == other.text();
    case Kind::kReal:
      return real_ == other.real_;
    case Kind::kInteger:
    case Kind::kBoolean:
    case Kind::kTime:
      return integer_ == other.integer_;
  }
  return false;
}

void Cell::EndForWrongKind(Kind asked) const {
  fmt::print(stderr, "bug: a cell of kind '{}' was read as '{}'\n", KindName(kind_),
             KindName(asked));
  std::abort();
}

std::string_view KindName(Cell::Kind kind) {
  switch (kind) {
    case Cell::Kind::kNull:
      return "nothing";
    case Cell::Kind::kText:
      return "text";
    case Cell::Kind::kInteger:
      return "whole number";
    case Cell::Kind::kReal:
      return "number";
    case Cell::Kind::kBoolean:
      return "true or false";
    case Cell::Kind::kTime:
      return "time";
    case Cell::Kind::kJson:
      return "JSON";
  }
  return "unknown";
}

std::string CellText(const Cell& cell) {
  switch (cell.kind()) {
    case Cell::Kind::kNull:
      return "";
    case Cell::Kind::kText:
    case Cell::Kind::kJson:
      return std::string(cell.text());
    case Cell::Kind::kInteger:
      return fmt::format("{}", cell.integer());
    case Cell::Kind::kReal:
      return fmt::format("{}", cell.real());
    case Cell::Kind::kBoolean:
      return cell.boolean() ? "true" : "false";
    case Cell::Kind::kTime:
      return FormatRfc3339(cell.time());
  }
  return "";
}

std::string ShownValue(std::string_view bytes) {
  std::string shown;
  size_t cut = 0;  // how much of it fits with dots behind
  while (!bytes.empty()) {
    const auto byte = static_cast<unsigned char>(bytes[0]);
    const bool control = (byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7f;
    const size_t length = control ? 0 : json::Utf8SequenceLength(bytes);
    shown += length > 0 ? std::string(bytes.substr(0, length)) : fmt::format("\\x{:02x}", byte);
    if (shown.size() <= kMaxShownBytes - 3) cut = shown.size();
    if (shown.size() > kMaxShownBytes) return shown.substr(0, cut) + "...";
    bytes.remove_prefix(std::max<size_t>(length, 1));
  }
  return shown;
}

size_t FirstInvalidUtf8(std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) return text.size();
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = json::Utf8SequenceLength(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return at;
}

}  // namespace starling::tabular
