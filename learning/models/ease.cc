#include "learning/models/ease.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/math/dense.h"
#include "learning/models/fit_checks.h"
#include "learning/models/user_weights.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;
constexpr uint32_t kNotModelled = ~uint32_t{0};

// The most popular items, by ascending index.
std::vector<uint32_t> ModelledItems(const Interactions& data, size_t max_items) {
  const std::vector<uint32_t> counts = data.ItemCounts();
  std::vector<uint32_t> items;
  for (uint32_t item = 0; item < counts.size(); ++item) {
    if (counts[item] > 0) {
      items.push_back(item);
    }
  }
  if (items.size() > max_items) {
    std::nth_element(items.begin(), items.begin() + static_cast<ptrdiff_t>(max_items), items.end(),
                     [&](uint32_t a, uint32_t b) {
                       return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
                     });
    items.resize(max_items);
    std::sort(items.begin(), items.end());
  }
  return items;
}

// X'WX + L, its lower triangle, over the modelled items; sets L.
std::vector<float> RegularisedGram(const Interactions& rows, std::span<const uint32_t> modelled,
                                   const EaseOptions& options, std::vector<float>& added) {
  const size_t size = modelled.size();
  std::vector<uint32_t> position(rows.items(), kNotModelled);
  for (size_t i = 0; i < size; ++i) {
    position[modelled[i]] = static_cast<uint32_t>(i);
  }
  const Interactions columns = rows.Transposed();
  const std::vector<float> user_weights = UserWeights(rows, options.user_exponent);
  std::vector<float> gram(size * size, 0.0F);
  added.resize(size);
  // One row of the result at a time: it stays in cache, and no two threads write the same.
  ParallelFor(size, options.threads, 8, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      float* sums = gram.data() + i * size;
      const Interactions::Row users = columns.row(modelled[i]);
      for (size_t u = 0; u < users.size(); ++u) {
        const Interactions::Row row = rows.row(users.items[u]);
        const float weight = users.weights[u] * user_weights[users.items[u]];
        for (size_t k = 0; k < row.size() && row.items[k] <= modelled[i]; ++k) {
          const uint32_t j = position[row.items[k]];
          if (j != kNotModelled) {
            sums[j] += weight * row.weights[k];
          }
        }
      }
      added[i] = AddedToDiagonal(options.regularisation, options.dropout, sums[i]);
      sums[i] += added[i];
    }
  });
  return gram;
}

// Column `target` of B, which is row `target` of the symmetric P over -P_jj, times `scale`: the
// largest weights, in `found`.
void LargestWeights(std::span<const float> inverse, size_t size, size_t target, float scale,
                    std::span<const uint32_t> modelled, int neighbours,
                    std::vector<Source>& found) {
  const float* row = inverse.data() + target * size;
  found.clear();
  for (size_t i = 0; i < size; ++i) {
    if (i != target && row[i] != 0) {
      found.push_back({modelled[i], -row[i] / row[target] * scale});
    }
  }
  if (neighbours > 0 && found.size() > static_cast<size_t>(neighbours)) {
    std::nth_element(found.begin(), found.begin() + neighbours, found.end(),
                     [](const Source& a, const Source& b) {
                       const float x = std::abs(a.weight);
                       const float y = std::abs(b.weight);
                       return x != y ? x > y : a.item < b.item;
                     });
    found.resize(static_cast<size_t>(neighbours));
  }
}

// How many weights are kept when so many items are modelled.
uint64_t WeightsOf(uint64_t size, const EaseOptions& options) {
  const uint64_t others = size == 0 ? 0 : size - 1;
  const auto neighbours = static_cast<uint64_t>(options.neighbours);
  return size * (neighbours == 0 ? others : std::min(others, neighbours));
}

uint64_t MemoryOf(const Interactions& data, uint64_t size, const EaseOptions& options) {
  const uint64_t weights = WeightsOf(size, options);
  const uint64_t matrix = 4 * size * size;
  const uint64_t sources = ItemToItemModel::SourcesMemory(data.items(), weights);
  const uint64_t gram = WeighedMemory(data) + 4 * data.items() + 4 * data.users() + matrix;
  const uint64_t choosing = matrix + sources + 8 * size * static_cast<uint64_t>(options.threads);
  const uint64_t model = sources + ItemToItemModel::MemoryOf(data.items(), weights);
  return std::max({gram, choosing, model}) + 8 * size + 4 * data.items();
}

// Weights into each item, and what can still be scaled by: `unexplained` of an unrelaxed fit.
struct Fitted {
  BumpRows<Source> sources;
  std::vector<float> unexplained;
};

StatusOr<Fitted> FitSources(const Interactions& data, std::span<const uint32_t> modelled,
                            const EaseOptions& options, const Progress& progress) {
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  const size_t size = modelled.size();
  std::vector<float> added;
  std::vector<float> matrix =
      RegularisedGram(data.Weighed(options.weighting, as_of), modelled, options, added);
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0.1));
  STARLING_RETURN_IF_ERROR(InvertPositiveDefinite(matrix, size, options.threads));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0.9));

  Fitted fitted{.sources = BumpRows<Source>(data.items(), WeightsOf(size, options))};
  if (options.relaxation == 0) fitted.unexplained.resize(data.items(), 1.0F);
  ParallelFor(size, options.threads, 16, [&](size_t begin, size_t end) {
    std::vector<Source> found;
    found.reserve(size);
    for (size_t target = begin; target < end; ++target) {
      const float unexplained = added[target] * matrix[target * size + target];
      if (options.relaxation == 0) fitted.unexplained[modelled[target]] = unexplained;
      const float scale = RelaxedBy(unexplained, options.relaxation);
      LargestWeights(matrix, size, target, scale, modelled, options.neighbours, found);
      std::ranges::copy(found, fitted.sources.Take(modelled[target], found.size()).begin());
    }
  });
  return fitted;
}

}  // namespace

uint64_t EaseMemory(const Interactions& data, const EaseOptions& options) {
  return MemoryOf(data, ModelledItems(data, options.max_items).size(), options);
}

StatusOr<ItemToItemModel> FitEase(const Interactions& data, const EaseOptions& options,
                                  const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckRegression(options));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("max_items", static_cast<double>(options.max_items), 1));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("neighbours", options.neighbours, 0));
  const std::vector<uint32_t> modelled = ModelledItems(data, options.max_items);
  STARLING_RETURN_IF_ERROR(
      CheckMemory(MemoryOf(data, modelled.size(), options), options.memory_limit,
                  "lower max_items or neighbours, or raise it when the machine has the memory"));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0));
  STARLING_ASSIGN_OR_RETURN(Fitted fitted, FitSources(data, modelled, options, progress));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kEaseKind, options.weighting, fitted.sources,
                         std::move(fitted.unexplained));
}

}  // namespace starling::learning
