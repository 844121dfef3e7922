// The best items for a user's vector, found in whichever way is quickest for this catalogue on this
// machine.
//
//   STARLING_ASSIGN_OR_RETURN(RetrievalIndex index,
//                             RetrievalIndex::Make({model.factors(), model.dimension()}, seconds));
//   RetrievalScratch scratch;                                         // one a thread
//   std::vector<ScoredItem> best = index.Retrieve(user, {.k = 10, .excluded = known}, scratch);
//   LOG(index.choice().why);
//
// Three ways: all factors are read (top_k.h), all in half a byte each are (nibble_items.h), or a
// graph is walked (hnsw.h). Which is quickest depends on the number of items, on how their norms
// differ and on the machine, so a few hundred queries are asked in each way when the index is made,
// and of those that find at least `least_recall` of what the first finds, the quickest is taken.
// The scores that are given are those of the factors in any case.
//
// The factors are borrowed and must live as long as the index. Immutable and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learning/retrieval/hnsw.h"
#include "learning/retrieval/nibble_items.h"
#include "learning/retrieval/quantised_items.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {

enum class RetrievalMethod : uint8_t { kExact, kNibbles, kHnsw };
std::string_view Name(RetrievalMethod method);  // "exact", "int4", "hnsw"

// Seconds from any beginning, ever growing: this library has no clock of its own.
using SecondsNow = std::function<double()>;

struct RetrievalOptions {
  size_t k = 10;               // what recall is measured at
  double least_recall = 0.99;  // above 0, at most 1
  // What is asked, queries x dimension: vectors of users are best. Empty: sums of a few items'.
  std::span<const float> sample = {};
  size_t queries = 200;  // how many are made when there is no sample
  // Below this many items all are read in the time that a graph takes to be asked, so none is made.
  size_t graph_from = 20'000;
  HnswOptions graph;
  // A graph that was made before, for these items (HnswGraph::Open).
  std::shared_ptr<const HnswGraph> made_graph;
  uint64_t seed = 1;
  // Bytes beside the factors. What would take more (RetrievalMemory) is not made: without a graph
  // the half bytes are tried, without those all factors are read.
  size_t memory_limit = size_t{4} << 30;
  // Takes this one and does not measure: for tests, and where the answer is known. The width is
  // then `width`.
  std::optional<RetrievalMethod> method;
  size_t width = 100;
};

// What an index takes at its peak, beside the factors: half bytes, then bytes and a graph where one
// is built.
uint64_t RetrievalMemory(size_t items, size_t dimension);
uint64_t RetrievalMemory(size_t items, size_t dimension, const HnswOptions& graph);

struct RetrievalChoice {
  struct Measured {
    RetrievalMethod method = RetrievalMethod::kExact;
    size_t width = 0;  // items that are scored exactly; 0: all
    double microseconds = 0;
    double recall = 1;
  };
  RetrievalMethod method = RetrievalMethod::kExact;
  size_t width = 0;
  std::vector<Measured> measured;  // in the order of trial
  std::string why;                 // one sentence, for a log
};

// Of one thread, for any index.
struct RetrievalScratch {
  NibbleQuery nibbles;
  QueryCodes bytes;
  HnswScratch graph;
};

class RetrievalIndex {
 public:
  // Takes some 20 ms for the half bytes of 65,000 items, some seconds for a graph, and measures for
  // some tenths of a second. INVALID_ARGUMENT when an option is out of its range or the factors
  // are not items x dimension.
  static StatusOr<RetrievalIndex> Make(const ItemFactors& items, const SecondsNow& now,
                                       const RetrievalOptions& options = {},
                                       const Progress& progress = {});

  // In the order of TopK. Filters hold exactly: what may not be given is not, and where the graph
  // knows too few that may, all factors are read. More than `width` / 4 results are asked for with
  // a width that grows with them.
  std::vector<ScoredItem> Retrieve(std::span<const float> query, const TopKOptions& options,
                                   RetrievalScratch& scratch) const;

  const RetrievalChoice& choice() const { return choice_; }
  // Bytes that are kept beside the factors and a graph that was made before.
  uint64_t memory() const { return memory_; }
  // What was made to be measured or used; nullptr when none was.
  const HnswGraph* graph() const { return graph_.get(); }

 private:
  RetrievalIndex() = default;
  void Measure(const SecondsNow& now, std::span<const float> sample,
               const RetrievalOptions& options);
  std::vector<ScoredItem> RetrieveBy(RetrievalMethod method, size_t width,
                                     std::span<const float> query, const TopKOptions& options,
                                     RetrievalScratch& scratch) const;

  ItemFactors items_;
  size_t measured_k_ = 10;
  NibbleItems nibbles_;
  QuantisedItems bytes_;  // of the graph
  std::shared_ptr<const HnswGraph> graph_;
  RetrievalChoice choice_;
  uint64_t memory_ = 0;
};

}  // namespace starling::learning
