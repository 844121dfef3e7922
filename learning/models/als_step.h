// The half-step of ALS: all rows of one side, the other side being fixed (models/als.h has the
// problem).
//
//   STARLING_ASSIGN_OR_RETURN(std::vector<float> diagonal, RotateToEigenbasis(users, items, ...));
//   SolveRows({...}, train, users);
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "learning/interactions.h"
#include "learning/models/als.h"

namespace starling::learning {

// rows x dimension, row-major.
struct Factors {
  std::vector<float> values;
  size_t rows = 0;
};

// Rotates both sides into the basis in which fixed'fixed is diagonal, and gives that diagonal times
// unobserved_weight. No inner product between the sides changes.
StatusOr<std::vector<float>> RotateToEigenbasis(Factors& fixed, Factors& other, size_t dimension,
                                                double unobserved_weight, int threads);

struct HalfStep {
  std::span<const float> fixed;     // fixed rows x dimension, in the eigenbasis
  std::span<const float> diagonal;  // dimension: what RotateToEigenbasis gave
  AlsRegularisation regularisation;
  int cg_steps = 3;  // 0: exactly
  int threads = 1;
};

// Replaces each row of `solved`, which is where its conjugate gradients start. `entries` has a row
// for each; its items are rows of `fixed`. Rows without entries become 0. Each row depends on its
// own start and the fixed side only, so the threads change nothing.
void SolveRows(const HalfStep& step, const Interactions& entries, Factors& solved);

}  // namespace starling::learning
