#include "learning/retrieval/hnsw.h"

#include <algorithm>

#include "learning/retrieval/best_items.h"
#include "learning/retrieval/hnsw_walk.h"

namespace starling::learning {
namespace {

constexpr size_t kMostNeighbours = 64;
constexpr size_t kMostLevels = 32;

}  // namespace

bool HnswGraph::Search(const QuantisedItems& items, const QueryCodes& query,
                       const TopKOptions& options, size_t width, size_t most_visited,
                       HnswScratch& scratch, const ScanKernels& kernels) const {
  scratch.found.clear();
  if (options.k == 0) return true;
  if (rows() == 0 || rows() != items.rows() || query.scale == 0) return false;
  const ItemFilter filter(options);
  const bool all = options.allowed.empty() && options.excluded.empty();
  const auto similarity = [&](uint32_t row, int32_t dot) {
    return items.scales()[row] * static_cast<float>(dot);
  };
  const auto accepts = [&](uint32_t row) { return all || filter.Allows(items.item()[row]); };
  size_t level = Levels(entry_[0]);
  const auto links = [&](uint32_t row) { return Links(row, level); };
  const HnswWalk walk{items, query.codes.data(), kernels, links, similarity, accepts};
  scratch.rows.assign(1, entry_[0]);
  MeasureRows(items, walk.codes, kernels, similarity, scratch);
  HnswNear start = scratch.measured[0];
  for (; level > 0; --level) start = Approach(walk, start, scratch);
  const bool done = WalkLevel(walk, start, std::max(width, options.k), most_visited, scratch);
  if (!done || scratch.nearest.size() < options.k) return false;
  for (const HnswNear& near : scratch.nearest) {
    scratch.found.push_back({items.item()[near.row], near.similarity});
  }
  return true;
}

void HnswGraph::AddTo(ArtifactWriter& writer) const {
  writer.Add<uint32_t>("hnsw.links", links_, rows(), 2 * neighbours_);
  writer.Add<uint32_t>("hnsw.offsets", offsets_);
  writer.Add<uint32_t>("hnsw.upper", upper_, upper_.size() / neighbours_, neighbours_);
  writer.Add<uint32_t>("hnsw.entry", entry_);
}

StatusOr<HnswGraph> HnswGraph::Open(const Artifact& artifact, size_t rows) {
  HnswGraph graph;
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> links, artifact.Get<uint32_t>("hnsw.links"));
  STARLING_ASSIGN_OR_RETURN(graph.offsets_, artifact.Get<uint32_t>("hnsw.offsets", rows + 1));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> upper, artifact.Get<uint32_t>("hnsw.upper"));
  STARLING_ASSIGN_OR_RETURN(graph.entry_, artifact.Get<uint32_t>("hnsw.entry", 1));
  graph.links_ = links.values;
  graph.upper_ = upper.values;
  graph.neighbours_ = links.columns / 2;
  if (rows == 0 || links.rows != rows) {
    return DataLoss("section 'hnsw.links' is of {} rows, and there are {}", links.rows, rows);
  }
  if (graph.neighbours_ < 2 || graph.neighbours_ > kMostNeighbours || links.columns % 2 != 0 ||
      upper.columns != graph.neighbours_) {
    return DataLoss("sections 'hnsw.links' and 'hnsw.upper' have {} and {} columns", links.columns,
                    upper.columns);
  }
  const Array<uint32_t>& offsets = graph.offsets_;
  for (size_t row = 0; row < rows; ++row) {
    if (offsets[row] > offsets[row + 1] || offsets[row + 1] - offsets[row] > kMostLevels) {
      return DataLoss("section 'hnsw.offsets' has {} after {}", offsets[row + 1], offsets[row]);
    }
  }
  if (offsets[0] != 0 || offsets[rows] != upper.rows) {
    return DataLoss("section 'hnsw.offsets' goes from {} to {}, and 'hnsw.upper' has {} lists",
                    offsets[0], offsets[rows], upper.rows);
  }
  if (graph.entry_[0] >= rows) {
    return DataLoss("section 'hnsw.entry' is {}, outside {} rows", graph.entry_[0], rows);
  }
  // A link on a level leads to a row that has that level.
  for (uint32_t row = 0; row < rows; ++row) {
    for (size_t level = 0; level <= graph.Levels(row); ++level) {
      for (const uint32_t link : graph.Links(row, level)) {
        if (link == kNoRow) break;
        if (link >= rows || graph.Levels(link) < level) {
          return DataLoss("row {} of the graph has a link to {} on level {}, which is not there",
                          row, link, level);
        }
      }
    }
  }
  return graph;
}

}  // namespace starling::learning
