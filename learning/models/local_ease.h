// EASE for catalogues beyond its reach: each item is regressed on those that go with it most,
// instead of on all others.
//
//   STARLING_ASSIGN_OR_RETURN(ItemToItemModel model, FitLocalEase(train, {.neighbours = 200}));
//
//   b_j = inv(G_NN + L_NN) g_Nj,    G = X'WX,  L as in ease.h,  N the `neighbours` items i with the
//                                   largest G_ij / sqrt(G_ii G_jj)
//
// This is SLIM restricted to neighbours and without its L1 term (Ning and Karypis, "SLIM: Sparse
// Linear Methods for Top-N Recommender Systems", ICDM 2011, fsSLIM), solved exactly. With all items
// as neighbours it is EASE. Where each item goes with few others, as in large sparse catalogues,
// nothing is lost.
//
// Time: the sum of squared row lengths for G, then for each item neighbours^3 / 6 multiply-adds and
// one pass over the rows of G of its neighbours. Of each row of G as many of the most similar items
// are kept as half the memory limit holds; what is beyond counts as 0. Of Complete Journey's 68,000
// products 3,900 each lose nothing, 1,900 lose 1 % of the NDCG, and 800 a quarter of it.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"

namespace starling::learning {

// Beyond this many items it is quicker than FitEase, and better, since that models no more than so
// many (EaseOptions::max_items): on Complete Journey's 68,000 products 3 % of NDCG.
inline constexpr size_t kLocalEaseFrom = 10'000;

struct LocalEaseOptions {
  Weighting weighting;
  int64_t as_of = 0;            // unix seconds; 0: the latest time in the data
  double regularisation = 200;  // > 0
  double user_exponent = 0;     // in [0, 1]
  double dropout = 0;           // in [0, 1)
  double relaxation = 0;        // in [-4, 4]; P_jj is of the item and its neighbours alone
  int neighbours = 200;         // 1 to 2000
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

// A model of kind "ease": what it does once fitted is the same.
StatusOr<ItemToItemModel> FitLocalEase(const Interactions& data, const LocalEaseOptions& options,
                                       const Progress& progress = {});
// Bytes that FitLocalEase takes at its peak beside the data, the model included: as right as
// NeighbourCounts.
uint64_t LocalEaseMemory(const Interactions& data, const LocalEaseOptions& options);

}  // namespace starling::learning
