#include "learning/blend.h"

#include <algorithm>

namespace starling::learning {
namespace {

struct Term {
  uint32_t item;
  size_t source;
  double value;
};

double Normalised(const BlendSource& source, size_t index, BlendOptions::Normalisation how) {
  if (how == BlendOptions::Normalisation::kReciprocalRank) {
    return 1.0 / (60.0 + static_cast<double>(index + 1));
  }
  const double highest = source.candidates.front().score;
  const double lowest = source.candidates.back().score;
  return highest > lowest ? (source.candidates[index].score - lowest) / (highest - lowest) : 1.0;
}

}  // namespace

std::vector<BlendedItem> Blend(std::span<const BlendSource> sources, const BlendOptions& options) {
  std::vector<Term> terms;
  for (size_t s = 0; s < sources.size(); ++s) {
    for (size_t i = 0; i < sources[s].candidates.size(); ++i) {
      terms.push_back({sources[s].candidates[i].item, s,
                       sources[s].weight * Normalised(sources[s], i, options.normalisation)});
    }
  }
  std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
    return a.item != b.item ? a.item < b.item : a.source < b.source;
  });
  std::vector<BlendedItem> blended;
  double largest = 0;
  for (const Term& term : terms) {
    if (blended.empty() || blended.back().item != term.item) {
      blended.push_back({term.item, term.value, term.source});
      largest = term.value;
      continue;
    }
    blended.back().score += term.value;
    if (term.value > largest) {
      largest = term.value;
      blended.back().main_source = term.source;
    }
  }
  std::sort(blended.begin(), blended.end(), [](const BlendedItem& a, const BlendedItem& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  });
  blended.resize(std::min(blended.size(), options.k));
  return blended;
}

}  // namespace starling::learning
