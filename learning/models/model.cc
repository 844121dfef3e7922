#include "learning/models/model.h"

#include <utility>

#include "learning/models/als.h"
#include "learning/models/autoencoder.h"
#include "learning/models/item_to_item.h"
#include "learning/models/low_pass.h"
#include "learning/models/next_basket.h"
#include "learning/models/popularity.h"
#include "learning/models/repeat.h"
#include "learning/models/sampled_mf.h"

namespace starling::learning {
namespace {

template <typename Kind>
StatusOr<std::unique_ptr<const Model>> OpenAs(const Artifact& artifact) {
  STARLING_ASSIGN_OR_RETURN(Kind model, Kind::Open(artifact));
  return std::make_unique<const Kind>(std::move(model));
}

StatusOr<std::unique_ptr<const Model>> OpenByKind(const Artifact& artifact) {
  const std::string_view kind = artifact.kind();
  if (kind == kPopularityKind) return OpenAs<PopularityModel>(artifact);
  if (ItemToItemModel::IsKind(kind)) return OpenAs<ItemToItemModel>(artifact);
  if (kind == kAlsKind) return OpenAs<AlsModel>(artifact);
  if (kind == kAutoencoderKind) return OpenAs<AutoencoderModel>(artifact);
  if (kind == kLowPassKind) return OpenAs<LowPassModel>(artifact);
  if (kind == kNextBasketKind) return OpenAs<NextBasketModel>(artifact);
  if (kind == kSampledMfKind) return OpenAs<SampledMfModel>(artifact);
  if (kind == kRepeatKind) return OpenAs<RepeatModel>(artifact);
  return DataLoss("the model is of the unknown kind '{}'; it was written by a newer program", kind);
}

}  // namespace

StatusOr<std::string> SerializeModel(const Model& model, const IdTable& ids) {
  if (ids.size() != model.items()) {
    return InvalidField("ids", "{} names do not name the {} items of the model", ids.size(),
                        model.items());
  }
  ArtifactWriter writer(model.kind());
  model.AddTo(writer);
  ids.AddTo(writer);
  return std::move(writer).Finish();
}

StatusOr<LoadedModel> OpenModel(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                Checksums checksums) {
  STARLING_ASSIGN_OR_RETURN(const Artifact artifact,
                            Artifact::Open(bytes, std::move(owner), checksums));
  LoadedModel loaded;
  STARLING_ASSIGN_OR_RETURN(loaded.model, OpenByKind(artifact));
  STARLING_ASSIGN_OR_RETURN(loaded.ids, IdTable::Open(artifact));
  if (loaded.ids.size() != loaded.model->items()) {
    return DataLoss("the model has {} items and {} names", loaded.model->items(),
                    loaded.ids.size());
  }
  return loaded;
}

}  // namespace starling::learning
