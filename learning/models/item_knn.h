// Items bought by the same people: cosine similarity with shrinkage, the best neighbours kept.
//
//   STARLING_ASSIGN_OR_RETURN(ItemToItemModel model, FitItemKnn(train, {.neighbours = 100}));
//
//   W_ij = (x_i . x_j) / (|x_i| |x_j| + shrinkage),    x_i the weighed column of item i over users,
//
// for the `neighbours` items i with the largest W_ij of each j (Sarwar et al. 2001; shrinkage as in
// Bell and Koren 2007: similarities that few users speak for count less). Sparse throughout: the
// sum of squared row lengths in time, items x neighbours in memory, so it takes a catalogue that is
// too large for EASE. Below EASE in quality where both can be fitted.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"

namespace starling::learning {

struct ItemKnnOptions {
  Weighting weighting;
  int64_t as_of = 0;      // unix seconds; 0: the latest time in the data
  int neighbours = 100;   // kept for each item, >= 1
  double shrinkage = 10;  // >= 0
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

StatusOr<ItemToItemModel> FitItemKnn(const Interactions& data, const ItemKnnOptions& options,
                                     const Progress& progress = {});

}  // namespace starling::learning
