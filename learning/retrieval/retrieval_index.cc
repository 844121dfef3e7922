#include "learning/retrieval/retrieval_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "learning/models/fit_checks.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

// Tried in this order until one finds enough. Items to score exactly, in multiples of k.
constexpr size_t kKept[] = {2, 3, 4, 8, 16};
// The same for the graph: what is kept while walking.
constexpr size_t kWidths[] = {2, 4, 6, 9, 14, 20, 32, 50};
constexpr int kRounds = 3;  // the quickest counts: others may use the machine
// A walk that has seen this part of the items is given up for reading them all.
constexpr size_t kMostVisitedPart = 4;
constexpr size_t kMostItemsOfAQuery = 8;

Status CheckOptions(const ItemFactors& items, const RetrievalOptions& options) {
  if (items.dimension == 0 || items.values.size() % items.dimension != 0) {
    return InvalidField("items", "{} values are not rows of {}", items.values.size(),
                        items.dimension);
  }
  if (options.sample.size() % items.dimension != 0) {
    return InvalidField("sample", "{} values are not rows of {}", options.sample.size(),
                        items.dimension);
  }
  if (!(options.least_recall > 0 && options.least_recall <= 1)) {
    return InvalidField("least_recall", "{} is not above 0 and at most 1", options.least_recall);
  }
  STARLING_RETURN_IF_ERROR(CheckAtLeast("k", static_cast<double>(options.k), 1));
  return CheckAtLeast("width", static_cast<double>(options.width), 1);
}

// A user's vector is much like a sum of those of the items that they had.
std::vector<float> SumsOfItems(const ItemFactors& items, size_t queries, uint64_t seed) {
  Random random(seed);
  std::vector<float> sample(queries * items.dimension);
  for (size_t query = 0; query < queries; ++query) {
    for (size_t left = 1 + random.Below(kMostItemsOfAQuery); left > 0; --left) {
      const float* row = items.row(random.Below(items.items()));
      for (size_t f = 0; f < items.dimension; ++f) sample[query * items.dimension + f] += row[f];
    }
  }
  return sample;
}

// Items with the score of the last are as good, so they count as found.
double RecallOf(std::span<const ScoredItem> found, std::span<const ScoredItem> exact) {
  if (exact.empty()) return 1;
  const float last = exact.back().score;
  const float rounding = 1e-5F * std::abs(exact.front().score);
  const auto hits = std::count_if(found.begin(), found.end(), [&](const ScoredItem& each) {
    return each.score >= last - rounding;
  });
  return static_cast<double>(hits) / static_cast<double>(exact.size());
}

}  // namespace

std::string_view Name(RetrievalMethod method) {
  switch (method) {
    case RetrievalMethod::kExact:
      return "exact";
    case RetrievalMethod::kNibbles:
      return "int4";
    case RetrievalMethod::kHnsw:
      return "hnsw";
  }
  return "unknown";
}

uint64_t RetrievalMemory(size_t items, size_t dimension) {
  // With the norms by which it sorts.
  return items * sizeof(float) + NibbleItems::MemoryOf(items, dimension);
}

uint64_t RetrievalMemory(size_t items, size_t dimension, const HnswOptions& graph) {
  return NibbleItems::MemoryOf(items, dimension) + QuantisedItems::MemoryOf(items, dimension) +
         HnswGraph::BuildMemory(items, graph);
}

StatusOr<RetrievalIndex> RetrievalIndex::Make(const ItemFactors& items, const SecondsNow& now,
                                              const RetrievalOptions& options,
                                              const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckOptions(items, options));
  RetrievalIndex index;
  index.items_ = items;
  index.measured_k_ = options.k;
  const bool exact_only = options.method == RetrievalMethod::kExact;
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(items.values.begin(), items.values.end(), finite)) {
    index.choice_.why = "exact: some factors are not finite, so they have no bytes";
    return index;
  }
  if (items.items() == 0 || exact_only) {
    index.choice_.why = exact_only ? "exact: as asked" : "exact: there are no items";
    return index;
  }
  const uint64_t nibbles = RetrievalMemory(items.items(), items.dimension);
  const uint64_t with_graph = RetrievalMemory(items.items(), items.dimension, options.graph);
  const uint64_t bytes = QuantisedItems::MemoryOf(items.items(), items.dimension);
  const bool must = options.method == RetrievalMethod::kHnsw;
  const bool made = options.made_graph != nullptr && options.made_graph->rows() == items.items() &&
                    nibbles + bytes <= options.memory_limit;
  const uint64_t needed = must && !made ? with_graph : nibbles;
  if (needed > options.memory_limit) {
    index.choice_.why = fmt::format("exact: an index would take {} kB and memory_limit is {} kB",
                                    needed / 1'000, options.memory_limit / 1'000);
    return index;
  }
  index.nibbles_ = NibbleItems::Make(items);
  const bool build =
      !made && (must || (!options.method.has_value() && with_graph <= options.memory_limit &&
                         items.items() >= options.graph_from));
  if (made || build) index.bytes_ = QuantisedItems::Make(items);
  if (made) index.graph_ = options.made_graph;
  if (build) {
    STARLING_ASSIGN_OR_RETURN(HnswGraph graph,
                              HnswGraph::Build(index.bytes_, options.graph, progress));
    index.graph_ = std::make_shared<const HnswGraph>(std::move(graph));
  }
  if (options.method.has_value()) {
    index.choice_.method = *options.method;
    index.choice_.width = options.width;
    index.choice_.why = fmt::format("{}: as asked", Name(*options.method));
  } else {
    const std::vector<float> sums = options.sample.empty()
                                        ? SumsOfItems(items, options.queries, options.seed)
                                        : std::vector<float>();
    index.Measure(now, options.sample.empty() ? sums : options.sample, options);
  }
  // What lost is not kept.
  switch (index.choice_.method) {
    case RetrievalMethod::kExact:
      index.nibbles_ = {};
      break;
    case RetrievalMethod::kNibbles:
      index.memory_ = NibbleItems::MemoryOf(items.items(), items.dimension);
      break;
    case RetrievalMethod::kHnsw:
      index.nibbles_ = {};
      index.memory_ = made ? bytes : bytes + HnswGraph::BuildMemory(items.items(), options.graph);
      break;
  }
  if (index.choice_.method != RetrievalMethod::kHnsw) {
    index.bytes_ = {};
    index.graph_ = nullptr;
  }
  return index;
}

