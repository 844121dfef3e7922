#include "learning/recommender/recommender.h"

#include <algorithm>
#include <cmath>

#include "learning/ranking/item_facts.h"
#include "learning/recommender/packed_rows.h"
#include "learning/recommender/second_stage.h"
#include "learning/recommender/settings_row.h"

namespace starling::learning {
namespace {

Status CheckIndexes(std::string_view name, std::span<const uint32_t> indexes, size_t count) {
  if (std::any_of(indexes.begin(), indexes.end(), [&](uint32_t i) { return i >= count; })) {
    return DataLoss("section '{}' has an item beyond the {} there are", name, count);
  }
  return OkStatus();
}

Status CheckOffsets(std::string_view name, std::span<const uint64_t> offsets, size_t rows,
                    size_t values) {
  if (offsets.size() != rows + 1 || offsets[0] != 0 || offsets[rows] != values ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    return DataLoss("section '{}' does not divide {} values into {} rows", name, values, rows);
  }
  return OkStatus();
}

// Packed rows of items x items.
Status CheckTargets(std::string_view name, std::span<const uint64_t> offsets,
                    std::span<const uint32_t> entries) {
  const size_t items = offsets.size() - 1;
  for (size_t item = 0; item < items; ++item) {
    uint64_t target = 0;
    for (uint64_t i = offsets[item]; i < offsets[item + 1]; ++i) target += Gap(entries[i]);
    // They ascend, so the last is the largest.
    if (target >= items) {
      return DataLoss("row {} of section '{}' has item {} and there are {}", item, name, target,
                      items);
    }
  }
  return OkStatus();
}

}  // namespace

EventKind ParseEventKind(std::string_view name) {
  static constexpr std::pair<std::string_view, EventKind> kNames[] = {
      {"view", EventKind::kView}, {"click", EventKind::kClick},
      {"cart", EventKind::kCart}, {"purchase", EventKind::kPurchase},
      {"rate", EventKind::kRate}, {"impression", EventKind::kImpression}};
  for (const auto& [known, kind] : kNames) {
    if (known == name) return kind;
  }
  return EventKind::kOther;
}

double Decay(double half_life, int64_t time, int64_t now) {
  if (half_life <= 0 || time >= now) return 1;
  return std::exp2(-static_cast<double>(now - time) / half_life);
}

StatusOr<Recommender> Recommender::Open(std::span<const std::byte> bytes,
                                        const std::shared_ptr<const void>& owner,
                                        Checksums checksums) {
  STARLING_ASSIGN_OR_RETURN(const Artifact artifact, Artifact::Open(bytes, owner, checksums));
  if (artifact.kind() != kRecommenderKind) {
    return DataLoss("the model is of kind '{}' and not a recommender", artifact.kind());
  }
  Recommender opened;
  STARLING_ASSIGN_OR_RETURN(opened.ids_, IdTable::Open(artifact));
  STARLING_ASSIGN_OR_RETURN(const Matrix<double> settings, artifact.Get<double>("settings"));
  STARLING_ASSIGN_OR_RETURN(opened.settings_, SettingsFromRow(settings.values));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint8_t> algorithm, artifact.Get<uint8_t>("algorithm"));
  opened.algorithm_.assign(algorithm.values.begin(), algorithm.values.end());
  STARLING_ASSIGN_OR_RETURN(opened.popularity_,
                            artifact.Get<float>("popularity", opened.ids_.size()));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> popular, artifact.Get<uint32_t>("popular"));
  opened.popular_ = popular.values;
  STARLING_RETURN_IF_ERROR(CheckIndexes("popular", opened.popular_, opened.ids_.size()));
  if (artifact.Has("rows.offsets")) STARLING_RETURN_IF_ERROR(opened.OpenRows(artifact));
  if (artifact.Has("factors")) {
    STARLING_ASSIGN_OR_RETURN(const Matrix<uint8_t> nested, artifact.Get<uint8_t>("factors"));
    STARLING_ASSIGN_OR_RETURN(
        const Artifact model,
        Artifact::Open(std::as_bytes(nested.values.span()), owner, Checksums::kTrustBytes));
    STARLING_ASSIGN_OR_RETURN(opened.factors_, OpenFactorModel(model));
    if (opened.factors_->items() > opened.ids_.size()) {
      return DataLoss("section 'factors' has {} items and there are {} names",
                      opened.factors_->items(), opened.ids_.size());
    }
    if (artifact.Has("graph")) STARLING_RETURN_IF_ERROR(opened.OpenGraph(artifact, owner));
  }
  if (artifact.Has("propensity")) {
    STARLING_ASSIGN_OR_RETURN(opened.propensity_,
                              artifact.Get<float>("propensity", opened.ids_.size()));
  }
  STARLING_RETURN_IF_ERROR(opened.OpenHistory(artifact, owner));
  if (artifact.Has("next_basket")) {
    STARLING_RETURN_IF_ERROR(opened.OpenNextBasket(artifact, owner));
  }
  if (artifact.Has("content.offsets")) STARLING_RETURN_IF_ERROR(opened.OpenContent(artifact));
  if (artifact.Has("items.facts")) STARLING_RETURN_IF_ERROR(opened.OpenSecondStage(artifact));
  if (artifact.Has("vectors")) STARLING_RETURN_IF_ERROR(opened.OpenVectors(artifact));
  return opened;
}

