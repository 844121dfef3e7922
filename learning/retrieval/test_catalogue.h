// Made catalogues and the plainest way to find their best items, for the tests of retrieval.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/random.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {

inline std::vector<ScoredItem> BySorting(std::span<const float> scores,
                                         const TopKOptions& options) {
  std::vector<ScoredItem> all;
  for (uint32_t item = 0; item < scores.size(); ++item) {
    const bool allowed =
        options.allowed.empty() || (item / 64 < options.allowed.size() &&
                                    (options.allowed[item / 64] >> (item % 64) & 1) == 1);
    if (allowed && scores[item] > -INFINITY &&
        std::ranges::find(options.excluded, item) == options.excluded.end()) {
      all.push_back({item, scores[item]});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
  all.resize(std::min(all.size(), options.k));
  return all;
}

struct TestCatalogue {
  std::vector<float> values;
  std::vector<float> queries;
  size_t dimension = 0;

  ItemFactors items() const { return {values, dimension}; }
  size_t query_count() const { return queries.size() / dimension; }
  std::span<const float> query(size_t i) const {
    return std::span(queries).subspan(i * dimension, dimension);
  }
  std::vector<float> Scores(size_t i) const {
    std::vector<float> scores(items().items());
    for (size_t item = 0; item < scores.size(); ++item) {
      double sum = 0;
      for (size_t f = 0; f < dimension; ++f) {
        sum += static_cast<double>(items().row(item)[f]) * query(i)[f];
      }
      scores[item] = static_cast<float>(sum);
    }
    return scores;
  }
};

// Small whole numbers: their inner products are exact in floats and in bytes, and often the same.
inline TestCatalogue WholeNumbers(size_t items, size_t dimension, Random& random) {
  TestCatalogue made;
  made.dimension = dimension;
  made.values.resize(items * dimension);
  made.queries.resize(4 * dimension);
  for (float& value : made.values) value = static_cast<float>(random.Below(5)) - 2;
  for (float& value : made.queries) value = static_cast<float>(random.Below(5)) - 2;
  return made;
}

// Like what ALS gives for a shop: groups of taste, later factors of less weight, and norms that
// fall with popularity. Queries are sums of a few items.
inline TestCatalogue Shop(size_t items, size_t dimension, size_t queries, Random& random) {
  constexpr size_t kGroups = 40;
  TestCatalogue made;
  made.dimension = dimension;
  std::vector<float> centres(kGroups * dimension);
  const auto normal = [&](size_t f) {
    return static_cast<float>(random.Normal() / std::sqrt(1 + static_cast<double>(f)));
  };
  for (size_t i = 0; i < centres.size(); ++i) centres[i] = normal(i % dimension);
  made.values.resize(items * dimension);
  for (size_t item = 0; item < items; ++item) {
    const size_t group = random.Below(kGroups);
    const double popularity = std::pow(random.Unit(), 2);
    for (size_t f = 0; f < dimension; ++f) {
      made.values[item * dimension + f] =
          static_cast<float>(popularity) * (centres[group * dimension + f] + normal(f));
    }
  }
  made.queries.resize(queries * dimension);
  for (size_t query = 0; query < queries; ++query) {
    for (size_t left = 5; left > 0; --left) {
      const float* row = made.items().row(random.Below(items));
      for (size_t f = 0; f < dimension; ++f) made.queries[query * dimension + f] += row[f];
    }
  }
  return made;
}

// The part of the best by score that is found.
inline double RecallOf(const std::vector<ScoredItem>& found, const std::vector<ScoredItem>& best) {
  if (best.empty()) return 1;
  const auto hits = std::ranges::count_if(found, [&](const ScoredItem& each) {
    return std::ranges::any_of(best, [&](const ScoredItem& b) { return b.item == each.item; });
  });
  return static_cast<double>(hits) / static_cast<double>(best.size());
}

// Filters of a call, and what they filter.
struct TestFilters {
  std::vector<uint32_t> excluded;
  std::vector<uint64_t> allowed;

  TestFilters(size_t items, Random& random) : excluded(random.Below(items / 4 + 2)) {
    for (uint32_t& item : excluded) item = static_cast<uint32_t>(random.Below(items + 50));
    if (random.Below(2) == 0) return;
    allowed.resize(random.Below(items / 64 + 2) + 1);
    for (uint64_t& word : allowed) word = random.Next();
  }
  TopKOptions Of(size_t k) const { return {.k = k, .excluded = excluded, .allowed = allowed}; }
};

}  // namespace starling::learning
