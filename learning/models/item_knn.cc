#include "learning/models/item_knn.h"

#include <algorithm>
#include <cmath>

#include "learning/models/fit_checks.h"
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

// The neighbours of one item; `sums` is all zero before and after, `touched` empty.
std::vector<Source> Neighbours(uint32_t item, const Interactions& rows, const Interactions& columns,
                               const Norms& norms, std::span<const float> user_weights,
                               const ItemKnnOptions& options, std::vector<float>& sums,
                               std::vector<uint32_t>& touched) {
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
  std::vector<Source> found;
  found.reserve(touched.size());
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
  found.shrink_to_fit();
  return found;
}

}  // namespace

StatusOr<ItemToItemModel> FitItemKnn(const Interactions& data, const ItemKnnOptions& options,
                                     const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("neighbours", options.neighbours, 1));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("shrinkage", options.shrinkage, 0));
  STARLING_RETURN_IF_ERROR(CheckShare("user_exponent", options.user_exponent));
  STARLING_RETURN_IF_ERROR(CheckShare("item_exponent", options.item_exponent));
  const auto items = static_cast<double>(data.items());
  const double kept = items * std::min(items, static_cast<double>(options.neighbours));
  STARLING_RETURN_IF_ERROR(CheckMemory(
      32.0 * static_cast<double>(data.entries()) + 16 * kept + 8.0 * options.threads * items,
      options.memory_limit, "lower neighbours, or raise it when the machine has the memory"));

  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  const Interactions rows = data.Weighed(options.weighting, as_of);
  const Interactions columns = rows.Transposed();
  const std::vector<float> user_weights = UserWeights(rows, options.user_exponent);
  const Norms norms = NormsOf(columns, user_weights, options.item_exponent);
  std::vector<std::vector<Source>> sources(data.items());
  constexpr size_t kParts = 20;  // how often progress is told
  const size_t part = std::max<size_t>(1, (data.items() + kParts - 1) / kParts);
  for (size_t first = 0; first < data.items(); first += part) {
    STARLING_RETURN_IF_ERROR(
        ReportProgress(progress, static_cast<double>(first) / static_cast<double>(data.items())));
    const size_t count = std::min(part, data.items() - first);
    ParallelFor(count, options.threads, 256, [&](size_t begin, size_t end) {
      std::vector<float> sums(data.items(), 0.0F);
      std::vector<uint32_t> touched;
      for (size_t item = first + begin; item < first + end; ++item) {
        sources[item] = Neighbours(static_cast<uint32_t>(item), rows, columns, norms, user_weights,
                                   options, sums, touched);
      }
    });
  }
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kItemKnnKind, options.weighting, sources);
}

}  // namespace starling::learning
