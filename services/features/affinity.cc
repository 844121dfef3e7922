#include "services/features/affinity.h"

#include <algorithm>

namespace starling::features {

void AffinitySum::Weights::Add(uint32_t group, double weight) {
  if (group == GroupTree::kRoot) return;
  if (weights_[group] == 0) groups_.push_back(group);
  weights_[group] += weight;
  whole_ += weight;
}

std::vector<Affinity::Share> AffinitySum::Weights::SharesOf(double whole) const {
  std::vector<Affinity::Share> shares;
  shares.reserve(groups_.size());
  for (const uint32_t group : groups_)
    shares.push_back({group, std::min(1.0, weights_[group] / whole)});
  return shares;
}

AffinitySum::AffinitySum(const ProductTable& table, int64_t at)
    : tree_(table.categories()),
      at_(at),
      categories_(table.categories()),
      brands_(table.brands()) {}

void AffinitySum::Add(const Interaction& interaction, const ProductTraits& product) {
  if (!Counts(interaction)) return;
  const double weight =
      PopularityWeight(interaction.kind) * Decay(at_ - interaction.time, kFeatureHalfLife);
  if (weight <= 0) return;  // so long ago that nothing is left
  weight_ += weight;
  categories_.Add(product.category, weight);
  brands_.Add(product.brand, weight);
  if (!std::isnan(product.price_level)) {
    leveled_weight_ += weight;
    level_ += weight * product.price_level;
  }
}

Affinity AffinitySum::Finish() const {
  Affinity affinity;
  affinity.weight = weight_;
  if (leveled_weight_ > 0) affinity.price_level = level_ / leveled_weight_;
  affinity.brands = brands_.SharesOf(brands_.whole());

  Weights all_levels(tree_);
  double top = 0;
  for (const uint32_t narrowest : categories_.groups()) {
    const double weight = categories_.Of(narrowest);
    top = std::max(top, weight);
    for (uint32_t group = narrowest; group != GroupTree::kRoot; group = tree_.Parent(group))
      all_levels.Add(group, weight);
  }
  affinity.categories = all_levels.SharesOf(categories_.whole());
  affinity.narrowest_categories = static_cast<double>(categories_.groups().size());
  if (top > 0) affinity.top_category_share = std::min(1.0, top / categories_.whole());
  return affinity;
}

Affinity AffinityOf(std::span<const Interaction> interactions, int64_t at,
                    const ProductTable& table, std::span<const ProductTraits> traits) {
  AffinitySum sum(table, at);
  for (const Interaction& interaction : interactions)
    sum.Add(interaction, traits[interaction.other]);
  return sum.Finish();
}

}  // namespace starling::features