Status Recommender::OpenGraph(const Artifact& artifact, const std::shared_ptr<const void>& owner) {
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint8_t> nested, artifact.Get<uint8_t>("graph"));
  STARLING_ASSIGN_OR_RETURN(const Artifact made, Artifact::Open(std::as_bytes(nested.values.span()),
                                                                owner, Checksums::kTrustBytes));
  STARLING_ASSIGN_OR_RETURN(HnswGraph graph, HnswGraph::Open(made, factors_->items()));
  graph_ = std::make_shared<const HnswGraph>(std::move(graph));
  return OkStatus();
}

Status Recommender::OpenVectors(const Artifact& artifact) {
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> vectors, artifact.Get<float>("vectors"));
  if (vectors.rows != ids_.size()) {
    return DataLoss("section 'vectors' has {} rows and there are {} names", vectors.rows,
                    ids_.size());
  }
  if (!std::all_of(vectors.values.begin(), vectors.values.end(),
                   [](float value) { return std::isfinite(value); })) {
    return DataLoss("section 'vectors' has a value that is not finite");
  }
  vectors_ = vectors.values;
  vector_dimension_ = vectors.columns;
  return OkStatus();
}

Status Recommender::OpenRows(const Artifact& artifact) {
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> entries, artifact.Get<uint32_t>("rows.entries"));
  row_entries_ = entries.values;
  STARLING_ASSIGN_OR_RETURN(row_offsets_, artifact.Get<uint64_t>("rows.offsets", ids_.size() + 1));
  STARLING_RETURN_IF_ERROR(
      CheckOffsets("rows.offsets", row_offsets_, ids_.size(), row_entries_.size()));
  STARLING_RETURN_IF_ERROR(CheckTargets("rows.entries", row_offsets_, row_entries_));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> sources,
                            artifact.Get<uint32_t>("sources.entries"));
  source_entries_ = sources.values;
  STARLING_ASSIGN_OR_RETURN(source_offsets_,
                            artifact.Get<uint64_t>("sources.offsets", ids_.size() + 1));
  STARLING_RETURN_IF_ERROR(
      CheckOffsets("sources.offsets", source_offsets_, ids_.size(), source_entries_.size()));
  if (std::any_of(source_entries_.begin(), source_entries_.end(),
                  [&](uint32_t source) { return SourceItem(source) >= ids_.size(); })) {
    return DataLoss("section 'sources.entries' has an item beyond the {} there are", ids_.size());
  }
  return OkStatus();
}

