#include "platform/tabular/mapping_cell.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace starling::tabular {
namespace {

using Kind = Cell::Kind;

constexpr std::pair<FieldType, std::string_view> kTypeNames[] = {
    {FieldType::kText, "text"},     {FieldType::kInteger, "integer"},
    {FieldType::kNumber, "number"}, {FieldType::kBoolean, "boolean"},
    {FieldType::kTime, "time"},
};

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <typename T>
std::optional<T> ParseAll(std::string_view text) {
  if (text.starts_with("+-")) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseNumber(std::string_view text, bool comma) {
  std::string plain;
  if (comma) {  // 1.234,50
    for (const char c : text) {
      if (c != '.' && c != ' ') plain += c == ',' ? '.' : c;
    }
    text = plain;
  }
  const std::optional<double> value = ParseAll<double>(text);
  if (!value.has_value() || !std::isfinite(*value)) return std::nullopt;
  return value;
}

std::optional<Cell> WholeNumber(double value) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (value != std::floor(value) || value < -kLimit || value >= kLimit) return std::nullopt;
  return Cell::Integer(static_cast<int64_t>(value));
}

std::optional<Cell> ToInteger(const Cell& cell) {
  if (cell.kind() == Kind::kInteger) return cell;
  if (cell.kind() == Kind::kReal) return WholeNumber(cell.real());
  if (cell.kind() != Kind::kText) return std::nullopt;
  const std::string_view text = Trim(cell.text());
  if (text.empty()) return Cell();
  if (const std::optional<int64_t> value = ParseAll<int64_t>(text)) return Cell::Integer(*value);
  const std::optional<double> real = ParseNumber(text, false);
  // Beyond 2^53 the digits of a double are not those that were written.
  if (!real.has_value() || std::abs(*real) > 9007199254740992.0) return std::nullopt;
  return WholeNumber(*real);
}

std::optional<Cell> ToNumber(const Cell& cell, const FieldMapping& field) {
  if (cell.kind() == Kind::kInteger) return Cell::Real(static_cast<double>(cell.integer()));
  if (cell.kind() == Kind::kReal) {
    return std::isfinite(cell.real()) ? std::optional(cell) : std::nullopt;
  }
  if (cell.kind() != Kind::kText) return std::nullopt;
  const std::string_view text = Trim(cell.text());
  if (text.empty()) return Cell();
  const std::optional<double> value = ParseNumber(text, !field.formats.empty());
  return value.has_value() ? std::optional(Cell::Real(*value)) : std::nullopt;
}

std::optional<Cell> ToBoolean(const Cell& cell) {
  if (cell.kind() == Kind::kBoolean) return cell;
  if (cell.kind() == Kind::kInteger) {
    if (cell.integer() != 0 && cell.integer() != 1) return std::nullopt;
    return Cell::Boolean(cell.integer() == 1);
  }
  if (cell.kind() != Kind::kText) return std::nullopt;
  const std::string_view text = Trim(cell.text());
  if (text.empty()) return Cell();
  if (text.size() > 5) return std::nullopt;
  std::array<char, 5> lower{};
  std::transform(text.begin(), text.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::string_view word(lower.data(), text.size());
  for (const std::string_view yes : {"true", "yes", "y", "t", "1"}) {
    if (word == yes) return Cell::Boolean(true);
  }
  for (const std::string_view no : {"false", "no", "n", "f", "0"}) {
    if (word == no) return Cell::Boolean(false);
  }
  return std::nullopt;
}

std::optional<Cell> ToTime(const Cell& cell, const TimeFormats& times) {
  std::optional<TimePoint> time;
  if (cell.kind() == Kind::kTime) return cell;
  if (cell.kind() == Kind::kInteger) {
    time = times.ParseNumber(static_cast<double>(cell.integer()));
  } else if (cell.kind() == Kind::kReal) {
    time = times.ParseNumber(cell.real());
  } else if (cell.kind() == Kind::kText) {
    const std::string_view text = Trim(cell.text());
    if (text.empty()) return Cell();
    time = times.Parse(text);
  }
  return time.has_value() ? std::optional(Cell::Time(*time)) : std::nullopt;
}

}  // namespace

std::optional<Cell> ConvertCell(const Cell& cell, const FieldMapping& field,
                                const TimeFormats& times, std::string& kept) {
  if (cell.is_null()) return cell;
  switch (field.type) {
    case FieldType::kText:
      if (cell.kind() == Kind::kText) return cell;
      kept = CellText(cell);
      return Cell::Text(kept);
    case FieldType::kInteger:
      return ToInteger(cell);
    case FieldType::kNumber:
      return ToNumber(cell, field);
    case FieldType::kBoolean:
      return ToBoolean(cell);
    case FieldType::kTime:
      return ToTime(cell, times);
  }
  return std::nullopt;
}

std::string ExpectedOf(const FieldMapping& field, const TimeFormats& times) {
  switch (field.type) {
    case FieldType::kText:
      return "text";
    case FieldType::kInteger:
      return "a whole number";
    case FieldType::kNumber:
      return field.formats.empty() ? "a number" : "a number with a comma (1.234,50)";
    case FieldType::kBoolean:
      return "true or false";
    case FieldType::kTime:
      return fmt::format("a time ({})", times.Expected());
  }
  return "";
}

std::string_view TypeName(FieldType type) {
  for (const auto& [known, name] : kTypeNames) {
    if (known == type) return name;
  }
  return "";
}

std::optional<FieldType> TypeByName(std::string_view name) {
  for (const auto& [type, known] : kTypeNames) {
    if (known == name) return type;
  }
  return std::nullopt;
}

}  // namespace starling::tabular
