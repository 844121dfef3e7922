// learning's index over factors as the embedded vector store wants one.
//
//   environment.OpenVectors("inference", "nearest", MakeVectorIndex());
#pragma once

#include "learning/retrieval/retrieval_index.h"
#include "platform/storage/vector/index.h"

namespace starling::inference {

// An index is made again at each start, and a graph takes 0.1 ms a vector: so there is none below.
inline constexpr size_t kGraphFrom = 200'000;

// What retrieval_index.h measures to be the quickest of those that find 99 % of the best, a graph
// (HNSW) among them from kGraphFrom vectors on; `method` decides instead of the measurement.
vector::MakeIndex MakeVectorIndex(std::optional<learning::RetrievalMethod> method = std::nullopt,
                                  size_t graph_from = kGraphFrom);

}  // namespace starling::inference
