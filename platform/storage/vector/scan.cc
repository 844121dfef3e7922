#include "platform/storage/vector/scan.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace starling::vector {
namespace {

constexpr size_t kLanes = 8;

// The sum of term(i), always added up in the same order.
template <typename Term>
float Sum(size_t size, const Term& term) {
  std::array<float, kLanes> sums{};
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(i + lane);
  }
  for (size_t lane = 0; i < size; ++i, ++lane) sums[lane] += term(i);
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

float ScoreOf(Metric metric, std::span<const float> query, float query_norm,
              std::span<const float> values) {
  switch (metric) {
    case Metric::kInnerProduct:
      return Dot(query, values);
    case Metric::kCosine:
      return Dot(query, values) / (query_norm * Norm(values));
    case Metric::kL2:
      break;
  }
  return -Sum(query.size(), [&](size_t i) {
    const float gap = query[i] - values[i];
    return gap * gap;
  });
}

}  // namespace

float Dot(std::span<const float> a, std::span<const float> b) {
  return Sum(a.size(), [&](size_t i) { return a[i] * b[i]; });
}

float Norm(std::span<const float> values) { return std::sqrt(Dot(values, values)); }

float Score(Metric metric, std::span<const float> query, std::span<const float> values) {
  return ScoreOf(metric, query, metric == Metric::kCosine ? Norm(query) : 0, values);
}

std::vector<Found> Scan(std::span<const float> rows, const Shape& shape,
                        std::span<const float> query, size_t k,
                        const std::function<bool(uint32_t)>& may) {
  std::vector<Found> best;  // a heap, the worst in front
  const size_t count = rows.size() / shape.dimension;
  const float norm = shape.metric == Metric::kCosine ? Norm(query) : 0;
  for (uint32_t row = 0; row < count; ++row) {
    const Found found{
        ScoreOf(shape.metric, query, norm, rows.subspan(row * shape.dimension, shape.dimension)),
        row};
    if (best.size() == k && !(found < best.front())) continue;
    if (!may(row)) continue;
    if (best.size() == k) {
      std::pop_heap(best.begin(), best.end());
      best.pop_back();
    }
    best.push_back(found);
    std::push_heap(best.begin(), best.end());
  }
  std::sort_heap(best.begin(), best.end());
  return best;
}

}  // namespace starling::vector
