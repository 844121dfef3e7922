// Item-to-item weights in four bytes each, since serving reads them from memory and waits for it.
//
//   entry := gap:16 (low) weight:16 (high)
//   A row's targets ascend; the first is gap, each other the one before it plus gap. weight is the
//   upper half of a float (bfloat16: 8 bits of precision, so an error of at most 0.2 %). Where a
//   gap does not fit, entries of gap 65535 and weight 0 stand between.
//
//   uint32_t target = 0;
//   for (uint32_t entry : row) { target += Gap(entry); scores[target] += x * WeightOf(entry); }
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace starling::learning {

inline constexpr uint32_t kLargestGap = 0xFFFF;

inline uint32_t Gap(uint32_t entry) { return entry & 0xFFFF; }
inline float WeightOf(uint32_t entry) { return std::bit_cast<float>(entry & 0xFFFF0000); }

// A finite weight to the nearest that fits, ties to even.
inline uint32_t PackWeight(float weight) {
  const auto bits = std::bit_cast<uint32_t>(weight);
  return (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000;
}

// Appends one entry, and those that a wide gap needs. `last`: the target of the row's entry before,
// 0 at its beginning.
inline void PackEntry(uint32_t last, uint32_t target, float weight, std::vector<uint32_t>& out) {
  uint32_t gap = target - last;
  for (; gap > kLargestGap; gap -= kLargestGap) out.push_back(kLargestGap);
  out.push_back(PackWeight(weight) | gap);
}

}  // namespace starling::learning
