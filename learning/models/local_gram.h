// What each item of a large catalogue goes with: the rows of G = X'WX, and the part of G among an
// item and its most similar ones. What EASE's local form and SLIM regress by.
//
//   const LocalPlan plan = PlanLocal(data, options, scratch);
//   STARLING_ASSIGN_OR_RETURN(
//       const BumpRows<Source> sources,
//       FitLocally(data, options, plan, progress, [&] { return Regression(options); }));
//
// X: users x items, weighed (weighting.h); W weighs each user (user_weights.h). The neighbours of
// an item are the `neighbours` others with the largest G_ij / sqrt(G_ii G_jj). Of each row of G as
// many of the most similar items are kept as half the memory limit holds; what is beyond counts as
// 0. Threads change nothing.
//
// Time: the sum of squared row lengths for G, then for each item one pass over the rows of G of its
// neighbours, and what the solver takes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "learning/interactions.h"
#include "learning/math/bump_rows.h"
#include "learning/math/parallel.h"
#include "learning/models/item_to_item.h"
#include "learning/models/neighbour_counts.h"

namespace starling::learning {

struct LocalOptions {
  Weighting weighting;
  int64_t as_of = 0;         // unix seconds; 0: the latest time in the data
  double user_exponent = 0;  // in [0, 1]
  size_t neighbours = 200;   // >= 1
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

// What a fit keeps and takes, known before it begins.
struct LocalPlan {
  size_t most = 0;           // kept of each row of G
  uint64_t gram_values = 0;  // room for those of all rows
  uint64_t weights = 0;      // room for those of the model
  uint64_t memory = 0;       // bytes at the peak, the model included
};

// scratch: bytes that a thread's solver takes beside G. weighed: what part of the neighbours has a
// weight in the model; without it all have. It is asked only where a model without any weights
// would be within the memory limit; elsewhere memory is that of such a model.
LocalPlan PlanLocal(const Interactions& data, const LocalOptions& options, uint64_t scratch,
                    const std::function<double(const NeighbourCounts&)>& weighed = {});

// X and W.
struct WeighedRows {
  Interactions rows;
  std::vector<float> user_weights;
  std::vector<float> diagonal;  // of G
};
WeighedRows WeighedRowsOf(const Interactions& data, const LocalOptions& options);

// G without its diagonal. Of each row first the neighbours, then the other items that are kept,
// each in any order. Items lie by themselves, since they are read for each that is looked for.
struct LocalGram {
  std::vector<float> diagonal;
  BumpRows<uint32_t> items;
  BumpRows<float> values;
};
StatusOr<LocalGram> LocalGramOf(const Interactions& data, const LocalOptions& options,
                                const LocalPlan& plan, const Progress& progress);

// The part of G among an item's neighbours, one item at a time; its memory is used again for the
// next. Not thread-safe.
class Neighbourhood {
 public:
  using Source = ItemToItemModel::Source;

  // diagonal: of G; borrowed.
  Neighbourhood(std::span<const float> diagonal, size_t neighbours)
      : diagonal_(diagonal),
        most_(neighbours),
        asked_((diagonal.size() + 63) / 64, 0),
        position_(diagonal.size(), 0) {}

  void MoveTo(uint32_t item, const LocalGram& gram);
  // The same without G, but for what is cut off it: two passes over the data, and the squares of
  // how many of the neighbours each user has.
  void MoveTo(uint32_t item, const WeighedRows& data);

  uint32_t item() const { return item_; }
  float diagonal() const { return diagonal_[item_]; }
  float diagonal(size_t i) const { return diagonal_[neighbours_[i].item]; }
  size_t size() const { return neighbours_.size(); }
  // By item; the weight is G_ij.
  std::span<const Source> neighbours() const { return neighbours_; }
  // size x size, row-major, of which the lower triangle is filled, and the diagonal.
  std::span<float> matrix() { return matrix_; }

 private:
  // Of what is in neighbours_, in any order.
  void Begin(uint32_t item);
  void End();

  const std::span<const float> diagonal_;
  const size_t most_;
  uint32_t item_ = 0;
  std::vector<uint64_t> asked_;     // a bit an item: it is one of the neighbours
  std::vector<uint32_t> position_;  // of each that is, in neighbours_
  std::vector<Source> neighbours_;
  std::vector<float> matrix_;
};

// Calls body(begin, end) for all items on all threads, part by part, telling how far it is.
template <typename Body>
Status ForItems(size_t items, int threads, double from, double to, const Progress& progress,
                const Body& body) {
  constexpr size_t kParts = 50;
  const size_t part = std::max<size_t>(1, (items + kParts - 1) / kParts);
  for (size_t first = 0; first < items; first += part) {
    STARLING_RETURN_IF_ERROR(ReportProgress(
        progress, from + (to - from) * static_cast<double>(first) / static_cast<double>(items)));
    ParallelFor(std::min(part, items - first), threads, 32,
                [&](size_t begin, size_t end) { body(first + begin, first + end); });
  }
  return OkStatus();
}

// The weights into each item, by solvers of which each thread makes its own: a solver is called
// with a Neighbourhood and gives a span that lasts until its next call.
template <typename MakeSolver>
StatusOr<BumpRows<ItemToItemModel::Source>> FitLocally(const Interactions& data,
                                                       const LocalOptions& options,
                                                       const LocalPlan& plan,
                                                       const Progress& progress,
                                                       const MakeSolver& make_solver) {
  STARLING_ASSIGN_OR_RETURN(const LocalGram gram, LocalGramOf(data, options, plan, progress));
  BumpRows<ItemToItemModel::Source> sources(data.items(), plan.weights);
  STARLING_RETURN_IF_ERROR(
      ForItems(data.items(), options.threads, 0.3, 1, progress, [&](size_t begin, size_t end) {
        Neighbourhood near(gram.diagonal, options.neighbours);
        auto solver = make_solver();
        for (size_t item = begin; item < end; ++item) {
          near.MoveTo(static_cast<uint32_t>(item), gram);
          const std::span<const ItemToItemModel::Source> weights = solver(near);
          std::ranges::copy(weights, sources.Take(item, weights.size()).begin());
        }
      }));
  return sources;
}

}  // namespace starling::learning
