// A graph over a catalogue in which the best items are found by walking (HNSW: Malkov and Yashunin,
// "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
// World graphs", 2018; the numbers of their algorithms are in the code).
//
//   QuantisedItems codes = QuantisedItems::Make(factors);
//   STARLING_ASSIGN_OR_RETURN(HnswGraph graph, HnswGraph::Build(codes, {.seed = 1}));
//   codes.Encode(user, query);
//   if (graph.Search(codes, query, options, 100, scratch)) ... scratch.found
//
// Largest inner product as nearest neighbour (Bachrach et al., "Speeding Up the Xbox Recommender
// System Using a Euclidean Transformation for Inner-Product Spaces", RecSys 2014): with M the
// largest norm, item x becomes (x, sqrt(M^2 - |x|^2)) and query q becomes (q, 0). All items then
// have norm M, so the nearest is the one with the largest inner product, between items
// x.y + tail_x tail_y, from a query q.x.
//
// The walk looks at bytes (quantised_items.h) and never at the factors: a row is one or two cache
// lines. Whoever asks scores what is found by the factors.
//
//   sections, for an artifact (artifact.h), rows being those of the QuantisedItems:
//   hnsw.links    u32   rows x 2 neighbours: of each row on the lowest level; 2^32 - 1 fills up
//   hnsw.offsets  u32   rows + 1: row r's lists of the levels above are upper[offsets[r]] to
//                       upper[offsets[r + 1]], level 1 first
//   hnsw.upper    u32   lists x neighbours
//   hnsw.entry    u32   1: the row that a walk begins at, one of the highest
//
// Immutable and thread-safe. The same items, options and seed give the same graph, whatever the
// instruction set. About 9 neighbours bytes an item.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "learning/artifact.h"
#include "learning/math/array.h"
#include "learning/math/parallel.h"
#include "learning/retrieval/quantised_items.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {

struct HnswOptions {
  size_t neighbours = 16;  // M: links of a row on each level, twice as many on the lowest; 2 to 64
  size_t width = 100;      // ef_construction: candidates for the links of a new row; >= 1
  uint64_t seed = 1;
};

// Of one thread, for graphs of any size.
struct HnswScratch {
  std::vector<ScoredItem> found;  // the result, in no order; scores in units of the query's scale

  // The walk's own (hnsw_walk.h).
  struct Near {
    float similarity;
    uint32_t row;
  };
  std::vector<uint64_t> visited;  // a bit a row
  std::vector<Near> frontier;
  std::vector<Near> nearest;
  std::vector<Near> measured;
  std::vector<uint32_t> rows;
  std::vector<int32_t> dots;
};

class HnswGraph {
 public:
  // One thread, about 0.1 ms an item. INVALID_ARGUMENT when an option is out of its range,
  // CANCELLED when `progress` says so.
  static StatusOr<HnswGraph> Build(const QuantisedItems& items, const HnswOptions& options,
                                   const Progress& progress = {});
  // Bytes that Build takes, the graph included.
  static uint64_t BuildMemory(size_t rows, const HnswOptions& options);
  // Looks at the artifact's bytes. Every index is checked: DATA_LOSS when one leads outside, or the
  // graph is of another number of rows. A graph of other items of that number is safe and finds
  // little, which RetrievalIndex measures.
  static StatusOr<HnswGraph> Open(const Artifact& artifact, size_t rows);
  void AddTo(ArtifactWriter& writer) const;

  size_t rows() const { return offsets_.empty() ? 0 : offsets_.size() - 1; }

  // Walks until the `width` (ef) nearest of the allowed items that it knows are nearer than all
  // that is left to look at, and puts them into scratch.found. Items that may not be given are
  // walked over, so it goes on until it has enough others. False when it has seen `most_visited`
  // rows, or every row that can be reached, and fewer than options.k may be given: then a scan is
  // the better way. `items` are those of Build; the query has codes.
  bool Search(const QuantisedItems& items, const QueryCodes& query, const TopKOptions& options,
              size_t width, size_t most_visited, HnswScratch& scratch,
              const ScanKernels& kernels = BestScanKernels()) const;

 private:
  friend class HnswBuilder;

  // The links of a row on a level that it has; kNoRow (hnsw_walk.h) ends them.
  std::span<const uint32_t> Links(uint32_t row, size_t level) const {
    return level == 0 ? links_.subspan(2 * neighbours_ * row, 2 * neighbours_)
                      : upper_.subspan((offsets_[row] + level - 1) * neighbours_, neighbours_);
  }
  size_t Levels(uint32_t row) const { return offsets_[row + 1] - offsets_[row]; }

  size_t neighbours_ = 0;
  Array<uint32_t> entry_;
  Array<uint32_t> links_;
  Array<uint32_t> offsets_;
  Array<uint32_t> upper_;
};

}  // namespace starling::learning
