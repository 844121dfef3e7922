// What sells most, lately: the answer for who has no history, and the floor every model must beat.
//
//   STARLING_ASSIGN_OR_RETURN(PopularityModel model,
//                             FitPopularity(train, {.weighting = {.half_life = 30 * kDay}}));
//
//   score(i) = sum over users u of x_ui,    x_ui the weighed interaction (weighting.h)
//
// One pass over the entries; 4 bytes an item. The score is of the time of the fit; later all would
// shrink by one factor, so their order stands.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/model.h"

namespace starling::learning {

inline constexpr std::string_view kPopularityKind = "popularity";

struct PopularityOptions {
  Weighting weighting;
  int64_t as_of = 0;  // unix seconds; 0: the latest time in the data
};

class PopularityModel final : public Model {
 public:
  explicit PopularityModel(Array<float> scores) : scores_(std::move(scores)) {}
  static StatusOr<PopularityModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kPopularityKind; }
  size_t items() const override { return scores_.size(); }
  std::span<const float> scores() const { return scores_; }
  void Score(History history, int64_t now, std::span<float> scores) const override;
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

 private:
  Array<float> scores_;
};

StatusOr<PopularityModel> FitPopularity(const Interactions& data, const PopularityOptions& options,
                                        const Progress& progress = {});

}  // namespace starling::learning
