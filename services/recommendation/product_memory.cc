#include "services/recommendation/product_memory.h"

#include <algorithm>
#include <bit>

#include "platform/base/hash.h"

namespace starling::recommendation {

ProductMemory::ProductMemory(size_t products)
    : sets_(std::bit_ceil(std::max<size_t>(1, products / kWays))) {}

void ProductMemory::Keep(const Product& product) {
  const uint64_t id = Hash64(product.product_id());
  const uint64_t state = std::max<uint64_t>(1, Hash64(product.etag(), id));
  const size_t at = id & (sets_.size() - 1);
  const std::lock_guard lock(locks_[at % kLocks]);
  Set& set = sets_[at];
  ++set.clock;
  for (size_t way = 0; way < kWays; ++way) {
    if (set.states[way] == state) {
      set.seen[way] = set.clock;
      return;
    }
  }
  size_t place = kWays;
  size_t oldest = 0;
  for (size_t way = 0; way < kWays; ++way) {
    if (set.products[way] != nullptr && set.products[way]->product_id() == product.product_id())
      place = way;
    // Whatever the clock has come to: by how much it is ahead.
    if (set.clock - set.seen[way] > set.clock - set.seen[oldest]) oldest = way;
  }
  if (place == kWays) place = oldest;
  set.states[place] = state;
  set.seen[place] = set.clock;
  set.products[place] = std::make_shared<const Product>(product);
}

std::shared_ptr<const ProductMemory::Product> ProductMemory::Find(std::string_view product_id) {
  const size_t at = Hash64(product_id) & (sets_.size() - 1);
  const std::lock_guard lock(locks_[at % kLocks]);
  for (const auto& product : sets_[at].products) {
    if (product != nullptr && product->product_id() == product_id) return product;
  }
  return nullptr;
}

}  // namespace starling::recommendation
