#include "platform/json/number.h"

#include <charconv>
#include <cmath>
#include <string>
#include <system_error>

namespace starling::json {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The parts of a JSON number: -12.50e+3 is negative, "12", "50", exponent 3.
struct Parts {
  bool valid = false;
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
  int64_t exponent = 0;
};

Parts Split(std::string_view text) {
  Parts parts;
  size_t at = 0;
  const auto digits = [&] {
    const size_t begin = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return text.substr(begin, at - begin);
  };
  if (at < text.size() && text[at] == '-') {
    parts.negative = true;
    ++at;
  }
  parts.whole = digits();
  if (parts.whole.empty() || (parts.whole.size() > 1 && parts.whole[0] == '0')) return parts;
  if (at < text.size() && text[at] == '.') {
    ++at;
    parts.fraction = digits();
    if (parts.fraction.empty()) return parts;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    bool negative = false;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) negative = text[at++] == '-';
    const std::string_view exponent = digits();
    if (exponent.empty()) return parts;
    constexpr int64_t kFarBeyondAnyType = 1'000'000'000;
    for (const char digit : exponent) {
      parts.exponent = parts.exponent * 10 + (digit - '0');
      if (parts.exponent > kFarBeyondAnyType) parts.exponent = kFarBeyondAnyType;
    }
    if (negative) parts.exponent = -parts.exponent;
  }
  parts.valid = at == text.size();
  return parts;
}

// The digits without leading and trailing zeros, and the power of ten of the last of them; no
// digits: zero.
struct Decimal {
  std::string digits;
  int64_t exponent = 0;
};

Decimal Normalised(const Parts& parts) {
  Decimal decimal;
  decimal.digits.append(parts.whole).append(parts.fraction);
  decimal.exponent = parts.exponent - static_cast<int64_t>(parts.fraction.size());
  while (!decimal.digits.empty() && decimal.digits.back() == '0') {
    decimal.digits.pop_back();
    ++decimal.exponent;
  }
  decimal.digits.erase(0, decimal.digits.find_first_not_of('0'));
  return decimal;
}

template <typename T>
ParsedNumber<T> ParseUnusualInteger(std::string_view text) {
  const Parts parts = Split(text);
  if (!parts.valid) return {0, NumberFault::kNotANumber};
  Decimal decimal = Normalised(parts);
  if (decimal.digits.empty()) return {0, NumberFault::kNone};
  if (decimal.exponent < 0) return {0, NumberFault::kFraction};
  constexpr int64_t kDigitsOfUint64 = 20;
  if (static_cast<int64_t>(decimal.digits.size()) + decimal.exponent > kDigitsOfUint64) {
    return {0, NumberFault::kRange};
  }
  decimal.digits.append(static_cast<size_t>(decimal.exponent), '0');
  if (parts.negative) decimal.digits.insert(0, "-");
  T value{};
  const char* const end = decimal.digits.data() + decimal.digits.size();
  const auto [stop, error] = std::from_chars(decimal.digits.data(), end, value);
  if (error != std::errc() || stop != end) return {0, NumberFault::kRange};
  return {value, NumberFault::kNone};
}

}  // namespace

bool IsJsonNumber(std::string_view text) { return Split(text).valid; }

template <typename T>
ParsedNumber<T> ParseInteger(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end) [[likely]] {
    const size_t sign = text[0] == '-' ? 1 : 0;
    if (text[sign] != '0' || text.size() == sign + 1) [[likely]]
      return {value, NumberFault::kNone};
  }
  return ParseUnusualInteger<T>(text);
}

template <typename T>
ParsedNumber<T> ParseFloating(std::string_view text) {
  const Parts parts = Split(text);
  if (!parts.valid) return {0, NumberFault::kNotANumber};
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && std::isfinite(value)) [[likely]]
    return {value, NumberFault::kNone};
  // The library does not say whether the value was too large or too small for it.
  const Decimal decimal = Normalised(parts);
  if (static_cast<int64_t>(decimal.digits.size()) + decimal.exponent > 0) {
    return {0, NumberFault::kRange};
  }
  return {parts.negative ? -T{0} : T{0}, NumberFault::kNone};
}

template ParsedNumber<int32_t> ParseInteger(std::string_view);
template ParsedNumber<uint32_t> ParseInteger(std::string_view);
template ParsedNumber<int64_t> ParseInteger(std::string_view);
template ParsedNumber<uint64_t> ParseInteger(std::string_view);
template ParsedNumber<float> ParseFloating(std::string_view);
template ParsedNumber<double> ParseFloating(std::string_view);

}  // namespace starling::json
