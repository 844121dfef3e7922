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
// Users without a relevant item do not count. Not thread-safe; 28 bytes a user, and 4 for each item
// shown where lists are kept. What a list is worth beyond that is in metrics/beyond_accuracy.h,
// whether two models differ in metrics/resampling.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "learning/metrics/resampling.h"
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

// Rankings of several users, one after the other.
class RankedLists {
 public:
  size_t size() const { return ends_.size(); }
  std::span<const uint32_t> operator[](size_t list) const {
    const size_t begin = list == 0 ? 0 : ends_[list - 1];
    return std::span(items_).subspan(begin, ends_[list] - begin);
  }
  void Add(std::span<const uint32_t> list) {
    items_.insert(items_.end(), list.begin(), list.end());
    ends_.push_back(items_.size());
  }

 private:
  std::vector<uint32_t> items_;
  std::vector<size_t> ends_;
};

class RankingEvaluation {
 public:
  enum class Lists : uint8_t { kForgotten, kKept };
  // k >= 1; items: the size of the catalogue.
  RankingEvaluation(size_t k, size_t items, Lists lists = Lists::kForgotten)
      : k_(k), keeps_lists_(lists == Lists::kKept), shown_(items, false) {}

  // Does nothing when relevant is empty. An item outside the catalogue may be relevant (it can
  // only be missed), but not ranked.
  void Add(std::span<const uint32_t> ranked, std::span<const uint32_t> relevant);

  size_t k() const { return k_; }
  size_t users() const { return values_.size() / kRankingMetrics; }
  double Mean(RankingMetric metric) const;  // 0 without users
  double Coverage() const;
  // One metric of each user, in the order in which they were added: for ComparePaired.
  std::vector<float> OfUsers(RankingMetric metric) const;
  // What each user was shown within k, in that order; empty unless lists are kept.
  const RankedLists& lists() const { return lists_; }
  // BootstrapMeans of one metric, or of all of them by RankingMetric.
  StatusOr<Interval> Bootstrap(RankingMetric metric, const BootstrapOptions& options) const;
  StatusOr<std::vector<Interval>> Bootstrap(const BootstrapOptions& options) const;

 private:
  size_t k_;
  bool keeps_lists_;
  std::vector<float> values_;  // users x kRankingMetrics
  RankedLists lists_;
  std::vector<bool> shown_;
};

}  // namespace starling::learning
