#include "platform/config/types.h"

#include <charconv>
#include <limits>
#include <ostream>

namespace starling::config {
namespace {

constexpr struct {
  std::string_view unit;
  uint64_t bytes;
} kUnits[] = {{"TiB", 1ull << 40},
              {"GiB", 1ull << 30},
              {"MiB", 1ull << 20},
              {"KiB", 1ull << 10},
              {"B", 1},
              {"", 1},
              {"kB", 1'000},
              {"MB", 1'000'000},
              {"GB", 1'000'000'000},
              {"TB", 1'000'000'000'000}};

}  // namespace

std::optional<Bytes> Bytes::Parse(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  const std::string_view unit = text.substr(end - text.data());
  for (const auto& [name, bytes] : kUnits) {
    if (unit != name) continue;
    if (number > std::numeric_limits<uint64_t>::max() / bytes) return std::nullopt;
    return Bytes(number * bytes);
  }
  return std::nullopt;
}

std::string Bytes::ToText() const {
  for (const auto& [unit, bytes] : kUnits) {
    if (count_ >= bytes && count_ % bytes == 0)
      return std::to_string(count_ / bytes) + std::string(unit);
  }
  return "0B";
}

std::ostream& operator<<(std::ostream& out, const Secret&) { return out << kHiddenSecret; }
std::ostream& operator<<(std::ostream& out, Bytes bytes) { return out << bytes.ToText(); }

}  // namespace starling::config
