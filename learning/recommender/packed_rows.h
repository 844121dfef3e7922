// Item-to-item weights in four bytes each, since serving reads them from memory and waits for it.
//
//   entry := gap:16 (low) weight:16 (high)
//   A row's targets ascend; the first is gap, each other the one before it plus gap. weight is the
//   upper half of a float (bfloat16: 8 bits of precision, so an error below 0.4 %). Where a
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

// The other way round, what speaks for an item: for the reason of an answer, which is found in the
// first few since they come by descending weight.
//
//   source := share:10 (low) item:22 (high)     share: of the list's largest weight, in 1023rds, >=
//   1
inline constexpr uint32_t kMostShare = 1023;
inline constexpr size_t kMostItems = size_t{1} << 22;

inline uint32_t PackSource(uint32_t item, float weight, float largest) {
  const auto share = static_cast<uint32_t>(weight / largest * kMostShare);
  return item << 10 | (share == 0 ? 1 : share);
}
inline uint32_t SourceItem(uint32_t source) { return source >> 10; }
inline float SourceShare(uint32_t source) { return static_cast<float>(source & kMostShare); }

}  // namespace starling::learning
