// Products as they were last seen, for the day when catalog does not answer.
//
//   ProductMemory memory(16'384);
//   memory.Keep(product);                                   // with every answer
//   if (std::shared_ptr<const Product> old = memory.Find("p-1")) ...
//
// Made for Keep: that a product is there already, in this state (etag), is seen in one line of
// memory. Holds at most about `products`: the hash of an id says in which four places it may be,
// and a new product takes the one of them that was seen longest ago. Thread-safe: one short lock of
// a sixteenth of the places.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "contracts/catalog/v1/catalog.pb.h"

namespace starling::recommendation {

class ProductMemory {
 public:
  using Product = catalog::v1::Product;
  explicit ProductMemory(size_t products);

  void Keep(const Product& product);
  // nullptr when it is not there.
  std::shared_ptr<const Product> Find(std::string_view product_id);

 private:
  static constexpr size_t kWays = 4;
  static constexpr size_t kLocks = 16;
  struct alignas(64) Set {
    std::array<uint64_t, kWays> states = {};  // hash of id and etag; 0: free
    std::array<uint32_t, kWays> seen = {};    // by `clock`
    uint32_t clock = 0;
    std::array<std::shared_ptr<const Product>, kWays> products;
  };

  std::vector<Set> sets_;  // a power of two of them
  std::array<std::mutex, kLocks> locks_;
};

}  // namespace starling::recommendation
