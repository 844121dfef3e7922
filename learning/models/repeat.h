// What the user buys again: own frequency and recency, times how often people come back to an item.
// The strongest signal there is for groceries, and nothing for who buys each thing once.
//
//   STARLING_ASSIGN_OR_RETURN(RepeatModel model,
//                             FitRepeat(train, {.weighting = {.half_life = 60 * kDay}}));
//
//   score(i) = propensity(i) * sum over the history's events of i of x,
//   propensity(i) = (users with weight >= 2 in i + prior * mean) / (users of i + prior),
//
// x the weighed event (weighting.h; by default 1, halved each half_life), mean the same ratio over
// all items, one and two added. So data is counted in purchases: weight 2 is bought twice. Give the
// history as events, not summed, so that each ages from its own time. Items not in the history
// score 0. One pass over the entries; 4 bytes an item; a call writes every item once.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/model.h"

namespace starling::learning {

inline constexpr std::string_view kRepeatKind = "repeat";

struct RepeatOptions {
  Weighting weighting{.scale = Weighting::Scale::kLinear, .half_life = 60 * kDay};
  double prior = 20;  // users' worth of the mean propensity; > 0
};

class RepeatModel final : public Model {
 public:
  RepeatModel(const Weighting& weighting, Array<float> propensity);
  static StatusOr<RepeatModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kRepeatKind; }
  size_t items() const override { return propensity_.size(); }
  std::span<const float> propensity() const { return propensity_; }
  void Score(History history, int64_t now, std::span<float> scores) const override;
  // The item itself, when it is in the history.
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

 private:
  Weighting weighting_;
  Array<double> parameters_;
  Array<float> propensity_;
};

StatusOr<RepeatModel> FitRepeat(const Interactions& data, const RepeatOptions& options,
                                const Progress& progress = {});

}  // namespace starling::learning
