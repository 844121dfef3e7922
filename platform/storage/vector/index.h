// What makes a search of many vectors quick, for the embedded adapter: given to it, because the
// indexes there are lie in learning/, which stands above this folder.
//
//   vector::OpenEmbedded({.path = file, .make_index = MakeRetrievalIndex}, pool);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "platform/base/status.h"

namespace starling::vector {

// Over rows that outlive it. Immutable and thread-safe.
class Index {
 public:
  virtual ~Index() = default;
  // Rows with the largest inner products with the query, in any order: k of them, or those there
  // are. Some of the best may be missing; none that is excluded is among them.
  virtual std::vector<uint32_t> Nearest(std::span<const float> query, size_t k,
                                        std::span<const uint32_t> excluded) const = 0;
};

// rows: count x dimension, row-major. Called for kIndexFrom rows or more, on a thread that may
// block.
using MakeIndex =
    std::function<StatusOr<std::unique_ptr<Index>>(std::span<const float> rows, size_t dimension)>;

}  // namespace starling::vector
