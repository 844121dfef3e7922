#include "services/recommendation/product_memory.h"

#include <algorithm>
#include <bit>

#include "platform/base/hash.h"

namespace starling::recommendation {

ProductMemory::ProductMemory(size_t products)
    : sets_(std::bit_ceil(std::max<size_t>(1, products / kWays))) {}

ProductMemory::Way* ProductMemory::FindWay(Set& set, uint64_t hash, std::string_view product_id) {
  for (Way& way : set.ways) {
    if (way.hash == hash && way.product != nullptr && way.product->product_id() == product_id)
      return &way;
  }
  return nullptr;
}

std::shared_ptr<const ProductMemory::Product> ProductMemory::Find(std::string_view product_id,
                                                                  Duration age, Instant now) {
  const uint64_t hash = Hash64(product_id);
  const size_t at = hash & (sets_.size() - 1);
  const std::lock_guard lock(locks_[at % kLocks]);
  Set& set = sets_[at];
  Way* const way = FindWay(set, hash, product_id);
  if (way == nullptr || now - way->kept_at > age) return nullptr;
  way->asked = ++set.clock;
  return way->product;
}

std::shared_ptr<const ProductMemory::Product> ProductMemory::Keep(Product product, Instant now) {
  auto kept = std::make_shared<const Product>(std::move(product));
  const uint64_t hash = Hash64(kept->product_id());
  const size_t at = hash & (sets_.size() - 1);
  const std::lock_guard lock(locks_[at % kLocks]);
  Set& set = sets_[at];
  Way* way = FindWay(set, hash, kept->product_id());
  if (way == nullptr) {
    // By how much the clock is ahead, whatever it has come to.
    way = &*std::max_element(set.ways.begin(), set.ways.end(), [&](const Way& a, const Way& b) {
      return set.clock - a.asked < set.clock - b.asked;
    });
  }
  way->hash = hash;
  way->kept_at = now;
  way->product = kept;
  way->asked = ++set.clock;
  return kept;
}

}  // namespace starling::recommendation
