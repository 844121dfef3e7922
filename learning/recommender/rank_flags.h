// What a call of Recommender::Rank notes of an item, in RankScratch::flags.
#pragma once

#include <cstdint>

#include "learning/recommender/recommender.h"

namespace starling::learning {

inline constexpr uint8_t kHad = 1;        // and is not to be given again
inline constexpr uint8_t kUnwanted = 16;  // the query excludes it
inline constexpr uint8_t kExcluded = kHad | kUnwanted;
inline constexpr uint8_t kCandidate = 2;
inline constexpr uint8_t kTaken = 4;
inline constexpr uint8_t kOffered = 8;

inline bool Better(const RankedItem& a, const RankedItem& b) {
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

}  // namespace starling::learning
