// What the catalogue says of items, as the second stage of a ranking uses it: which groups an item
// belongs to, and what it costs.
//
//   ItemAttributes attributes(items);
//   attributes.SetGroup(7, ItemAttributes::kNarrowest, "dairy/milk");
//   attributes.SetPrice(7, 1.29);
//
// Groups of one kind are numbered together with those of the others, from 1; 0 is none. An item has
// one of each kind. Not thread-safe while it is filled.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace starling::learning {

class ItemAttributes {
 public:
  // The widest category, the next one, the narrowest, and the brand.
  enum Kind : size_t { kWidest, kNext, kNarrowest, kBrand, kKinds };

  ItemAttributes() = default;
  explicit ItemAttributes(size_t items) : groups_(items * kKinds, 0), prices_(items, 0) {}

  void SetGroup(size_t item, Kind kind, std::string_view name) {
    if (name.empty()) return;
    const std::string key = std::string(1, static_cast<char>('0' + kind)) + std::string(name);
    const auto [at, is_new] = numbers_.try_emplace(key, numbers_.size() + 1);
    groups_[item * kKinds + kind] = static_cast<uint32_t>(at->second);
  }
  // In any one currency.
  void SetPrice(size_t item, double price) {
    if (price > 0 && std::isfinite(price)) prices_[item] = static_cast<float>(std::log1p(price));
  }

  bool empty() const { return groups_.empty(); }
  size_t items() const { return prices_.size(); }
  // One more than the largest number.
  size_t group_count() const { return numbers_.size() + 1; }
  std::span<const uint32_t> groups() const { return groups_; }  // items x kKinds
  std::span<const float> prices() const { return prices_; }     // log(1 + price); 0: not known

 private:
  std::vector<uint32_t> groups_;
  std::vector<float> prices_;
  std::unordered_map<std::string, size_t> numbers_;
};

}  // namespace starling::learning
