#include "services/features/history.h"

#include <cstring>

namespace starling::features {
namespace {

constexpr size_t kRowBytes = sizeof(uint64_t) + 2 * sizeof(uint32_t) + 2 * sizeof(float) + 1;

}  // namespace

// The widest column first, so that each is aligned.
History::Block::Block(uint32_t capacity)
    : capacity(capacity),
      bytes(new std::byte[capacity * kRowBytes]),
      ids(reinterpret_cast<uint64_t*>(bytes.get())),
      times(reinterpret_cast<uint32_t*>(ids + capacity)),
      products(times + capacity),
      quantities(reinterpret_cast<float*>(products + capacity)),
      prices(quantities + capacity),
      kinds(reinterpret_cast<Kind*>(prices + capacity)) {}

void History::Block::Put(uint32_t at, const Row& row) {
  ids[at] = row.id;
  times[at] = row.time;
  products[at] = row.product;
  quantities[at] = row.quantity;
  prices[at] = row.price;
  kinds[at] = row.kind;
}

History History::Of(std::span<const Row> rows) {
  if (rows.empty()) return {};
  const auto size = static_cast<uint32_t>(rows.size());
  auto block = std::make_shared<Block>(size);
  for (uint32_t i = 0; i < size; ++i) block->Put(i, rows[i]);
  return {std::move(block), 0, size};
}

History History::Append(uint32_t drop, std::span<const Row> rows) const {
  const auto added = static_cast<uint32_t>(rows.size());
  if (block_ == nullptr) return Of(rows);
  if (added <= block_->capacity - end_) {
    for (uint32_t i = 0; i < added; ++i) block_->Put(end_ + i, rows[i]);
    return {block_, begin_ + drop, end_ + added};
  }
  const uint32_t kept = size() - drop;
  const uint32_t size = kept + added;
  auto block = std::make_shared<Block>(size + std::max(size / 5, 4u));
  const uint32_t from = begin_ + drop;
  const auto copy = [&](auto* to, const auto* column) {
    std::memcpy(to, column + from, kept * sizeof(*to));
  };
  copy(block->ids, block_->ids);
  copy(block->times, block_->times);
  copy(block->products, block_->products);
  copy(block->quantities, block_->quantities);
  copy(block->prices, block_->prices);
  copy(block->kinds, block_->kinds);
  for (uint32_t i = 0; i < added; ++i) block->Put(kept + i, rows[i]);
  return {std::move(block), 0, size};
}

}  // namespace starling::features
