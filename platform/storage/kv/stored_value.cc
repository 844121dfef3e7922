#include "platform/storage/kv/stored_value.h"

#include <algorithm>
#include <chrono>

namespace starling::kv {
namespace {

constexpr char kForEver = 0;
constexpr char kExpires = 1;
constexpr size_t kExpiryBytes = 8;

}  // namespace

std::string EncodeStored(std::string_view value, std::optional<TimePoint> expires) {
  std::string stored;
  stored.reserve(1 + kExpiryBytes + value.size());
  if (!expires.has_value()) {
    stored.push_back(kForEver);
  } else {
    stored.push_back(kExpires);
    const auto since = expires->time_since_epoch();
    const auto milliseconds =
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
    for (int shift = 56; shift >= 0; shift -= 8) {
      stored.push_back(static_cast<char>(milliseconds >> shift & 0xff));
    }
  }
  stored.append(value);
  return stored;
}

std::optional<StoredValue> DecodeStored(std::string_view stored) {
  if (stored.empty()) return std::nullopt;
  const char kind = stored.front();
  stored.remove_prefix(1);
  if (kind == kForEver) return StoredValue{stored, std::nullopt};
  if (kind != kExpires || stored.size() < kExpiryBytes) return std::nullopt;
  uint64_t milliseconds = 0;
  for (size_t i = 0; i < kExpiryBytes; ++i) {
    milliseconds = milliseconds << 8 | static_cast<unsigned char>(stored[i]);
  }
  // What TimePoint cannot hold (year 2262 on) never expires within its own reach.
  constexpr auto kLatest =
      std::chrono::duration_cast<std::chrono::milliseconds>(TimePoint::max().time_since_epoch());
  const auto within = std::min<uint64_t>(milliseconds, kLatest.count());
  stored.remove_prefix(kExpiryBytes);
  return StoredValue{stored, TimePoint(std::chrono::milliseconds(static_cast<int64_t>(within)))};
}

}  // namespace starling::kv
