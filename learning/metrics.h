// How good a ranking is, for one user and over all of them.
//
//   RankingEvaluation evaluation(/*k=*/10, items);
//   for each user with a test item: evaluation.Add(ranked_items, test_items);
//   double recall = evaluation.Mean(RankingMetric::kRecallCapped);
//   Interval interval = evaluation.Bootstrap(RankingMetric::kNdcg, {.seed = 1}).value();
//
// With rel_r = 1 when the item at rank r (from 1) is relevant, n relevant items, and hits the sum
// of rel_r over r <= k:
//   recall          hits / n
//   recall, capped  hits / min(k, n)            what can be reached at all within k
//   precision       hits / k
//   hit rate        1 when hits > 0
//   NDCG            sum_r rel_r / log2(r + 1)  over the same sum of the first min(k, n) ranks
//   MAP             sum_r rel_r (hits at r) / r  over min(k, n)
//   MRR             1 / rank of the first hit, 0 when there is none within k
//   coverage        distinct items anyone was shown within k / items of the catalogue
// Users without a relevant item do not count. Not thread-safe; 28 bytes a user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "platform/base/status.h"

namespace starling::learning {

enum class RankingMetric : uint8_t {
  kRecall,
  kRecallCapped,
  kPrecision,
  kHitRate,
  kNdcg,
  kMap,
  kMrr,
};
inline constexpr size_t kRankingMetrics = 7;
std::string_view Name(RankingMetric metric);  // "recall", "recall_capped", ...

// The metrics of one user, indexed by RankingMetric.
struct UserMetrics {
  float values[kRankingMetrics] = {};
  float operator[](RankingMetric metric) const { return values[static_cast<size_t>(metric)]; }
};

// ranked: best first, no item twice; only the first k count. relevant: ascending, no item twice,
// not empty.
UserMetrics MeasureUser(std::span<const uint32_t> ranked, std::span<const uint32_t> relevant,
                        size_t k);

struct Interval {
  double low = 0;
  double mean = 0;
  double high = 0;
};

struct BootstrapOptions {
  double level = 0.95;  // in (0, 1)
  int samples = 1000;   // 1 to 100000
  uint64_t seed = 1;
};

class RankingEvaluation {
 public:
  // k >= 1; items: the size of the catalogue.
  RankingEvaluation(size_t k, size_t items) : k_(k), shown_(items, false) {}

  // Does nothing when relevant is empty. An item outside the catalogue may be relevant (it can
  // only be missed), but not ranked.
  void Add(std::span<const uint32_t> ranked, std::span<const uint32_t> relevant);

  size_t k() const { return k_; }
  size_t users() const { return users_.size(); }
  double Mean(RankingMetric metric) const;  // 0 without users
  double Coverage() const;
  // The percentile bootstrap over users (Efron 1979): users are drawn with replacement, the mean is
  // taken, and the middle `level` of the means is the interval. samples x users draws.
  StatusOr<Interval> Bootstrap(RankingMetric metric, const BootstrapOptions& options) const;

 private:
  size_t k_;
  std::vector<UserMetrics> users_;
  std::vector<bool> shown_;
};

}  // namespace starling::learning
