#include "learning/models/content.h"

#include <algorithm>
#include <cmath>

#include "learning/models/fit_checks.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

// The terms by item and the items by term, with weights of rows of length 1.
struct Weighed {
  std::vector<float> idf;
  std::vector<float> scale;  // 1 / |i|; 0 for an item without words that tell it from others
  std::vector<size_t> offsets;
  std::vector<uint32_t> items;  // by term
};

Weighed Weigh(const ItemTerms& terms) {
  Weighed weighed;
  weighed.offsets.assign(terms.terms() + 1, 0);
  for (size_t item = 0; item < terms.items(); ++item)
    for (const uint32_t term : terms.of_item(item)) ++weighed.offsets[term + 1];
  for (size_t term = 0; term < terms.terms(); ++term) {
    const auto count = static_cast<double>(weighed.offsets[term + 1]);
    weighed.idf.push_back(
        static_cast<float>(std::log(static_cast<double>(terms.items()) / std::max(count, 1.0))));
    weighed.offsets[term + 1] += weighed.offsets[term];
  }
  weighed.items.resize(weighed.offsets.back());
  std::vector<size_t> next(weighed.offsets.begin(), weighed.offsets.end() - 1);
  for (uint32_t item = 0; item < terms.items(); ++item) {
    float squares = 0;
    for (const uint32_t term : terms.of_item(item)) {
      weighed.items[next[term]++] = item;
      squares += weighed.idf[term] * weighed.idf[term];
    }
    weighed.scale.push_back(squares > 0 ? 1 / std::sqrt(squares) : 0);
  }
  return weighed;
}

// What one thread adds up in; `sums` is all zero between items.
struct Scratch {
  std::vector<float> sums;
  std::vector<uint32_t> touched;
};

// The neighbours of one item, into `found`.
void FindNearest(uint32_t item, const ItemTerms& terms, const Weighed& weighed,
                 std::span<const uint32_t> buyers, const ContentOptions& options, Scratch& scratch,
                 std::vector<Source>& found) {
  auto& [sums, touched] = scratch;
  found.clear();
  if (weighed.scale[item] == 0) return;
  for (const uint32_t term : terms.of_item(item)) {
    const size_t begin = weighed.offsets[term];
    const size_t end = weighed.offsets[term + 1];
    const float of_term = weighed.idf[term] * weighed.idf[term] * weighed.scale[item];
    if (end - begin > options.most_of_term || !(of_term > 0)) continue;
    for (size_t i = begin; i < end; ++i) {
      const uint32_t other = weighed.items[i];
      if (sums[other] == 0) touched.push_back(other);
      sums[other] += of_term * weighed.scale[other];
    }
  }
  // What the wide terms add to those that the narrow ones found.
  float wide = 0;
  for (const uint32_t term : terms.of_item(item))
    wide += weighed.offsets[term + 1] - weighed.offsets[term] > options.most_of_term ? 1 : 0;
  for (const uint32_t other : touched) {
    float cosine = sums[other];
    sums[other] = 0;
    if (other == item) continue;
    if (wide > 0) {
      for (const uint32_t term : terms.of_item(item)) {
        if (weighed.offsets[term + 1] - weighed.offsets[term] <= options.most_of_term) continue;
        const auto of_other = terms.of_item(other);
        if (std::find(of_other.begin(), of_other.end(), term) == of_other.end()) continue;
        cosine +=
            weighed.idf[term] * weighed.idf[term] * weighed.scale[item] * weighed.scale[other];
      }
    }
    if (cosine >= options.least) found.push_back({other, std::min(cosine, 1.0F)});
  }
  touched.clear();
  const size_t kept = std::min(found.size(), static_cast<size_t>(options.neighbours));
  std::nth_element(found.begin(), found.begin() + static_cast<ptrdiff_t>(kept), found.end(),
                   [&](const Source& a, const Source& b) {
                     if (a.weight != b.weight) return a.weight > b.weight;
                     if (buyers[a.item] != buyers[b.item]) return buyers[a.item] > buyers[b.item];
                     return a.item < b.item;
                   });
  found.resize(kept);
}

