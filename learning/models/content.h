// Items that are described alike, for those that nobody had yet: cosine of their words.
//
//   STARLING_ASSIGN_OR_RETURN(ItemToItemModel model, FitContent(terms, buyers, {}));
//
//   W_ij = sum over the terms of both of idf(t)^2 / (|i| |j|),    |i|^2 = sum of idf(t)^2,
//   idf(t) = ln(items / items with t),
//
// for the `neighbours` items i nearest to each j, and the other way round, so W is symmetric: an
// item without a buyer is spoken for by what users had, and speaks for it. Of equally near ones
// those with more buyers count first. Terms of more than `most_of_term` items bring no neighbours
// by themselves, though they count in the cosine of what others bring. Time: the sum over terms of
// the square of their items, at most entries x most_of_term.
#pragma once

#include "learning/item_terms.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"

namespace starling::learning {

struct ContentOptions {
  int neighbours = 20;          // >= 1
  size_t most_of_term = 3'000;  // >= 1
  float least = 0.2F;           // cosines below it say nothing; in [0, 1]
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the terms
};

// buyers: how many had each item; terms.items() of them.
StatusOr<ItemToItemModel> FitContent(const ItemTerms& terms, std::span<const uint32_t> buyers,
                                     const ContentOptions& options, const Progress& progress = {});
// Bytes that it takes at most beside the terms, the model included.
uint64_t ContentMemory(const ItemTerms& terms, const ContentOptions& options);

}  // namespace starling::learning
