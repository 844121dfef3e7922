#include "learning/models/factor_model.h"

#include <vector>

#include "learning/math/kernels.h"
#include "learning/models/als.h"
#include "learning/models/sampled_mf.h"

namespace starling::learning {

void FactorModel::Score(History history, int64_t now, std::span<float> scores) const {
  std::vector<float> user(dimension());
  FoldIn(history, now, user);
  BestKernels().score_rows(factors().data(), items(), dimension(), user.data(), scores.data());
}

StatusOr<std::shared_ptr<const FactorModel>> OpenFactorModel(const Artifact& artifact) {
  if (artifact.kind() == kAlsKind) {
    STARLING_ASSIGN_OR_RETURN(AlsModel model, AlsModel::Open(artifact));
    return std::make_shared<const AlsModel>(std::move(model));
  }
  if (artifact.kind() == kSampledMfKind) {
    STARLING_ASSIGN_OR_RETURN(SampledMfModel model, SampledMfModel::Open(artifact));
    return std::make_shared<const SampledMfModel>(std::move(model));
  }
  return DataLoss("a model of kind '{}' has no factors of items", artifact.kind());
}

}  // namespace starling::learning