Status Recommender::OpenSecondStage(const Artifact& artifact) {
  STARLING_ASSIGN_OR_RETURN(item_facts_,
                            artifact.Get<float>("items.facts", ids_.size() * kItemFactStride));
  STARLING_ASSIGN_OR_RETURN(
      history_facts_, artifact.Get<float>("history.facts", history_items_.size() * kPairFacts));
  if (artifact.Has("items.groups")) {
    STARLING_ASSIGN_OR_RETURN(
        item_groups_, artifact.Get<uint32_t>("items.groups", ids_.size() * ItemAttributes::kKinds));
    STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> offsets,
                              artifact.Get<uint32_t>("groups.offsets"));
    STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> popular,
                              artifact.Get<uint32_t>("groups.popular"));
    group_offsets_ = offsets.values;
    group_popular_ = popular.values;
    STARLING_RETURN_IF_ERROR(CheckIndexes("groups.popular", group_popular_, ids_.size()));
    if (group_offsets_.size() < 2 || group_offsets_[0] != 0 ||
        group_offsets_[group_offsets_.size() - 1] != group_popular_.size() ||
        !std::is_sorted(group_offsets_.begin(), group_offsets_.end())) {
      return DataLoss("section 'groups.offsets' does not divide {} values", group_popular_.size());
    }
    const size_t groups = group_offsets_.size() - 1;
    if (std::any_of(item_groups_.begin(), item_groups_.end(),
                    [&](uint32_t group) { return group >= groups; })) {
      return DataLoss("section 'items.groups' has a group beyond the {} there are", groups);
    }
  }
  if (!artifact.Has("trees.shape")) return OkStatus();
  STARLING_ASSIGN_OR_RETURN(trees_, BoostedTrees::Open(artifact));
  // Those of an older version ask about the first of them.
  if (trees_->features() > kRankFeatures) {
    return DataLoss("the trees ask about {} features and there are {}", trees_->features(),
                    static_cast<size_t>(kRankFeatures));
  }
  return OkStatus();
}

Status Recommender::OpenNextBasket(const Artifact& artifact,
                                   const std::shared_ptr<const void>& owner) {
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint8_t> nested, artifact.Get<uint8_t>("next_basket"));
  STARLING_ASSIGN_OR_RETURN(
      const Artifact model,
      Artifact::Open(std::as_bytes(nested.values.span()), owner, Checksums::kTrustBytes));
  STARLING_ASSIGN_OR_RETURN(next_basket_, NextBasketModel::Open(model));
  if (next_basket_->items() > ids_.size()) {
    return DataLoss("section 'next_basket' has {} items and there are {} names",
                    next_basket_->items(), ids_.size());
  }
  STARLING_ASSIGN_OR_RETURN(history_frequency_,
                            artifact.Get<float>("history.frequency", history_items_.size()));
  STARLING_ASSIGN_OR_RETURN(history_baskets_,
                            artifact.Get<uint32_t>("history.baskets", users_.size()));
  return OkStatus();
}

Status Recommender::OpenContent(const Artifact& artifact) {
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> entries,
                            artifact.Get<uint32_t>("content.entries"));
  content_entries_ = entries.values;
  STARLING_ASSIGN_OR_RETURN(content_offsets_,
                            artifact.Get<uint64_t>("content.offsets", ids_.size() + 1));
  STARLING_RETURN_IF_ERROR(
      CheckOffsets("content.offsets", content_offsets_, ids_.size(), content_entries_.size()));
  return CheckTargets("content.entries", content_offsets_, content_entries_);
}

Status Recommender::OpenHistory(const Artifact& artifact,
                                const std::shared_ptr<const void>& owner) {
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint8_t> nested, artifact.Get<uint8_t>("users"));
  STARLING_ASSIGN_OR_RETURN(
      const Artifact users,
      Artifact::Open(std::as_bytes(nested.values.span()), owner, Checksums::kTrustBytes));
  STARLING_ASSIGN_OR_RETURN(users_, IdTable::Open(users));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> items, artifact.Get<uint32_t>("history.items"));
  history_items_ = items.values;
  const size_t entries = history_items_.size();
  STARLING_ASSIGN_OR_RETURN(history_offsets_,
                            artifact.Get<uint64_t>("history.offsets", users_.size() + 1));
  STARLING_ASSIGN_OR_RETURN(history_weights_, artifact.Get<float>("history.weights", entries));
  STARLING_ASSIGN_OR_RETURN(history_x_, artifact.Get<float>("history.x", entries));
  STARLING_ASSIGN_OR_RETURN(history_goals_, artifact.Get<float>("history.goals", entries));
  STARLING_RETURN_IF_ERROR(
      CheckOffsets("history.offsets", history_offsets_, users_.size(), entries));
  return CheckIndexes("history.items", history_items_, ids_.size());
}

}  // namespace starling::learning
