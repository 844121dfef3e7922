#include "learning/retrieval/hnsw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "learning/retrieval/test_catalogue.h"

namespace starling::learning {
namespace {

// Some thousand items and a graph over them, made once.
struct Example {
  Example() {
    Random random(1);
    made = Shop(3'000, 32, 100, random);
    codes = QuantisedItems::Make(made.items());
    graph = *HnswGraph::Build(codes, {.neighbours = 12, .width = 80, .seed = 3});
  }

  std::vector<ScoredItem> Find(size_t q, const TopKOptions& options, size_t width,
                               const HnswGraph& by) {
    codes.Encode(made.query(q), query);
    if (!by.Search(codes, query, options, width, 3'000, scratch)) return {};
    std::vector<ScoredItem> found = scratch.found;
    Rescore(made.items(), made.query(q), options.k, found);
    return found;
  }
  double Recall(const TopKOptions& options, size_t width, const HnswGraph& by) {
    double recall = 0;
    for (size_t q = 0; q < 100; ++q) {
      recall += RecallOf(Find(q, options, width, by),
                         RetrieveTopK(made.items(), made.query(q), options)) /
                100;
    }
    return recall;
  }

  TestCatalogue made;
  QuantisedItems codes;
  HnswGraph graph;
  QueryCodes query;
  HnswScratch scratch;
};

Example& TheExample() {
  static Example& example = *new Example;
  return example;
}

std::string BytesOf(const HnswGraph& graph) {
  ArtifactWriter writer("graph");
  graph.AddTo(writer);
  return std::move(writer).Finish();
}

StatusOr<HnswGraph> OpenGraph(const std::string& bytes, size_t rows) {
  STARLING_ASSIGN_OR_RETURN(
      const Artifact artifact,
      Artifact::Open(std::as_bytes(std::span(bytes)), nullptr, Checksums::kTrustBytes));
  return HnswGraph::Open(artifact, rows);
}

TEST(Hnsw, FindsAlmostEveryOneOfTheBest) {
  Example& example = TheExample();
  EXPECT_GE(example.Recall({.k = 10}, 100, example.graph), 0.99);
  EXPECT_GE(example.Recall({.k = 1}, 50, example.graph), 0.98);
  EXPECT_GE(example.Recall({.k = 50}, 200, example.graph), 0.98);
}

TEST(Hnsw, FindsMoreTheWiderItLooks) {
  Example& example = TheExample();
  const double narrow = example.Recall({.k = 10}, 10, example.graph);
  EXPECT_LT(narrow, example.Recall({.k = 10}, 200, example.graph));
  EXPECT_GT(narrow, 0.6);
}

TEST(Hnsw, GoesOnUntilItHasEnoughOfThoseThatMayBeGiven) {
  Example& example = TheExample();
  Random random(5);
  for (int round = 0; round < 40; ++round) {
    const auto q = static_cast<size_t>(round);
    const TestFilters filters(3'000, random);
    TopKOptions options = filters.Of(10);
    // What would be found first may not be given.
    std::vector<uint32_t> excluded = filters.excluded;
    for (const ScoredItem& each :
         RetrieveTopK(example.made.items(), example.made.query(q), {.k = 60}))
      excluded.push_back(each.item);
    options.excluded = excluded;
    const auto exact = RetrieveTopK(example.made.items(), example.made.query(q), options);
    const auto found = example.Find(q, options, 100, example.graph);
    if (found.empty()) {
      EXPECT_LT(exact.size(), 10);  // it may only give up where there are not enough
      continue;
    }
    EXPECT_GE(RecallOf(found, exact), 0.8);
    for (const ScoredItem& each : found) {
      EXPECT_EQ(std::ranges::count(excluded, each.item), 0);
      EXPECT_TRUE(options.allowed.empty() ||
                  (each.item / 64 < options.allowed.size() &&
                   (options.allowed[each.item / 64] >> (each.item % 64) & 1) == 1));
    }
  }
}

TEST(Hnsw, SaysWhenItKnowsTooFewThatMayBeGiven) {
  Example& example = TheExample();
  const std::vector<uint64_t> three = {0b111};
  example.codes.Encode(example.made.query(0), example.query);
  const TopKOptions options{.k = 10, .allowed = three};
  EXPECT_FALSE(
      example.graph.Search(example.codes, example.query, options, 50, 3'000, example.scratch));
  EXPECT_FALSE(
      example.graph.Search(example.codes, example.query, {.k = 10}, 50, 60, example.scratch));
  const std::vector<float> nothing(32);
  example.codes.Encode(nothing, example.query);
  EXPECT_FALSE(
      example.graph.Search(example.codes, example.query, {.k = 10}, 50, 3'000, example.scratch));
}

TEST(Hnsw, IsTheSameForASeedAndAnotherForAnother) {
  Random random(8);
  const TestCatalogue made = Shop(400, 16, 1, random);
  const QuantisedItems codes = QuantisedItems::Make(made.items());
  const auto bytes = [&](uint64_t seed) {
    return BytesOf(*HnswGraph::Build(codes, {.seed = seed}));
  };
  EXPECT_EQ(bytes(1), bytes(1));
  EXPECT_NE(bytes(1), bytes(2));
}

TEST(Hnsw, IsFoundInTheSameWayAtEveryInstructionSet) {
  Example& example = TheExample();
  for (size_t q = 0; q < 20; ++q) {
    example.codes.Encode(example.made.query(q), example.query);
    std::vector<std::vector<ScoredItem>> found;
    for (const ScanKernels* kernels : RunnableScanKernels()) {
      ASSERT_TRUE(example.graph.Search(example.codes, example.query, {.k = 10}, 60, 3'000,
                                       example.scratch, *kernels));
      found.push_back(example.scratch.found);
      EXPECT_EQ(found.back(), found.front()) << kernels->name;
    }
  }
}

TEST(Hnsw, TakesCataloguesOfAnySizeAndItemsThatAreEqualOrNothing) {
  Random random(9);
  for (const size_t items : {1, 2, 3, 17, 100}) {
    TestCatalogue made = WholeNumbers(items, 8, random);
    if (items == 100) {  // many that are all 0, many that are the same
      std::fill_n(made.values.begin(), 240, 0.0F);
      std::fill_n(made.values.begin() + 240, 240, 1.0F);
    }
    const QuantisedItems codes = QuantisedItems::Make(made.items());
    const HnswGraph graph = *HnswGraph::Build(codes, {.neighbours = 4, .width = 20});
    EXPECT_EQ(graph.rows(), items);
    const HnswGraph opened = *OpenGraph(BytesOf(graph), items);
    HnswScratch scratch;
    QueryCodes query;
    codes.Encode(made.query(0), query);
    if (query.scale > 0) {
      EXPECT_TRUE(graph.Search(codes, query, {.k = 1}, 20, items, scratch));
      EXPECT_FALSE(scratch.found.empty());
    }
  }
}

TEST(Hnsw, RefusesWhatItCannotBuildAndStopsWhenAsked) {
  Example& example = TheExample();
  EXPECT_EQ(HnswGraph::Build(example.codes, {.neighbours = 1}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(HnswGraph::Build(example.codes, {.neighbours = 65}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(HnswGraph::Build(example.codes, {.width = 0}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(HnswGraph::Build(QuantisedItems::Make({{}, 8}), {}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(
      HnswGraph::Build(example.codes, {}, [](double done) { return done < 0.3; }).status().code(),
      StatusCode::kCancelled);
}

TEST(Hnsw, ServesFromBytesAsItDidWhenBuilt) {
  Example& example = TheExample();
  const std::string bytes = BytesOf(example.graph);
  const HnswGraph opened = *OpenGraph(bytes, 3'000);
  for (size_t q = 0; q < 20; ++q) {
    EXPECT_EQ(example.Find(q, {.k = 10}, 60, opened),
              example.Find(q, {.k = 10}, 60, example.graph));
  }
}

// The offset of a section's bytes in an artifact; artifact.h has the layout.
size_t OffsetOf(const std::string& bytes, std::string_view name) {
  for (size_t entry = 64; entry < bytes.size(); entry += 64) {
    if (std::string_view(bytes).substr(entry, name.size() + 1) == std::string(name) + '\0') {
      uint64_t offset = 0;
      std::memcpy(&offset, bytes.data() + entry + 48, sizeof(offset));
      return offset;
    }
  }
  ADD_FAILURE() << "no section " << name;
  return 0;
}

TEST(Hnsw, RefusesLinksThatLeadOutsideOrToALevelThatIsNotThere) {
  Example& example = TheExample();
  const std::string good = BytesOf(example.graph);
  ASSERT_TRUE(OpenGraph(good, 3'000).ok());
  EXPECT_EQ(OpenGraph(good, 2'999).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(OpenGraph(good, 0).status().code(), StatusCode::kDataLoss);

  uint32_t ground = 0;  // a row that is on the lowest level only
  const auto* offsets =
      reinterpret_cast<const uint32_t*>(good.data() + OffsetOf(good, "hnsw.offsets"));
  while (offsets[ground] != offsets[ground + 1]) ++ground;
  struct Damage {
    std::string_view section;
    size_t index;
    uint32_t value;
  };
  for (const Damage& damage : std::vector<Damage>{{"hnsw.links", 0, 3'000},
                                                  {"hnsw.links", size_t{24} * 2'999, 0x7FFFFFFF},
                                                  {"hnsw.upper", 0, 3'000},
                                                  {"hnsw.upper", 0, ground},
                                                  {"hnsw.offsets", 0, 1},
                                                  {"hnsw.offsets", 5, 0xFFFFFFFF},
                                                  {"hnsw.offsets", 3'000, 0xFFFFFFF0},
                                                  {"hnsw.offsets", 3'000, 0},
                                                  {"hnsw.entry", 0, 3'000}}) {
    std::string bad = good;
    std::memcpy(bad.data() + OffsetOf(bad, damage.section) + 4 * damage.index, &damage.value, 4);
    EXPECT_EQ(OpenGraph(bad, 3'000).status().code(), StatusCode::kDataLoss)
        << damage.section << " " << damage.index << " " << damage.value;
  }
}

TEST(Hnsw, IsRefusedOrSafeWhateverByteIsDamaged) {
  Random random(11);
  const TestCatalogue made = Shop(60, 8, 1, random);
  const QuantisedItems codes = QuantisedItems::Make(made.items());
  const std::string good = BytesOf(*HnswGraph::Build(codes, {.neighbours = 4, .width = 20}));
  QueryCodes query;
  codes.Encode(made.query(0), query);
  HnswScratch scratch;
  size_t refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 + random.Below(255)));
    const StatusOr<HnswGraph> graph = OpenGraph(bad, 60);
    if (!graph.ok()) {
      ++refused;
      continue;
    }
    graph->Search(codes, query, {.k = 10}, 30, 60, scratch);
    for (const ScoredItem& each : scratch.found) EXPECT_LT(each.item, 60);
  }
  EXPECT_GT(refused, good.size() / 2);
}

}  // namespace
}  // namespace starling::learning
