// One user's interactions in memory, oldest first: columns in one block, 25 bytes an interaction.
//
//   History history = table.Find("ada");              // a view: two words and a reference count
//   for (uint32_t i = 0; i < history.size(); ++i) Use(history[i]);
//
// A History never changes. One that goes on where another ends shares its block: Append writes only
// behind what every History of the block can see. So histories are read on any thread while one
// thread appends, to the newest History of the user alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "services/features/interaction.h"

namespace starling::features {

// An interaction of a user. Rows are ordered by time, then by id.
struct Row {
  uint64_t id = 0;  // the hash of the event's id
  uint32_t time = 0;
  uint32_t product = 0;
  float quantity = 1;
  float price = 0;
  Kind kind = Kind::kCustom;
  bool Before(const Row& other) const {
    return time != other.time ? time < other.time : id < other.id;
  }
};

class History {
 public:
  History() = default;
  // Rows in their order, in a block of their own.
  static History Of(std::span<const Row> rows);

  uint32_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  Row operator[](uint32_t i) const {
    const uint32_t at = begin_ + i;
    return {block_->ids[at],        block_->times[at],  block_->products[at],
            block_->quantities[at], block_->prices[at], block_->kinds[at]};
  }
  Interaction At(uint32_t i) const {
    const uint32_t at = begin_ + i;
    return {block_->times[at], block_->products[at], block_->kinds[at], block_->quantities[at],
            block_->prices[at]};
  }
  std::span<const uint64_t> ids() const { return Column(block_ ? block_->ids : nullptr); }
  std::span<const uint32_t> products() const { return Column(block_ ? block_->products : nullptr); }
  bool HasId(uint64_t id) const { return Contains(ids(), id); }
  bool HasProduct(uint32_t product) const { return Contains(products(), product); }

  // Without the `drop` oldest, with `rows` behind, which come after all that are there.
  History Append(uint32_t drop, std::span<const Row> rows) const;

 private:
  struct Block {
    explicit Block(uint32_t capacity);
    void Put(uint32_t at, const Row& row);
    const uint32_t capacity;
    const std::unique_ptr<std::byte[]> bytes;
    uint64_t* const ids;
    uint32_t* const times;
    uint32_t* const products;
    float* const quantities;
    float* const prices;
    Kind* const kinds;
  };
  History(std::shared_ptr<Block> block, uint32_t begin, uint32_t end)
      : block_(std::move(block)), begin_(begin), end_(end) {}
  template <typename T>
  std::span<const T> Column(const T* column) const {
    return column == nullptr ? std::span<const T>() : std::span(column + begin_, size());
  }
  // In steps without a way out, which the compiler turns into vector code.
  template <typename T>
  static bool Contains(std::span<const T> column, T value) {
    constexpr size_t kStep = 64;
    size_t at = 0;
    for (; at + kStep <= column.size(); at += kStep) {
      T found = 0;
      for (size_t i = 0; i < kStep; ++i) found |= static_cast<T>(column[at + i] == value);
      if (found != 0) return true;
    }
    return std::find(column.begin() + static_cast<ptrdiff_t>(at), column.end(), value) !=
           column.end();
  }

  std::shared_ptr<Block> block_;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
};

}  // namespace starling::features
