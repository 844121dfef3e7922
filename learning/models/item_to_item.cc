#include "learning/models/item_to_item.h"

#include <algorithm>
#include <numeric>

#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/models/parameters.h"
#include "learning/models/weighed_history.h"

namespace starling::learning {
namespace {

constexpr size_t kBlock = 128;  // weights
constexpr std::string_view kKinds[] = {kItemKnnKind, kEaseKind, kSlimKind, kTransitionsKind,
                                       kContentKind};

}  // namespace

bool ItemToItemModel::IsKind(std::string_view kind) {
  return std::find(std::begin(kKinds), std::end(kKinds), kind) != std::end(kKinds);
}

ItemToItemModel::ItemToItemModel(std::string_view kind, const Weighting& weighting,
                                 const BumpRows<Source>& sources, std::vector<float> unexplained)
    : kind_(kind),
      weighting_(weighting),
      parameters_(WeightingParameters(weighting)),
      unexplained_(std::move(unexplained)) {
  std::vector<uint64_t> offsets(sources.rows() + 1, 0);
  for (size_t target = 0; target < sources.rows(); ++target) {
    for (const Source& source : sources[target]) {
      ++offsets[source.item + 1];
    }
  }
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  std::vector<uint32_t> targets(offsets.back());
  std::vector<float> weights(offsets.back());
  std::vector<uint64_t> next(offsets.begin(), offsets.end() - 1);
  for (size_t target = 0; target < sources.rows(); ++target) {
    for (const Source& source : sources[target]) {
      const size_t at = next[source.item]++;
      targets[at] = static_cast<uint32_t>(target);
      weights[at] = source.weight;
    }
  }
  offsets_ = Array(std::move(offsets));
  targets_ = Array(std::move(targets));
  weights_ = Array(std::move(weights));
}

StatusOr<ItemToItemModel> ItemToItemModel::Open(const Artifact& artifact) {
  ItemToItemModel model;
  const auto* kind = std::find(std::begin(kKinds), std::end(kKinds), artifact.kind());
  if (kind == std::end(kKinds)) {
    return DataLoss("the model is of kind '{}', which is not from item to item", artifact.kind());
  }
  model.kind_ = *kind;
  STARLING_ASSIGN_OR_RETURN(model.parameters_, artifact.Get<double>("parameters", 2));
  STARLING_ASSIGN_OR_RETURN(model.weighting_, WeightingFrom(model.parameters_));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint64_t> offsets, artifact.Get<uint64_t>("offsets"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> targets, artifact.Get<uint32_t>("targets"));
  model.offsets_ = offsets.values;
  model.targets_ = targets.values;
  STARLING_ASSIGN_OR_RETURN(model.weights_, artifact.Get<float>("weights", model.targets_.size()));
  if (model.offsets_.empty() || model.offsets_[0] != 0 ||
      !std::is_sorted(model.offsets_.begin(), model.offsets_.end()) ||
      model.offsets_[model.items()] != model.targets_.size()) {
    return DataLoss("section 'offsets' does not divide the {} values of 'targets'",
                    model.targets_.size());
  }
  const size_t items = model.items();
  if (std::any_of(model.targets_.begin(), model.targets_.end(),
                  [&](uint32_t target) { return target >= items; })) {
    return DataLoss("section 'targets' has an item beyond the {} of the model", items);
  }
  return model;
}

void ItemToItemModel::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("parameters", parameters_);
  writer.Add<uint64_t>("offsets", offsets_);
  writer.Add<uint32_t>("targets", targets_);
  writer.Add<float>("weights", weights_);
}

void ItemToItemModel::Score(History history, int64_t now, std::span<float> scores) const {
  std::fill(scores.begin(), scores.end(), 0.0F);
  const uint32_t* targets = targets_.data();
  const float* weights = weights_.data();
  const Kernels& kernels = BestKernels();
  for (const WeighedItem& entry : WeighHistory(history, weighting_, now, items())) {
    const size_t end = offsets_[entry.item + 1];
    for (size_t i = offsets_[entry.item]; i < end;) {
      // Where nearly all weights are kept, most of a row are of items that follow each other.
      const size_t block = std::min(kBlock, end - i);
      if (targets[i + block - 1] - targets[i] == block - 1) {
        kernels.axpy(entry.x, weights + i, scores.data() + targets[i], block);
        i += block;
        continue;
      }
      for (const size_t last = i + block; i < last; ++i) scores[targets[i]] += entry.x * weights[i];
    }
  }
}

std::vector<std::optional<uint32_t>> ItemToItemModel::Explain(
    History history, int64_t now, std::span<const uint32_t> items) const {
  const std::vector<WeighedItem> entries = WeighHistory(history, weighting_, now, this->items());
  std::vector<std::optional<uint32_t>> reasons(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    float best = 0;
    for (const WeighedItem& entry : entries) {
      const float share = entry.x * Weight(entry.item, items[i]);
      if (share > best) {
        best = share;
        reasons[i] = entry.item;
      }
    }
  }
  return reasons;
}

StatusOr<ItemToItemModel> ItemToItemModel::Relaxed(double relaxation) const {
  if (unexplained_.empty())
    return FailedPrecondition(
        "only a model that was just fitted, as EASE unrelaxed, can be relaxed");
  STARLING_RETURN_IF_ERROR(CheckRelaxation(relaxation));
  std::vector<float> scales;
  for (const float unexplained : unexplained_) scales.push_back(RelaxedBy(unexplained, relaxation));
  std::vector<float> weights(weights_.begin(), weights_.end());
  for (size_t i = 0; i < weights.size(); ++i) weights[i] *= scales[targets_[i]];
  ItemToItemModel relaxed = *this;
  relaxed.weights_ = Array(std::move(weights));
  relaxed.unexplained_ = {};
  return relaxed;
}

float ItemToItemModel::Weight(uint32_t from, uint32_t to) const {
  const auto row = targets_.subspan(offsets_[from], offsets_[from + 1] - offsets_[from]);
  const auto found = std::lower_bound(row.begin(), row.end(), to);
  return found != row.end() && *found == to
             ? weights_[offsets_[from] + static_cast<size_t>(found - row.begin())]
             : 0;
}

}  // namespace starling::learning
