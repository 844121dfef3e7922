// One state of the product catalogue, immutable: what every read answers from.
//
//   auto next = std::make_shared<const Catalogue>(catalogue->With({{"p-1", product}, {"p-2",
//   nullptr}}, 18)); const Product* product = next->Find("p-1");
//
// Products in the order of their ids, in chunks of at most 256, and by the hashes of their ids, in
// groups of 64 buckets of about 16: states share both, and a change copies what it touches and the
// lists of chunks and groups. Find: O(1), a walk through five places in memory. With:
// O(n / 256 + changes * 256). Safe to read from any thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "contracts/catalog/v1/catalog.pb.h"

namespace starling::catalog {

class Catalogue {
 public:
  using Product = v1::Product;
  using ProductPointer = std::shared_ptr<const Product>;
  // By id; nullptr removes.
  using Changes = std::map<std::string, ProductPointer, std::less<>>;

  Catalogue() = default;
  Catalogue With(const Changes& changes, int64_t sequence) const;

  // nullptr when there is no such product; lives as long as this state.
  const Product* Find(std::string_view product_id) const;
  size_t size() const { return size_; }
  // How many changes led to this state.
  int64_t sequence() const { return sequence_; }

  // Calls f(product) for each product whose id is above `after`, in order, until f gives false.
  template <typename F>
  void ForEachAfter(std::string_view after, F f) const {
    for (size_t c = ChunkOf(after); c < chunks_.size(); ++c) {
      for (const ProductPointer& product : *chunks_[c]) {
        if (product->product_id() > after && !f(*product)) return;
      }
    }
  }

 private:
  using Chunk = std::vector<ProductPointer>;
  static constexpr size_t kChunkLimit = 256;

  struct Hashed {
    uint64_t hash;
    ProductPointer product;
  };
  using Bucket = std::vector<Hashed>;
  static constexpr size_t kPerBucket = 16;
  static constexpr size_t kPerGroup = 64;
  using Group = std::array<std::shared_ptr<const Bucket>, kPerGroup>;

  const std::shared_ptr<const Bucket>& BucketOf(uint64_t hash) const {
    return (*groups_[GroupOf(hash)])[hash % kPerGroup];
  }
  size_t GroupOf(uint64_t hash) const { return hash / kPerGroup & (groups_.size() - 1); }
  // Sets `groups_` to those of `before`, changed, or anew when the catalogue has outgrown them.
  void Index(const Catalogue& before, const Changes& changes);

  // The last chunk whose first id is not above `product_id`; 0 when all are.
  size_t ChunkOf(std::string_view product_id) const;

  std::vector<std::shared_ptr<const Chunk>> chunks_;  // none is empty
  std::vector<std::shared_ptr<const Group>> groups_;  // a power of two of them, or none
  size_t size_ = 0;
  int64_t sequence_ = 0;
};

}  // namespace starling::catalog
