// Random numbers that are the same on every machine and compiler, unlike <random>'s distributions.
//
//   Random random(seed);
//   uint64_t die = random.Below(6);
//   double noise = random.Normal();
//
// SplitMix64 (Steele, Lea, Flood 2014): 1 ns a number, good statistics, not for secrets. Not
// thread-safe.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace starling::learning {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound), bound > 0; the bias is below bound / 2^64.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  // Uniform in (0, 1].
  double Unit() { return (static_cast<double>(Next() >> 11) + 1) * 0x1.0p-53; }
  // Standard normal (Box and Muller 1958).
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(Unit()));
    return radius * std::cos(2 * std::numbers::pi * Unit());
  }

 private:
  uint64_t state_;
};

}  // namespace starling::learning
