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
      added[i] = AddedToDiagonal(options, sums[i]);
      sums[i] += added[i];
    }
  });
  return gram;
}

// Column `target` of B, which is row `target` of the symmetric P over -P_jj, times `scale`: the
// largest weights.
std::vector<Source> LargestWeights(std::span<const float> inverse, size_t size, size_t target,
                                   float scale, std::span<const uint32_t> modelled,
                                   int neighbours) {
  const float* row = inverse.data() + target * size;
  std::vector<Source> found;
  found.reserve(size);
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
    found.shrink_to_fit();
  }
  return found;
}

}  // namespace

StatusOr<ItemToItemModel> FitEase(const Interactions& data, const EaseOptions& options,
                                  const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckRegression(options));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("max_items", static_cast<double>(options.max_items), 1));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("neighbours", options.neighbours, 0));
  const std::vector<uint32_t> modelled = ModelledItems(data, options.max_items);
  const auto size = static_cast<double>(modelled.size());
  const double kept = options.neighbours == 0 ? size : std::min<double>(size, options.neighbours);
  STARLING_RETURN_IF_ERROR(
      CheckMemory(4 * size * size + 16 * size * kept + 32.0 * static_cast<double>(data.entries()),
                  options.memory_limit,
                  "lower max_items or neighbours, or raise it when the machine has the memory"));

  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0));
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  std::vector<float> added;
  std::vector<float> matrix =
      RegularisedGram(data.Weighed(options.weighting, as_of), modelled, options, added);
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0.1));
  STARLING_RETURN_IF_ERROR(InvertPositiveDefinite(matrix, modelled.size(), options.threads));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0.9));

  std::vector<std::vector<Source>> sources(data.items());
  ParallelFor(modelled.size(), options.threads, 16, [&](size_t begin, size_t end) {
    for (size_t target = begin; target < end; ++target) {
      const float scale =
          Relaxed(added[target] * matrix[target * modelled.size() + target], options.relaxation);
      sources[modelled[target]] =
          LargestWeights(matrix, modelled.size(), target, scale, modelled, options.neighbours);
    }
  });
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kEaseKind, options.weighting, sources);
}

}  // namespace starling::learning
