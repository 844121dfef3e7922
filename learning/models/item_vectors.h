// A vector for each item, near to those of items that like people had: what a vector store
// searches.
//
//   STARLING_ASSIGN_OR_RETURN(std::vector<float> vectors,
//                             FitItemVectors(interactions, {.dimension = 64}));
//   // items x 64, row-major; zeros for an item that nobody had
//
//   C = A'A,  A_ui = w_ui / |w_.i|          C_ij is the cosine of two items over their people
//   C ~ Q (Q'CQ) Q'                         Q: items x dimension, orthonormal
//   vectors = Q L,  L L' = Q'CQ,            then scaled to length sqrt(people / most people)
//
// So the cosine of two vectors is that of the items, smoothed by the `dimension` directions that
// say most: items that nobody had together are near when they go with the same others. For an item,
// those with the largest inner products go best with it: of the lengths tried on Online Retail II
// (1, and people^1/4, 1/2, 3/4 and 1) the root finds most of the rest of a basket, docs/models.md
// has the figures. Q comes from
// a few rounds of subspace iteration (Halko, Martinsson, Tropp, "Finding Structure with
// Randomness", SIAM Review 2011, algorithm 4.4); items scaled to one length are EigenRec with d = 0
// (Nikolakopoulos et al., "EigenRec", 2019). Any rotation of the vectors has the same cosines, so
// no eigenvectors are computed.
//
// Time: rounds + 1 times 4 x entries x dimension multiply-adds, and 2 x items x dimension^2: 0.13 s
// for Online Retail II and 64 dimensions. The same data and seed give the same bits. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "learning/interactions.h"
#include "learning/math/parallel.h"

namespace starling::learning {

struct ItemVectorOptions {
  size_t dimension = 64;  // 1 to 1024
  int rounds = 4;         // >= 1
  uint64_t seed = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the interactions
};

StatusOr<std::vector<float>> FitItemVectors(const Interactions& data,
                                            const ItemVectorOptions& options,
                                            const Progress& progress = {});
// Bytes that it takes beside the interactions, the vectors included.
uint64_t ItemVectorMemory(const Interactions& data, const ItemVectorOptions& options);

}  // namespace starling::learning
