// What the catalogue says of every product, as far as features need it: categories, brand, price,
// and how dear it is beside its like.
//
//   ProductTable table;
//   for (const catalog::v1::Product& product : products) table.Put(product);
//   table.Finish();
//   const ProductTraits traits = table.Find(ProductTable::KeyOf("p-1"));
//
// Serving fills one from the topic "catalog", whoever trains from ExportProducts: the same products
// give the same traits, whatever the order they came in and whatever came before.
//
//   price_level(p) = (cheaper + equal / 2) / priced
//
// where of the products with p's narrowest category (the whole path; those without a category are
// one category) `priced` have a price, `cheaper` a lower one and `equal` p's own, p among them. So
// it is above 0 and below 1, and 0.5 for a product alone. Prices are compared as numbers: a
// catalogue is taken to have one currency.
//
// Products are known by 64 bits of hash of their ids; of 100,000 two have the same with a
// probability of 3e-10. Memory: about 50 bytes a product, a tenth of a millisecond a thousand
// products to copy or finish. Reading is thread-safe, changing is not: a reader's table is
// immutable, a change makes a changed copy (product_follower.h).
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include "contracts/catalog/v1/catalog.pb.h"
#include "platform/base/hash.h"
#include "services/features/group_tree.h"

namespace starling::features {

// Of one product. Groups are numbers of the table's trees; kRoot where there is none.
struct ProductTraits {
  uint32_t category = GroupTree::kRoot;  // the narrowest
  uint32_t brand = GroupTree::kRoot;
  double price = std::numeric_limits<double>::quiet_NaN();  // NaN: not known, not for sale, or 0
  float price_level = std::numeric_limits<float>::quiet_NaN();  // NaN without a price
};

class ProductTable {
 public:
  static uint64_t KeyOf(std::string_view product_id) { return Hash64(product_id); }

  // Adds or replaces a product.
  void Put(const catalog::v1::Product& product);
  // No error when it is not there.
  void Remove(std::string_view product_id);
  // To be called once after the last change: price levels are those of before until then.
  void Finish();

  // Whether Put would change nothing.
  bool Says(const catalog::v1::Product& product) const;
  // Nothing known of a product that there is not.
  ProductTraits Find(uint64_t key) const {
    const auto at = products_.find(key);
    return at == products_.end() ? ProductTraits() : at->second;
  }
  bool Has(uint64_t key) const { return products_.contains(key); }
  size_t size() const { return products_.size(); }
  const GroupTree& categories() const { return categories_; }
  const GroupTree& brands() const { return brands_; }

 private:
  void Touch(uint32_t category);

  absl::flat_hash_map<uint64_t, ProductTraits> products_;
  GroupTree categories_;
  GroupTree brands_;
  std::vector<bool> touched_;  // by category: its price levels are to be computed anew
};

}  // namespace starling::features
