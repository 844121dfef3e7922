#include "learning/models/repeat.h"

#include <algorithm>

#include "learning/models/fit_checks.h"
#include "learning/models/parameters.h"

namespace starling::learning {

RepeatModel::RepeatModel(const Weighting& weighting, Array<float> propensity)
    : weighting_(weighting),
      parameters_(WeightingParameters(weighting)),
      propensity_(std::move(propensity)) {}

StatusOr<RepeatModel> FitRepeat(const Interactions& data, const RepeatOptions& options,
                                const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckPositive("prior", options.prior));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 0));
  std::vector<double> again(data.items(), 0);
  double all_again = 0;
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    for (size_t i = 0; i < row.size(); ++i) {
      if (row.weights[i] >= 2) {
        ++again[row.items[i]];
        ++all_again;
      }
    }
  }
  // One and two added (Laplace): also where nobody has come back yet, what was bought is ranked.
  const double mean = (all_again + 1) / (static_cast<double>(data.entries()) + 2);
  const std::vector<uint32_t> users = data.ItemCounts();
  std::vector<float> propensity(data.items());
  for (size_t item = 0; item < propensity.size(); ++item) {
    propensity[item] =
        static_cast<float>((again[item] + options.prior * mean) / (users[item] + options.prior));
  }
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return RepeatModel(options.weighting, Array(std::move(propensity)));
}

StatusOr<RepeatModel> RepeatModel::Open(const Artifact& artifact) {
  STARLING_ASSIGN_OR_RETURN(const Array<double> parameters, artifact.Get<double>("parameters", 2));
  STARLING_ASSIGN_OR_RETURN(const Weighting weighting, WeightingFrom(parameters));
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> propensity, artifact.Get<float>("propensity"));
  return RepeatModel(weighting, propensity.values);
}

void RepeatModel::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("parameters", parameters_);
  writer.Add<float>("propensity", propensity_);
}

void RepeatModel::Score(History history, int64_t now, std::span<float> scores) const {
  std::fill(scores.begin(), scores.end(), 0.0F);
  for (const HistoryItem& event : history) {
    if (event.item < items()) {
      scores[event.item] +=
          propensity_[event.item] * Weigh(weighting_, event.weight, event.time, now);
    }
  }
}

std::vector<std::optional<uint32_t>> RepeatModel::Explain(History history, int64_t /*now*/,
                                                          std::span<const uint32_t> items) const {
  std::vector<std::optional<uint32_t>> reasons(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const bool known = std::any_of(history.begin(), history.end(), [&](const HistoryItem& event) {
      return event.item == items[i];
    });
    if (known && items[i] < this->items()) {
      reasons[i] = items[i];
    }
  }
  return reasons;
}

}  // namespace starling::learning
