// Products as catalog lately gave them: asked before catalog is, and when it does not answer.
//
//   ProductMemory memory(16'384);
//   std::shared_ptr<const Product> card = memory.Find("p-1", std::chrono::seconds(1));
//   if (card == nullptr) card = memory.Keep(*std::move(fetched));
//   ... catalog is down ...
//   card = memory.Find("p-1", ProductMemory::kHoweverOld);
//
// Holds at most about `products`: the hash of an id says in which four places it may be, and a new
// product takes the one of them that was asked for longest ago. Find: a lock of a sixteenth of the
// places, and two to four lines of memory. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "contracts/catalog/v1/catalog.pb.h"
#include "platform/base/clock.h"

namespace starling::recommendation {

class ProductMemory {
 public:
  using Product = catalog::v1::Product;
  static constexpr Duration kHoweverOld = Duration::max();
  explicit ProductMemory(size_t products);

  // As it was at most `age` before `now`; nullptr when it is not there.
  std::shared_ptr<const Product> Find(std::string_view product_id, Duration age, Instant now);
  std::shared_ptr<const Product> Keep(Product product, Instant now);

 private:
  static constexpr size_t kWays = 4;
  static constexpr size_t kLocks = 16;
  struct Way {
    uint64_t hash = 0;
    Instant kept_at;
    std::shared_ptr<const Product> product;
    uint32_t asked = 0;  // by the set's clock
  };
  struct Set {
    std::array<Way, kWays> ways;
    uint32_t clock = 0;
  };
  Way* FindWay(Set& set, uint64_t hash, std::string_view product_id);

  std::vector<Set> sets_;  // a power of two of them
  std::array<std::mutex, kLocks> locks_;
};

}  // namespace starling::recommendation
