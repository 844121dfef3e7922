#include "learning/metrics.h"

#include <algorithm>
#include <cmath>

namespace starling::learning {

std::string_view Name(RankingMetric metric) {
  static constexpr std::string_view kNames[kRankingMetrics] = {
      "recall", "recall_capped", "precision", "hit_rate", "ndcg", "map", "mrr"};
  return kNames[static_cast<size_t>(metric)];
}

UserMetrics MeasureUser(std::span<const uint32_t> ranked, std::span<const uint32_t> relevant,
                        size_t k) {
  const size_t reachable = std::min(k, relevant.size());
  double gain = 0;
  double ideal = 0;
  double precision_sum = 0;
  double reciprocal_rank = 0;
  size_t hits = 0;
  for (size_t index = 0; index < std::min(k, ranked.size()); ++index) {
    if (!std::binary_search(relevant.begin(), relevant.end(), ranked[index])) {
      continue;
    }
    const auto rank = static_cast<double>(index + 1);
    ++hits;
    gain += 1 / std::log2(rank + 1);
    precision_sum += static_cast<double>(hits) / rank;
    if (hits == 1) {
      reciprocal_rank = 1 / rank;
    }
  }
  for (size_t index = 0; index < reachable; ++index) {
    ideal += 1 / std::log2(static_cast<double>(index) + 2);
  }
  const auto hit_count = static_cast<double>(hits);
  const auto as_float = [](double value) { return static_cast<float>(value); };
  return {{as_float(hit_count / static_cast<double>(relevant.size())),
           as_float(hit_count / static_cast<double>(reachable)),
           as_float(hit_count / static_cast<double>(k)), hits > 0 ? 1.0F : 0.0F,
           as_float(gain / ideal), as_float(precision_sum / static_cast<double>(reachable)),
           as_float(reciprocal_rank)}};
}

void RankingEvaluation::Add(std::span<const uint32_t> ranked, std::span<const uint32_t> relevant) {
  if (relevant.empty()) {
    return;
  }
  const UserMetrics user = MeasureUser(ranked, relevant, k_);
  values_.insert(values_.end(), std::begin(user.values), std::end(user.values));
  const auto shown = ranked.first(std::min(k_, ranked.size()));
  for (const uint32_t item : shown) {
    shown_[item] = true;
  }
  if (keeps_lists_) lists_.Add(shown);
}

std::vector<float> RankingEvaluation::OfUsers(RankingMetric metric) const {
  std::vector<float> values;
  values.reserve(users());
  for (size_t at = static_cast<size_t>(metric); at < values_.size(); at += kRankingMetrics) {
    values.push_back(values_[at]);
  }
  return values;
}

double RankingEvaluation::Mean(RankingMetric metric) const {
  double sum = 0;
  for (size_t at = static_cast<size_t>(metric); at < values_.size(); at += kRankingMetrics) {
    sum += values_[at];
  }
  return values_.empty() ? 0 : sum / static_cast<double>(users());
}

double RankingEvaluation::Coverage() const {
  const auto shown = std::count(shown_.begin(), shown_.end(), true);
  return shown_.empty() ? 0 : static_cast<double>(shown) / static_cast<double>(shown_.size());
}

StatusOr<Interval> RankingEvaluation::Bootstrap(RankingMetric metric,
                                                const BootstrapOptions& options) const {
  STARLING_ASSIGN_OR_RETURN(const std::vector<Interval> intervals,
                            BootstrapMeans(OfUsers(metric), 1, options));
  return intervals.front();
}

StatusOr<std::vector<Interval>> RankingEvaluation::Bootstrap(
    const BootstrapOptions& options) const {
  return BootstrapMeans(values_, kRankingMetrics, options);
}

}  // namespace starling::learning
