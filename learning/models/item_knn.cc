#include "learning/models/item_knn.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "learning/models/fit_checks.h"
#include "learning/models/neighbour_counts.h"
#include "learning/models/user_weights.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

// What divides similarities: of each item as the one that speaks, and as the one spoken for.
struct Norms {
  std::vector<double> source, target;
};

Norms NormsOf(const Interactions& columns, std::span<const float> user_weights, double exponent) {
  Norms norms;
  norms.source.reserve(columns.users());
  norms.target.reserve(columns.users());
  for (size_t item = 0; item < columns.users(); ++item) {
    const Interactions::Row users = columns.row(item);
    double sum = 0;
    for (size_t u = 0; u < users.size(); ++u)
      sum +=
          static_cast<double>(users.weights[u]) * users.weights[u] * user_weights[users.items[u]];
    norms.source.push_back(std::pow(sum, 1 - exponent));
    norms.target.push_back(std::pow(sum, exponent));
  }
  return norms;
}

// What one thread adds up in; `sums` is all zero between items, `touched` empty.
struct Scratch {
  std::vector<float> sums;
  std::vector<uint32_t> touched;
  std::vector<Source> found;
};

// The neighbours of one item, in scratch.found.
void FindNeighbours(uint32_t item, const Interactions& rows, const Interactions& columns,
                    const Norms& norms, std::span<const float> user_weights,
                    const ItemKnnOptions& options, Scratch& scratch) {
  auto& [sums, touched, found] = scratch;
  const Interactions::Row users = columns.row(item);
  for (size_t u = 0; u < users.size(); ++u) {
    const Interactions::Row row = rows.row(users.items[u]);
    const float weight = users.weights[u] * user_weights[users.items[u]];
    for (size_t i = 0; i < row.size(); ++i) {
      if (sums[row.items[i]] == 0) {
        touched.push_back(row.items[i]);
      }
      sums[row.items[i]] += weight * row.weights[i];
    }
  }
  found.clear();
  for (const uint32_t other : touched) {
    const auto scale =
        static_cast<float>(norms.source[other] * norms.target[item] + options.shrinkage);
    if (other != item && sums[other] > 0) {
      found.push_back({other, sums[other] / scale});
    }
    sums[other] = 0;
  }
  touched.clear();
  const auto better = [](const Source& a, const Source& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.item < b.item;
  };
  const size_t kept = std::min(found.size(), static_cast<size_t>(options.neighbours));
  std::nth_element(found.begin(), found.begin() + static_cast<ptrdiff_t>(kept), found.end(),
                   better);
  found.resize(kept);
}

uint64_t MemoryOf(const Interactions& data, const NeighbourCounts& counts,
                  const ItemKnnOptions& options) {
  const uint64_t weights = counts.Expected(static_cast<size_t>(options.neighbours));
  const uint64_t sources = ItemToItemModel::SourcesMemory(data.items(), weights);
  const uint64_t norms = 16 * data.items() + 4 * data.users();
  const uint64_t scratch = 4 * data.items() + 12 * counts.Widest();
  const uint64_t finding =
      WeighedMemory(data) + norms + static_cast<uint64_t>(options.threads) * scratch;
  const uint64_t model = ItemToItemModel::MemoryOf(data.items(), weights);
  return sources + std::max(finding, model);
}

StatusOr<BumpRows<Source>> FitSources(const Interactions& data, const ItemKnnOptions& options,
                                      uint64_t most, const Progress& progress) {
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  const Interactions rows = data.Weighed(options.weighting, as_of);
  const Interactions columns = rows.Transposed();
  const std::vector<float> user_weights = UserWeights(rows, options.user_exponent);
  const Norms norms = NormsOf(columns, user_weights, options.item_exponent);
  BumpRows<Source> sources(data.items(), most);
  constexpr size_t kParts = 20;  // how often progress is told
  const size_t part = std::max<size_t>(1, (data.items() + kParts - 1) / kParts);
  for (size_t first = 0; first < data.items(); first += part) {
    STARLING_RETURN_IF_ERROR(
        ReportProgress(progress, static_cast<double>(first) / static_cast<double>(data.items())));
    const size_t count = std::min(part, data.items() - first);
    ParallelFor(count, options.threads, 256, [&](size_t begin, size_t end) {
      Scratch scratch{.sums = std::vector<float>(data.items(), 0.0F)};
      for (size_t item = first + begin; item < first + end; ++item) {
        FindNeighbours(static_cast<uint32_t>(item), rows, columns, norms, user_weights, options,
                       scratch);
        std::ranges::copy(scratch.found, sources.Take(item, scratch.found.size()).begin());
      }
    });
  }
  return sources;
}

}  // namespace

uint64_t ItemKnnMemory(const Interactions& data, const ItemKnnOptions& options) {
  return MemoryOf(data, NeighbourCounts(data, static_cast<size_t>(options.neighbours)), options);
}

StatusOr<ItemToItemModel> FitItemKnn(const Interactions& data, const ItemKnnOptions& options,
                                     const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("neighbours", options.neighbours, 1));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("shrinkage", options.shrinkage, 0));
  STARLING_RETURN_IF_ERROR(CheckShare("user_exponent", options.user_exponent));
  STARLING_RETURN_IF_ERROR(CheckShare("item_exponent", options.item_exponent));
  const auto neighbours = static_cast<size_t>(options.neighbours);
  std::optional<NeighbourCounts> counts(std::in_place, data, neighbours);
  STARLING_RETURN_IF_ERROR(CheckMemory(MemoryOf(data, *counts, options), options.memory_limit,
                                       "lower neighbours, or raise it when the machine has the "
                                       "memory"));
  const uint64_t most = counts->AtMost(neighbours);
  counts.reset();
  STARLING_ASSIGN_OR_RETURN(const BumpRows<Source> sources,
                            FitSources(data, options, most, progress));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kItemKnnKind, options.weighting, sources);
}

}  // namespace starling::learning
