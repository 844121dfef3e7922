// Types of configuration values that C++ has none for: sizes in bytes, and secrets.
//
//   struct CacheOptions {
//     config::Bytes capacity = config::Bytes::MiB(64);  // "64MiB" in the file
//     config::Secret key;  // "key: ..." or "key_file: /run/secrets/key"
//   };
//   cache.Resize(options.capacity.count());
//   client.SignWith(options.key.Reveal());
#pragma once

#include <compare>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace starling::config {

// A number of bytes. Text: "4096", "16KiB", "64MiB", "2GiB", "1TiB" (powers of 1024), "10kB",
// "5MB", "1GB" (of 1000).
class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(uint64_t count) : count_(count) {}
  static constexpr Bytes KiB(uint64_t n) { return Bytes(n << 10); }
  static constexpr Bytes MiB(uint64_t n) { return Bytes(n << 20); }
  static constexpr Bytes GiB(uint64_t n) { return Bytes(n << 30); }

  constexpr uint64_t count() const { return count_; }
  constexpr auto operator<=>(const Bytes&) const = default;

  // nullopt for another unit, a fraction, a sign, or what does not fit in 64 bits.
  static std::optional<Bytes> Parse(std::string_view text);
  // In the largest unit of 1024 that divides it: "64MiB".
  std::string ToText() const;

 private:
  uint64_t count_ = 0;
};

// A text that must not be seen: it prints as ***, wherever it is printed, and is read by Reveal
// alone.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string value_;
};

inline constexpr std::string_view kHiddenSecret = "***";
std::ostream& operator<<(std::ostream& out, const Secret& secret);
std::ostream& operator<<(std::ostream& out, Bytes bytes);

}  // namespace starling::config
