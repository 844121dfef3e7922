#include "learning/metrics.h"

#include <algorithm>
#include <cmath>

#include "learning/random.h"

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
  users_.push_back(MeasureUser(ranked, relevant, k_));
  for (const uint32_t item : ranked.first(std::min(k_, ranked.size()))) {
    shown_[item] = true;
  }
}

double RankingEvaluation::Mean(RankingMetric metric) const {
  double sum = 0;
  for (const UserMetrics& user : users_) {
    sum += user[metric];
  }
  return users_.empty() ? 0 : sum / static_cast<double>(users_.size());
}

double RankingEvaluation::Coverage() const {
  const auto shown = std::count(shown_.begin(), shown_.end(), true);
  return shown_.empty() ? 0 : static_cast<double>(shown) / static_cast<double>(shown_.size());
}

StatusOr<Interval> RankingEvaluation::Bootstrap(RankingMetric metric,
                                                const BootstrapOptions& options) const {
  if (users_.empty()) {
    return FailedPrecondition("there is no user with a test item, so there is nothing to resample");
  }
  if (!(options.level > 0 && options.level < 1)) {
    return InvalidField("level", "{} is outside (0, 1); 0.95 is usual", options.level);
  }
  if (options.samples < 1 || options.samples > 100'000) {
    return InvalidField("samples", "{} is outside 1 to 100000; 1000 is usual", options.samples);
  }
  Random random(options.seed);
  std::vector<double> means(static_cast<size_t>(options.samples));
  for (double& mean : means) {
    double sum = 0;
    for (size_t i = 0; i < users_.size(); ++i) {
      sum += users_[random.Below(users_.size())][metric];
    }
    mean = sum / static_cast<double>(users_.size());
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double quantile) {
    const double position = quantile * static_cast<double>(means.size() - 1);
    return means[static_cast<size_t>(std::lround(position))];
  };
  const double tail = (1 - options.level) / 2;
  return Interval{.low = at(tail), .mean = Mean(metric), .high = at(1 - tail)};
}

}  // namespace starling::learning
