#include "services/features/product_table.h"

#include <algorithm>

namespace starling::features {
namespace {

std::vector<std::string_view> CategoriesOf(const catalog::v1::Product& product) {
  return {product.categories().begin(), product.categories().end()};
}

std::vector<std::string_view> BrandOf(const catalog::v1::Product& product) {
  if (product.brand().empty()) return {};
  return {product.brand()};
}

double PriceOf(const catalog::v1::Product& product) {
  const double price =
      static_cast<double>(product.price().units()) + product.price().nanos() * 1e-9;
  return price > 0 ? price : std::numeric_limits<double>::quiet_NaN();
}

bool Same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

void ProductTable::Put(const catalog::v1::Product& product) {
  const std::vector<std::string_view> categories = CategoriesOf(product);
  const std::vector<std::string_view> brand = BrandOf(product);
  ProductTraits traits;
  // Held before the old ones are released, so that a group that stays keeps its number.
  traits.category = categories_.Hold(categories);
  traits.brand = brands_.Hold(brand);
  traits.price = PriceOf(product);
  Remove(product.product_id());
  Touch(traits.category);
  products_[KeyOf(product.product_id())] = traits;
}

void ProductTable::Remove(std::string_view product_id) {
  const auto at = products_.find(KeyOf(product_id));
  if (at == products_.end()) return;
  Touch(at->second.category);
  categories_.Release(at->second.category);
  brands_.Release(at->second.brand);
  products_.erase(at);
}

void ProductTable::Touch(uint32_t category) {
  if (touched_.size() <= category) touched_.resize(categories_.size());
  touched_[category] = true;
}

void ProductTable::Finish() {
  touched_.resize(categories_.size());
  const auto is_to_do = [&](const ProductTraits& traits) {
    return touched_[traits.category] && !std::isnan(traits.price);
  };
  size_t count = 0;
  for (const auto& [key, traits] : products_) count += is_to_do(traits) ? 1 : 0;
  std::vector<ProductTraits*> priced;
  priced.reserve(count);
  for (auto& [key, traits] : products_) {
    if (is_to_do(traits)) priced.push_back(&traits);
  }
  std::sort(priced.begin(), priced.end(), [](const ProductTraits* a, const ProductTraits* b) {
    return a->category != b->category ? a->category < b->category : a->price < b->price;
  });
  for (size_t begin = 0, end = 0; begin < priced.size(); begin = end) {
    while (end < priced.size() && priced[end]->category == priced[begin]->category) ++end;
    for (size_t from = begin, to = begin; from < end; from = to) {
      while (to < end && priced[to]->price == priced[from]->price) ++to;
      const double below = static_cast<double>(from - begin) + static_cast<double>(to - from) / 2;
      const auto level = static_cast<float>(below / static_cast<double>(end - begin));
      for (size_t i = from; i < to; ++i) priced[i]->price_level = level;
    }
  }
  touched_ = {};
}

bool ProductTable::Says(const catalog::v1::Product& product) const {
  const auto at = products_.find(KeyOf(product.product_id()));
  if (at == products_.end()) return false;
  const std::vector<std::string_view> categories = CategoriesOf(product);
  const std::vector<std::string_view> brand = BrandOf(product);
  return Same(at->second.price, PriceOf(product)) &&
         categories_.Is(at->second.category, categories) && brands_.Is(at->second.brand, brand);
}

}  // namespace starling::features
