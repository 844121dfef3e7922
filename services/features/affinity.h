// What a user likes by category, brand and price: a pure function over the user's interactions and
// what the catalogue says of the products. Serving, history and training all compute with it.
//
//   Affinity affinity = AffinityOf(interactions, at, table, traits);
//   for (const Affinity::Share& share : affinity.categories)
//     Use(table.categories().Path(share.group), share.share);
//
// Each interaction i of kind k and age a = at - time(i) weighs, as for popularity,
//
//   w(i) = PopularityWeight(k) * 2^(-a / 30 days)       0 when it is after `at`
//
// and with sums over the user's interactions whose product has a category, a brand, a price level:
//
//   share(category c) = sum of w(i) whose product is in c or below it / sum of w(i)
//   share(brand b)    = sum of w(i) whose product is of b             / sum of w(i)
//   price level       = sum of w(i) * price_level(product(i))         / sum of w(i)
//
// So the shares of the widest categories sum to 1, and so do those of the brands; the price level
// is 0 to 1, small for who buys the cheap ones, whatever they are. How many were bought at once and
// what they cost then is of no importance, nor is the order of the interactions. Products are taken
// as the catalogue has them today, also for an `at` in the past: one that was moved to another
// category, priced anew or deleted counts as what it is now, deleted ones as nothing.
//
// Costs about 30 ns an interaction and 1 ns a category and brand that there is. Thread-safe.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "services/features/feature_definitions.h"
#include "services/features/product_table.h"

namespace starling::features {

struct Affinity {
  struct Share {
    uint32_t group = 0;  // of the table's categories or brands
    double share = 0;    // above 0, at most 1
  };
  std::vector<Share> categories;  // of all levels; a group once, in no order
  std::vector<Share> brands;      // the same
  double weight = 0;              // sum of w(i), of products in the catalogue or not
  double price_level = std::numeric_limits<double>::quiet_NaN();  // NaN: not known
  // Of the narrowest categories, those in which products are: how many, and the greatest share.
  double narrowest_categories = 0;
  double top_category_share = std::numeric_limits<double>::quiet_NaN();  // NaN without any
};

// Adds up interactions one by one, for who has them in another form than AffinityOf takes. The
// table is that of the traits, and must live as long.
class AffinitySum {
 public:
  AffinitySum(const ProductTable& table, int64_t at);
  // Whether it weighs anything: traits of others need not be looked for.
  bool Counts(const Interaction& interaction) const {
    return interaction.time <= at_ && PopularityWeight(interaction.kind) > 0;
  }
  void Add(const Interaction& interaction, const ProductTraits& product);
  Affinity Finish() const;

 private:
  // Of some groups, in the order in which they first came, so that rounding is the same everywhere.
  class Weights {
   public:
    explicit Weights(const GroupTree& tree) : weights_(tree.size()) {}
    void Add(uint32_t group, double weight);
    const std::vector<uint32_t>& groups() const { return groups_; }
    double Of(uint32_t group) const { return weights_[group]; }
    double whole() const { return whole_; }
    std::vector<Affinity::Share> SharesOf(double whole) const;

   private:
    std::vector<double> weights_;  // by group
    std::vector<uint32_t> groups_;
    double whole_ = 0;
  };

  const GroupTree& tree_;
  const int64_t at_;
  double weight_ = 0;
  double leveled_weight_ = 0;  // of products with a price level
  double level_ = 0;
  Weights categories_;  // narrowest ones
  Weights brands_;
};

// `traits` by Interaction::other, of `table`.
Affinity AffinityOf(std::span<const Interaction> interactions, int64_t at,
                    const ProductTable& table, std::span<const ProductTraits> traits);

}  // namespace starling::features
