#include "platform/tabular/row_source.h"

#include <charconv>

namespace starling::tabular {

std::string PositionText(const Position& position) {
  return fmt::format("{}:{}:{}:{}", position.file, position.row, position.line, position.offset);
}

std::optional<Position> ParsePosition(std::string_view text) {
  const auto take = [&](auto& value, char after) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value < 0) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (after == '\0') return text.empty();
    if (!text.starts_with(after)) return false;
    text.remove_prefix(1);
    return true;
  };
  Position position;
  if (!take(position.file, ':') || !take(position.row, ':') || !take(position.line, ':') ||
      !take(position.offset, '\0')) {
    return std::nullopt;
  }
  return position;
}

std::string_view FaultName(Fault fault) {
  switch (fault) {
    case Fault::kFieldCount:
      return "wrong number of fields";
    case Fault::kQuote:
      return "quote";
    case Fault::kUtf8:
      return "not UTF-8";
    case Fault::kTooLarge:
      return "row too large";
    case Fault::kSyntax:
      return "no JSON object";
    case Fault::kDuplicateKey:
      return "key twice";
    case Fault::kUnknownKey:
      return "unknown key";
    case Fault::kValue:
      return "wrong value";
    case Fault::kMissing:
      return "value missing";
  }
  return "unknown";
}

std::optional<size_t> RowSource::FindColumn(std::string_view name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<size_t>(found - columns_.begin());
}

}  // namespace starling::tabular
