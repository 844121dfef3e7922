// What a call of Recommender::Rank notes of an item, in RankScratch::flags, and how many it looks
// at.
#pragma once

#include <cstddef>
#include <cstdint>

#include "learning/recommender/recommender.h"

namespace starling::learning {

inline constexpr uint8_t kHad = 1;        // and is not to be given again
inline constexpr uint8_t kUnwanted = 16;  // the query excludes it
inline constexpr uint8_t kExcluded = kHad | kUnwanted;
inline constexpr uint8_t kCandidate = 2;
inline constexpr uint8_t kTaken = 4;
inline constexpr uint8_t kOffered = 8;

// How many candidates of the second stage the main model brings.
inline constexpr size_t kPoolMain = 160;
// Popular items that are looked at beside those that the history speaks for.
inline constexpr size_t kPopularCandidates = 200;

inline bool Better(const RankedItem& a, const RankedItem& b) {
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

}  // namespace starling::learning
