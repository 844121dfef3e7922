// What people take after what: weights from item to item that know the order of things.
//
//   STARLING_ASSIGN_OR_RETURN(ItemToItemModel model,
//                             FitTransitions(baskets, {.half_life = 14 * kDay}));
//
//   c_ij = sum over pairs of baskets a before b of a user, i in a, j in b, of w(a, b),
//   w(a, b) = 2^(-(t_b - t_a) / half_life) / d,     b the d-th basket after a, d <= steps,
//   W_ij = c_ij / ((n_i + prior) (n_j + prior)^target_exponent),
//   n_i the sum of w(a, b) over all pairs with i in a, n_j the sum of c_ij over i.
//
// A Markov chain of first and higher order with weights by distance, as the sequential rules SR of
// Ludewig and Jannach ("Evaluation of session-based recommendation algorithms", 2018) and the
// higher-order terms of Fossil (He and McAuley, 2016), smoothed by the prior. With
// Targets::kFirst, b counts only for what the user takes for the first time: it says what people
// discover next, and their habits say nothing. An item does not speak for itself.
//
// It is served like every item-to-item model, each event of the history weighed by its age with
// the same half-life: so the newest events speak loudest and a click changes the next answer. The
// `neighbours` largest W_ij of each j are kept. Time: entries x steps x items of a basket.
#pragma once

#include "learning/baskets.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"

namespace starling::learning {

struct TransitionsOptions {
  enum class Targets : uint8_t { kEvery, kFirst };
  Targets targets = Targets::kEvery;
  double half_life = 14 * kDay;  // seconds, > 0
  int steps = 5;                 // >= 1
  double prior = 10;             // > 0
  double target_exponent = 0.5;  // in [0, 1]; 0: how likely, 1: how much likelier than ever
  int neighbours = 100;          // >= 1
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the baskets
};

StatusOr<ItemToItemModel> FitTransitions(const Baskets& baskets, const TransitionsOptions& options,
                                         const Progress& progress = {});
// Bytes that it takes at most beside the baskets, the model included.
uint64_t TransitionsMemory(const Baskets& baskets, const TransitionsOptions& options);

}  // namespace starling::learning
