#include "learning/models/popularity.h"

#include <algorithm>

namespace starling::learning {

StatusOr<PopularityModel> FitPopularity(const Interactions& data, const PopularityOptions& options,
                                        const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0));
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  std::vector<double> sums(data.items(), 0);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    for (size_t i = 0; i < row.size(); ++i) {
      sums[row.items[i]] += Weigh(options.weighting, row.weights[i], row.times[i], as_of);
    }
  }
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return PopularityModel(Array(std::vector<float>(sums.begin(), sums.end())));
}

StatusOr<PopularityModel> PopularityModel::Open(const Artifact& artifact) {
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> scores, artifact.Get<float>("scores"));
  return PopularityModel(scores.values);
}

void PopularityModel::AddTo(ArtifactWriter& writer) const { writer.Add<float>("scores", scores_); }

void PopularityModel::Score(History /*history*/, int64_t /*now*/, std::span<float> scores) const {
  std::copy(scores_.begin(), scores_.end(), scores.begin());
}

std::vector<std::optional<uint32_t>> PopularityModel::Explain(
    History /*history*/, int64_t /*now*/, std::span<const uint32_t> items) const {
  return std::vector<std::optional<uint32_t>>(items.size());
}

}  // namespace starling::learning
