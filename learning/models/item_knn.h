// Items bought by the same people: cosine similarity with shrinkage, the best neighbours kept.
//
//   STARLING_ASSIGN_OR_RETURN(ItemToItemModel model, FitItemKnn(train, {.neighbours = 100}));
//
//   W_ij = G_ij / (|x_i|^(2 - 2e) |x_j|^(2e) + shrinkage),    G = X'WX,  |x_i|^2 = G_ii,
//
// x_i the weighed column of item i over users, for the `neighbours` items i with the largest W_ij
// of each j (Sarwar et al. 2001; shrinkage as in Bell and Koren 2007: similarities that few users
// speak for count less). W weighs users by the user_exponent as in ease.h; e is the item_exponent:
// 1/2 is the cosine, less favours popular items (as in Park, Shin, Kim, "Turbo-CF", SIGIR 2024).
// With both it is the linear filter of GF-CF (Shen et al., CIKM 2021). Sparse throughout: the sum
// of squared row lengths in time, items x neighbours in memory, so it takes a catalogue that is too
// large for EASE. Below EASE in quality where both can be fitted.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"

namespace starling::learning {

struct ItemKnnOptions {
  Weighting weighting;
  int64_t as_of = 0;           // unix seconds; 0: the latest time in the data
  int neighbours = 100;        // kept for each item, >= 1
  double user_exponent = 0;    // in [0, 1]
  double item_exponent = 0.5;  // e, in [0, 1]
  double shrinkage = 10;       // >= 0
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

StatusOr<ItemToItemModel> FitItemKnn(const Interactions& data, const ItemKnnOptions& options,
                                     const Progress& progress = {});
// Bytes that FitItemKnn takes at its peak beside the data, the model included: as right as
// NeighbourCounts.
uint64_t ItemKnnMemory(const Interactions& data, const ItemKnnOptions& options);

}  // namespace starling::learning
