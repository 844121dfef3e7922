#include "learning/models/transitions.h"

#include <algorithm>
#include <cmath>

#include "learning/models/fit_checks.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

// What is beyond this many half-lives says nothing.
constexpr double kLongestGap = 6;

// Where an item is a target: a basket, with the first of its user's.
struct Place {
  uint32_t basket;
  uint32_t first;
};

struct Places {
  std::vector<size_t> offsets;  // items + 1
  std::vector<Place> places;
};

// Calls f(earlier basket, w) for those before `basket` that speak for it.
template <typename F>
void ForEachBefore(const Baskets& baskets, const TransitionsOptions& options, size_t basket,
                   size_t first, const F& f) {
  const auto steps = static_cast<size_t>(options.steps);
  for (size_t d = 1; d <= steps && basket >= first + d; ++d) {
    const auto gap = static_cast<double>(baskets.time(basket) - baskets.time(basket - d));
    if (gap > kLongestGap * options.half_life) break;
    f(basket - d, static_cast<float>(std::exp2(-gap / options.half_life) / static_cast<double>(d)));
  }
}

// Calls f(item, place) for each time that an item counts as a target, in the order of baskets.
template <typename F>
void ForEachTarget(const Baskets& baskets, TransitionsOptions::Targets targets, const F& f) {
  std::vector<uint32_t> seen_by(baskets.items(), 0);  // the last user that had it, from 1
  for (size_t user = 0; user < baskets.users(); ++user) {
    for (size_t b = baskets.begin(user); b < baskets.end(user); ++b) {
      for (const uint32_t item : baskets.items_of(b)) {
        const bool first = seen_by[item] != user + 1;
        seen_by[item] = static_cast<uint32_t>(user + 1);
        if (b == baskets.begin(user)) continue;  // nothing came before it
        if (targets == TransitionsOptions::Targets::kFirst && !first) continue;
        f(item, Place{static_cast<uint32_t>(b), static_cast<uint32_t>(baskets.begin(user))});
      }
    }
  }
}

Places PlacesOf(const Baskets& baskets, TransitionsOptions::Targets targets) {
  Places found;
  found.offsets.assign(baskets.items() + 1, 0);
  ForEachTarget(baskets, targets, [&](uint32_t item, Place) { ++found.offsets[item + 1]; });
  for (size_t item = 0; item < baskets.items(); ++item)
    found.offsets[item + 1] += found.offsets[item];
  found.places.resize(found.offsets.back());
  std::vector<size_t> next(found.offsets.begin(), found.offsets.end() - 1);
  ForEachTarget(baskets, targets,
                [&](uint32_t item, Place place) { found.places[next[item]++] = place; });
  return found;
}

// n_i: how much each item speaks at all.
std::vector<float> Spoken(const Baskets& baskets, const TransitionsOptions& options) {
  std::vector<double> spoken(baskets.items(), 0);
  for (size_t user = 0; user < baskets.users(); ++user) {
    for (size_t b = baskets.begin(user); b < baskets.end(user); ++b) {
      ForEachBefore(baskets, options, b, baskets.begin(user), [&](size_t before, float w) {
        for (const uint32_t item : baskets.items_of(before)) spoken[item] += w;
      });
    }
  }
  return {spoken.begin(), spoken.end()};
}

// What one thread adds up in; `sums` is all zero between items, `touched` empty.
struct Scratch {
  std::vector<float> sums;
  std::vector<uint32_t> touched;
  std::vector<Source> found;
};

void FindSources(uint32_t item, const Baskets& baskets, const Places& places,
                 const TransitionsOptions& options, std::span<const float> spoken,
                 Scratch& scratch) {
  auto& [sums, touched, found] = scratch;
  for (size_t p = places.offsets[item]; p < places.offsets[item + 1]; ++p) {
    const Place& place = places.places[p];
    ForEachBefore(baskets, options, place.basket, place.first, [&](size_t before, float w) {
      for (const uint32_t source : baskets.items_of(before)) {
        if (sums[source] == 0) touched.push_back(source);
        sums[source] += w;
      }
    });
  }
  double reached = 0;
  for (const uint32_t source : touched) reached += source == item ? 0 : sums[source];
  const double popular = std::pow(reached + options.prior, options.target_exponent);
  found.clear();
  for (const uint32_t source : touched) {
    const double scale = (spoken[source] + options.prior) * popular;
    if (source != item) found.push_back({source, static_cast<float>(sums[source] / scale)});
    sums[source] = 0;
  }
  touched.clear();
  const size_t kept = std::min(found.size(), static_cast<size_t>(options.neighbours));
  std::nth_element(found.begin(), found.begin() + static_cast<ptrdiff_t>(kept), found.end(),
                   [](const Source& a, const Source& b) {
                     return a.weight != b.weight ? a.weight > b.weight : a.item < b.item;
                   });
  found.resize(kept);
}

}  // namespace

uint64_t TransitionsMemory(const Baskets& baskets, const TransitionsOptions& options) {
  const uint64_t items = baskets.items();
  // As many sources as are kept, or as there are entries that can be.
  const uint64_t weights = std::min(items * static_cast<uint64_t>(options.neighbours),
                                    baskets.entries() * static_cast<uint64_t>(options.steps) *
                                        baskets.entries() / std::max<uint64_t>(1, baskets.size()));
  const uint64_t places = sizeof(Place) * baskets.entries() + 28 * items;
  const uint64_t scratch = 16 * items;
  return ItemToItemModel::SourcesMemory(items, weights) +
         std::max(places + static_cast<uint64_t>(options.threads) * scratch,
                  ItemToItemModel::MemoryOf(items, weights));
}

StatusOr<ItemToItemModel> FitTransitions(const Baskets& baskets, const TransitionsOptions& options,
                                         const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  STARLING_RETURN_IF_ERROR(CheckPositive("half_life", options.half_life));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("steps", options.steps, 1));
  STARLING_RETURN_IF_ERROR(CheckPositive("prior", options.prior));
  STARLING_RETURN_IF_ERROR(CheckShare("target_exponent", options.target_exponent));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("neighbours", options.neighbours, 1));
  STARLING_RETURN_IF_ERROR(CheckMemory(TransitionsMemory(baskets, options), options.memory_limit,
                                       "lower neighbours, or raise it when the machine has the "
                                       "memory"));
  const size_t items = baskets.items();
  BumpRows<Source> sources(items, items * static_cast<size_t>(options.neighbours));
  {
    const Places places = PlacesOf(baskets, options.targets);
    const std::vector<float> spoken = Spoken(baskets, options);
    constexpr size_t kParts = 20;  // how often progress is told
    const size_t part = std::max<size_t>(1, (items + kParts - 1) / kParts);
    for (size_t first = 0; first < items; first += part) {
      STARLING_RETURN_IF_ERROR(
          ReportProgress(progress, static_cast<double>(first) / static_cast<double>(items)));
      ParallelFor(
          std::min(part, items - first), options.threads, 256, [&](size_t begin, size_t end) {
            Scratch scratch{.sums = std::vector<float>(items, 0.0F), .touched = {}, .found = {}};
            for (size_t item = first + begin; item < first + end; ++item) {
              FindSources(static_cast<uint32_t>(item), baskets, places, options, spoken, scratch);
              std::ranges::copy(scratch.found, sources.Take(item, scratch.found.size()).begin());
            }
          });
    }
  }
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kTransitionsKind,
                         {.scale = Weighting::Scale::kBinary, .half_life = options.half_life},
                         sources);
}

}  // namespace starling::learning
