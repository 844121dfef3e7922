// Candidates of several models as one ranking, each with the model that put it there.
//
//   std::vector<BlendSource> sources = {{.weight = 1, .candidates = from_ease},
//                                       {.weight = 0.3, .candidates = from_popularity}};
//   std::vector<BlendedItem> ranking = Blend(sources, {.k = 10});
//   // ranking[0].main_source == 0: tell ease.Explain(history, now, ...), not "it is popular"
//
//   score(i) = sum over sources s of weight_s n_s(i),    n_s(i) = 0 where s does not have i
//   min-max:          n_s(i) = (score - lowest) / (highest - lowest) over the candidates of s; 1
//   for
//                     all when they are alike
//   reciprocal rank:  n_s(i) = 1 / (60 + rank of i in s) (Cormack, Clarke, Buettcher 2009)
//
// Scores of different models do not compare, so min-max keeps their shape and reciprocal rank
// forgets it: take the second when one model's scores have outliers. The main source of an item is
// the one with the largest term. Order: score, then item. Pure; n log n over all candidates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/retrieval/top_k.h"

namespace starling::learning {

struct BlendSource {
  double weight = 1;                       // >= 0
  std::span<const ScoredItem> candidates;  // by descending score, no item twice, scores finite
};

struct BlendOptions {
  enum class Normalisation : uint8_t { kMinMax, kReciprocalRank };
  Normalisation normalisation = Normalisation::kMinMax;
  size_t k = 10;
};

struct BlendedItem {
  uint32_t item = 0;
  double score = 0;
  size_t main_source = 0;  // index into the sources
};

std::vector<BlendedItem> Blend(std::span<const BlendSource> sources, const BlendOptions& options);

}  // namespace starling::learning
