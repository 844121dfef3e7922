// One state of the product catalogue, immutable: what every read answers from.
//
//   auto next = std::make_shared<const Catalogue>(catalogue->With({{"p-1", product}, {"p-2",
//   nullptr}}, 18)); const Product* product = next->Find("p-1");
//
// Products in the order of their ids, in chunks of at most 256 that states share: a change copies
// the list of chunks and the chunks that it touches. Find: O(log n), about 200 ns at 100,000
// products. With: O(n / 256 + changes * 256), about 5 us for one change at 100,000. Safe to read
// from any thread.
#pragma once

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

  // The last chunk whose first id is not above `product_id`; 0 when all are.
  size_t ChunkOf(std::string_view product_id) const;

  std::vector<std::shared_ptr<const Chunk>> chunks_;  // none is empty
  size_t size_ = 0;
  int64_t sequence_ = 0;
};

}  // namespace starling::catalog