// Each pair in both directions, once.
BumpRows<Source> BothWays(const std::vector<std::vector<Source>>& nearest) {
  std::vector<std::vector<Source>> both = nearest;
  size_t count = 0;
  for (uint32_t item = 0; item < nearest.size(); ++item)
    for (const Source& near : nearest[item]) both[near.item].push_back({item, near.weight});
  for (std::vector<Source>& of_item : both) {
    std::sort(of_item.begin(), of_item.end(),
              [](const Source& a, const Source& b) { return a.item < b.item; });
    of_item.erase(std::unique(of_item.begin(), of_item.end(),
                              [](const Source& a, const Source& b) { return a.item == b.item; }),
                  of_item.end());
    count += of_item.size();
  }
  BumpRows<Source> sources(nearest.size(), count);
  for (size_t item = 0; item < both.size(); ++item)
    std::ranges::copy(both[item], sources.Take(item, both[item].size()).begin());
  return sources;
}

}  // namespace

uint64_t ContentMemory(const ItemTerms& terms, const ContentOptions& options) {
  uint64_t entries = 0;
  for (size_t item = 0; item < terms.items(); ++item) entries += terms.of_item(item).size();
  const uint64_t nearest = terms.items() * static_cast<uint64_t>(options.neighbours);
  const uint64_t rows = 24 * terms.items();
  const uint64_t words = 4 * entries + 12 * terms.terms() + 4 * terms.items();
  const uint64_t scratch = 16 * terms.items() * static_cast<uint64_t>(options.threads);
  // What is found is held once, then both ways (a vector may have room for twice as much), then as
  // sources and as the model.
  return rows + 8 * nearest +
         std::max(words + scratch, rows + 32 * nearest +
                                       ItemToItemModel::SourcesMemory(terms.items(), 2 * nearest)) +
         ItemToItemModel::MemoryOf(terms.items(), 2 * nearest);
}

StatusOr<ItemToItemModel> FitContent(const ItemTerms& terms, std::span<const uint32_t> buyers,
                                     const ContentOptions& options, const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("neighbours", options.neighbours, 1));
  STARLING_RETURN_IF_ERROR(
      CheckAtLeast("most_of_term", static_cast<double>(options.most_of_term), 1));
  STARLING_RETURN_IF_ERROR(CheckShare("least", options.least));
  if (buyers.size() != terms.items()) {
    return InvalidField("buyers", "has {} counts for {} items", buyers.size(), terms.items());
  }
  STARLING_RETURN_IF_ERROR(CheckMemory(ContentMemory(terms, options), options.memory_limit,
                                       "lower neighbours, or raise it when the machine has the "
                                       "memory"));
  std::vector<std::vector<Source>> nearest(terms.items());
  {
    const Weighed weighed = Weigh(terms);
    constexpr size_t kParts = 20;  // how often progress is told
    const size_t part = std::max<size_t>(1, (terms.items() + kParts - 1) / kParts);
    for (size_t first = 0; first < terms.items(); first += part) {
      STARLING_RETURN_IF_ERROR(ReportProgress(
          progress, static_cast<double>(first) / static_cast<double>(terms.items())));
      ParallelFor(std::min(part, terms.items() - first), options.threads, 256,
                  [&](size_t begin, size_t end) {
                    Scratch scratch{.sums = std::vector<float>(terms.items(), 0.0F), .touched = {}};
                    std::vector<Source> found;
                    for (size_t item = first + begin; item < first + end; ++item) {
                      FindNearest(static_cast<uint32_t>(item), terms, weighed, buyers, options,
                                  scratch, found);
                      nearest[item].assign(found.begin(), found.end());
                    }
                  });
    }
  }
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  const BumpRows<Source> sources = BothWays(nearest);
  return ItemToItemModel(kContentKind, {.scale = Weighting::Scale::kLinear}, sources);
}

}  // namespace starling::learning
