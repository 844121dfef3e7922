// EASE: every item predicted from all others by one ridge regression in closed form. The best
// quality for catalogues up to some ten thousand items (Steck, "Embarrassingly Shallow Autoencoders
// for Sparse Data", WWW 2019, equation 8).
//
//   STARLING_ASSIGN_OR_RETURN(
//       ItemToItemModel model,
//       FitEase(train, {.weighting = {.half_life = 60 * kDay}, .regularisation = 100}));
//
//   minimise |X - X B|^2 + regularisation |B|^2  with  diag(B) = 0
//   P = inv(X'WX + L),    B_ij = -P_ij / P_jj,    L = regularisation I + p / (1 - p) diag(X'WX)
//
// W weighs each user by n_u^-a, n_u being what the row adds up to and a the user_exponent, so that
// who has much does not outvote all others; scaled so that regularisation means the same for any a.
// 0 is plain EASE; 0.5 adds 2 % to the NDCG on MovieLens 1M.
//
// p is the dropout: training as if each entry were left out with that probability, in closed form
// (Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020, equation 9);
// popular items are then regularised more. 0, the default, is plain EASE.
//
// The relaxation r multiplies what is said of item j by (L_jj P_jj)^r. At 1 that is the regression
// without the constraint on the diagonal, as far as items are concerned that a user has not had
// (Moon, Kim, Lee, "It's Enough: Relaxing Diagonal Constraints in Linear Autoencoders for
// Recommendation", SIGIR 2023, their largest xi): L_jj P_jj is 1 less the weight that the item
// would have had in its own prediction: popular items, and those of which others say little, stay
// behind. 0 is plain EASE. Where entries are missing at random 1 is better: by 1 % of NDCG on
// MovieLens 1M, by 3 % on Last.fm and MovieLens latest small. Where the future is asked for, as in
// shops, 0 is.
//
// X: users x items, weighed (weighting.h); recent interactions may count more, then a smaller
// regularisation fits. Only the max_items most popular items are modelled, which bounds time
// (max_items^3 multiply-adds: 4,000 items 1 s, 10,000 items 10 s on two cores) and memory
// (4 max_items^2 bytes, or 16 max_items neighbours when that is more). Of the weights into each
// item the `neighbours` largest by magnitude are kept, also negative ones, so that serving is
// sparse. 200 cost 2 % of the NDCG on MovieLens 1M, 400 cost 1 %, and neither costs anything on
// Online Retail.
//
// The inversion is one call that Progress cannot stop; it is asked before and after.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"

namespace starling::learning {

struct EaseOptions {
  Weighting weighting;
  int64_t as_of = 0;            // unix seconds; 0: the latest time in the data
  double regularisation = 200;  // > 0; grows with the number of users
  double user_exponent = 0;     // a, in [0, 1]
  double dropout = 0;           // p, in [0, 1)
  double relaxation = 0;        // r, in [-4, 4]
  size_t max_items = 10'000;    // >= 1
  int neighbours = 200;         // kept for each item; 0: all
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

StatusOr<ItemToItemModel> FitEase(const Interactions& data, const EaseOptions& options,
                                  const Progress& progress = {});
// Bytes that FitEase takes at its peak beside the data, the model included. Counts the items.
uint64_t EaseMemory(const Interactions& data, const EaseOptions& options);

}  // namespace starling::learning