void RetrievalIndex::Measure(const SecondsNow& now, std::span<const float> sample,
                             const RetrievalOptions& options) {
  const size_t queries = sample.size() / items_.dimension;
  if (queries == 0) {
    choice_.why = "exact: there was no query to measure by";
    return;
  }
  std::vector<std::vector<ScoredItem>> exact(queries);
  RetrievalScratch scratch;
  const auto measure = [&](RetrievalMethod method, size_t width) {
    RetrievalChoice::Measured measured{method, width, std::numeric_limits<double>::infinity(), 0};
    std::vector<std::vector<ScoredItem>> found(queries);
    for (int round = 0; round < kRounds; ++round) {
      const double begin = now();
      for (size_t q = 0; q < queries; ++q) {
        found[q] = RetrieveBy(method, width, sample.subspan(q * items_.dimension, items_.dimension),
                              {.k = options.k}, scratch);
      }
      measured.microseconds =
          std::min(measured.microseconds, (now() - begin) * 1e6 / static_cast<double>(queries));
    }
    if (method == RetrievalMethod::kExact) exact = found;
    for (size_t q = 0; q < queries; ++q) {
      measured.recall += RecallOf(found[q], exact[q]);
    }
    measured.recall /= static_cast<double>(queries);  // once, so that all of them are 1
    choice_.measured.push_back(measured);
    return measured;
  };
  RetrievalChoice::Measured best = measure(RetrievalMethod::kExact, 0);
  const auto try_widths = [&](RetrievalMethod method, std::span<const size_t> widths) {
    for (const size_t times : widths) {
      const RetrievalChoice::Measured measured = measure(method, times * options.k);
      const bool enough = measured.recall >= options.least_recall;
      if (enough && measured.microseconds < best.microseconds) best = measured;
      if (enough || measured.microseconds > best.microseconds) return;
    }
  };
  try_widths(RetrievalMethod::kNibbles, kKept);
  if (graph_ != nullptr) try_widths(RetrievalMethod::kHnsw, kWidths);
  choice_.method = best.method;
  choice_.width = best.width;
  choice_.why = fmt::format("{}: the quickest with recall@{} of {} or more;", Name(best.method),
                            options.k, options.least_recall);
  for (const RetrievalChoice::Measured& each : choice_.measured) {
    choice_.why += fmt::format(
        "{} {} {}{:.0f} us, {:.4f}", &each == &choice_.measured[0] ? "" : ",", Name(each.method),
        each.width == 0 ? "" : fmt::format("({}) ", each.width), each.microseconds, each.recall);
  }
}

std::vector<ScoredItem> RetrievalIndex::Retrieve(std::span<const float> query,
                                                 const TopKOptions& options,
                                                 RetrievalScratch& scratch) const {
  const size_t width =
      options.k <= measured_k_ ? choice_.width : choice_.width * options.k / measured_k_;
  return RetrieveBy(choice_.method, width, query, options, scratch);
}

std::vector<ScoredItem> RetrievalIndex::RetrieveBy(RetrievalMethod method, size_t width,
                                                   std::span<const float> query,
                                                   const TopKOptions& options,
                                                   RetrievalScratch& scratch) const {
  if (method == RetrievalMethod::kNibbles) {
    return nibbles_.Retrieve(items_, query, options, width, scratch.nibbles);
  }
  if (method == RetrievalMethod::kHnsw) {
    bytes_.Encode(query, scratch.bytes);
    if (graph_->Search(bytes_, scratch.bytes, options, width, items_.items() / kMostVisitedPart,
                       scratch.graph)) {
      std::vector<ScoredItem> found = scratch.graph.found;
      Rescore(items_, query, options.k, found);
      return found;
    }
  }
  return RetrieveTopK(items_, query, options);
}

}  // namespace starling::learning
