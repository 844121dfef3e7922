// SLIM: every item predicted from the few others that it takes, by weights that are never negative.
// Sparse, so quick to serve and easily explained; where EASE counts what speaks against an item,
// this one counts only what speaks for it (Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N
// Recommender Systems", ICDM 2011).
//
//   STARLING_ASSIGN_OR_RETURN(ItemToItemModel model, FitSlim(train, {.l1 = 10}));
//
//   minimise 1/2 |x_j - X w|^2 + 1/2 w'L w + l1 sum(w)  over w >= 0, w_j = 0,  for each item j
//   |.|^2 with each user weighed,  L = l2 I + p / (1 - p) diag(X'WX),  W and p as in ease.h
//
// by coordinate descent on G = X'WX with covariance updates and an active set (Friedman, Hastie,
// Tibshirani, "Regularization Paths for Generalized Linear Models via Coordinate Descent", 2010,
// section 2.2): w_i = max(0, (g_ij - sum_k!=i G_ik w_k - l1) / (G_ii + L_ii)). Candidates of an
// item are its `neighbours` most similar ones, as in the paper's fsSLIM (section 5.4).
//
// X: users x items, weighed (weighting.h). It errs elsewhere than EASE does, so a blend of both is
// better than either. Time: that of local_gram.h, then some hundred thousand multiply-adds an item,
// until no weight moves a prediction by more than a ten-thousandth of what the item has, or for 200
// sweeps. The same data and options give the same bytes, on any number of threads.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"

namespace starling::learning {

struct SlimOptions {
  Weighting weighting;
  int64_t as_of = 0;         // unix seconds; 0: the latest time in the data
  double l1 = 2;             // >= 0; what an item must share with another to have a weight
  double l2 = 100;           // > 0; both grow with the number of users
  double user_exponent = 0;  // in [0, 1]
  double dropout = 0;        // p, in [0, 1)
  int neighbours = 200;      // 1 to 2000
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

// A model of kind "slim".
StatusOr<ItemToItemModel> FitSlim(const Interactions& data, const SlimOptions& options,
                                  const Progress& progress = {});
// Bytes that FitSlim takes at its peak beside the data. How many weights there will be is not known
// before, so 32 items are fitted, which takes less memory than the fit: right to some percent, as
// NeighbourCounts is. Above memory_limit already without any weights, it is that.
uint64_t SlimMemory(const Interactions& data, const SlimOptions& options);

}  // namespace starling::learning
