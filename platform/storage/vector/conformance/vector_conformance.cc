#include "platform/storage/vector/conformance/vector_conformance.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "platform/storage/vector/scan.h"

namespace starling::vector {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Shape kPlane{.dimension = 2, .metric = Metric::kInnerProduct};

// The same numbers on every machine: 2^-24 times an integer, from -1 to 1.
class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}
  std::vector<float> Vector(size_t dimension) {
    std::vector<float> values(dimension);
    for (float& value : values) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      value = static_cast<float>(static_cast<int32_t>(state_ >> 39) - (1 << 24)) / (1 << 24);
    }
    return values;
  }

 private:
  uint64_t state_;
};

Batch Drawn(size_t count, size_t dimension, uint64_t seed) {
  Draws draws(seed);
  Batch batch(dimension);
  for (size_t i = 0; i < count; ++i) batch.Add(fmt::format("p-{}", i), draws.Vector(dimension));
  return batch;
}

// What is right, by looking at everything.
std::vector<Hit> Best(const Shape& shape, const Batch& items, std::span<const float> query,
                      size_t k) {
  std::vector<Hit> all;
  for (size_t i = 0; i < items.size(); ++i)
    all.push_back({items.ids()[i], Score(shape.metric, query, items.row(i))});
  std::sort(all.begin(), all.end(), [](const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  });
  all.resize(std::min(k, all.size()));
  return all;
}

TEST_P(VectorConformance, GivesTheNearestFirstByEachMetric) {
  const Items items = {{"far", {6, 0}}, {"near", {1, 1}}, {"behind", {-1, -1}}};
  ASSERT_TRUE(Replace("ip", {2, Metric::kInnerProduct}, items).ok());
  ASSERT_TRUE(Replace("cosine", {2, Metric::kCosine}, items).ok());
  ASSERT_TRUE(Replace("l2", {2, Metric::kL2}, items).ok());
  EXPECT_EQ(*Nearest("ip", {1, 2}), (std::vector<Hit>{{"far", 6}, {"near", 3}, {"behind", -3}}));
  EXPECT_THAT(Ids("cosine", {1, 2}), ElementsAre("near", "far", "behind"));
  EXPECT_FLOAT_EQ(Nearest("cosine", {1, 2})->front().score, 3 / std::sqrt(10.0F));
  EXPECT_EQ(*Nearest("l2", {1, 2}),
            (std::vector<Hit>{{"near", -1}, {"behind", -13}, {"far", -29}}));
}

TEST_P(VectorConformance, AnswersToTheBitAsALookAtEverything) {
  for (const Metric metric : {Metric::kInnerProduct, Metric::kCosine, Metric::kL2}) {
    const Shape shape{19, metric};
    const Batch items = Drawn(300, shape.dimension, 7);
    ASSERT_TRUE(Replace("drawn", shape, items).ok());
    Draws draws(8);
    for (int i = 0; i < 5; ++i) {
      const std::vector<float> query = draws.Vector(shape.dimension);
      EXPECT_EQ(*Nearest("drawn", query, 20), Best(shape, items, query, 20)) << Name(metric);
    }
  }
}

TEST_P(VectorConformance, EqualScoresGoById) {
  Items items;
  for (const char* id : {"c", "B", "a", "\xc3\xa4", "b", "aa"}) items.push_back({id, {1, 0}});
  ASSERT_TRUE(Replace("ties", kPlane, items).ok());
  EXPECT_THAT(Ids("ties", {2, 0}, 10), ElementsAre("B", "a", "aa", "b", "c", "\xc3\xa4"));
  EXPECT_THAT(Ids("ties", {2, 0}, 3), ElementsAre("B", "a", "aa"));
  // More of them than any engine's reserve.
  items.clear();
  for (int i = 0; i < 100; ++i) items.push_back({fmt::format("{:03}", 99 - i), {1, 0}});
  ASSERT_TRUE(Replace("ties", kPlane, items).ok());
  EXPECT_THAT(Ids("ties", {2, 0}, 2), ElementsAre("000", "001"));
}

TEST_P(VectorConformance, WhatIsExcludedIsNeverGiven) {
  const Batch items = Drawn(200, 3, 1);
  ASSERT_TRUE(Replace("c", {3, Metric::kCosine}, items).ok());
  const std::vector<std::string> all = Ids("c", {1, 0, 0}, 200);
  ASSERT_THAT(all, SizeIs(200));
  std::vector<std::string> excluded(all.begin(), all.begin() + 150);
  excluded.emplace_back("not there");
  EXPECT_EQ(Ids("c", {1, 0, 0}, 50, excluded),
            std::vector<std::string>(all.begin() + 150, all.end()));
  EXPECT_EQ(Ids("c", {1, 0, 0}, 3, excluded),
            std::vector<std::string>(all.begin() + 150, all.begin() + 153));
  EXPECT_THAT(Ids("c", {1, 0, 0}, 3, all), IsEmpty());
}

TEST_P(VectorConformance, UpsertAddsAndReplacesAndRemoveTakesAway) {
  ASSERT_TRUE(Replace("c", kPlane, {{"a", {1, 0}}, {"b", {2, 0}}}).ok());
  ASSERT_TRUE(Upsert("c", 2, {{"c", {3, 0}}, {"a", {4, 0}}}).ok());
  EXPECT_EQ(*Nearest("c", {1, 0}), (std::vector<Hit>{{"a", 4}, {"c", 3}, {"b", 2}}));
  EXPECT_EQ(Describe("c")->items, 3u);
  ASSERT_TRUE(Remove("c", {"a", "not there", "a"}).ok());
  EXPECT_THAT(Ids("c", {1, 0}), ElementsAre("c", "b"));
  EXPECT_EQ(Describe("c")->items, 2u);
  ASSERT_TRUE(Upsert("c", 2, {{"a", {0.5, 0}}}).ok());
  EXPECT_THAT(Ids("c", {1, 0}), ElementsAre("c", "b", "a"));
  EXPECT_TRUE(Upsert("c", 2, {}).ok());
  EXPECT_TRUE(Remove("c", {}).ok());
  EXPECT_EQ(Describe("c")->items, 3u);
}

TEST_P(VectorConformance, ReplaceSwapsTheWholeCollectionAndItsShape) {
  ASSERT_TRUE(Replace("c", kPlane, {{"a", {1, 0}}, {"b", {2, 0}}}).ok());
  EXPECT_EQ(*Describe("c"), (About{kPlane, 2}));
  const Shape other{3, Metric::kL2};
  ASSERT_TRUE(Replace("c", other, {{"z", {1, 0, 0}}}).ok());
  EXPECT_EQ(*Describe("c"), (About{other, 1}));
  EXPECT_THAT(Ids("c", {1, 0, 0}), ElementsAre("z"));
  ASSERT_TRUE(Replace("c", other, Items{}).ok());
  EXPECT_THAT(Ids("c", {1, 0, 0}), IsEmpty());
  EXPECT_EQ(*Describe("c"), (About{other, 0}));
  // A refused one changes nothing.
  ASSERT_TRUE(Replace("c", kPlane, {{"a", {1, 0}}}).ok());
  EXPECT_FALSE(Replace("c", kPlane, {{"b", {1, 0}}, {"b", {2, 0}}}).ok());
  EXPECT_THAT(Ids("c", {1, 0}), ElementsAre("a"));
}

TEST_P(VectorConformance, CollectionsAreApart) {
  ASSERT_TRUE(Replace("B", kPlane, {{"a", {1, 0}}}).ok());
  ASSERT_TRUE(Replace("a.7-x_y", {1, Metric::kCosine}, {{"a", {1}}, {"b", {2}}}).ok());
  EXPECT_THAT(List(), ElementsAre("B", "a.7-x_y"));
  ASSERT_TRUE(Remove("B", {"a"}).ok());
  EXPECT_THAT(Ids("a.7-x_y", {1}), ElementsAre("a", "b"));
  ASSERT_TRUE(Drop("B").ok());
  EXPECT_THAT(List(), ElementsAre("a.7-x_y"));
  EXPECT_TRUE(Drop("B").ok()) << "dropping what is not there is no error";
  EXPECT_EQ(Describe("B").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Nearest("B", {1, 0}).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Upsert("B", 2, {{"a", {1, 0}}}).code(), StatusCode::kNotFound);
  EXPECT_EQ(Remove("B", {"a"}).code(), StatusCode::kNotFound);
}

TEST_P(VectorConformance, SurvivesReopening) {
  const Batch items = Drawn(50, 5, 3);
  const Shape shape{5, Metric::kL2};
  ASSERT_TRUE(Replace("kept", shape, items).ok());
  ASSERT_TRUE(Replace("gone", kPlane, {{"a", {1, 0}}}).ok());
  ASSERT_TRUE(Drop("gone").ok());
  ASSERT_TRUE(Upsert("kept", 5, {{"p-0", {9, 9, 9, 9, 9}}}).ok());
  ASSERT_TRUE(Remove("kept", {"p-1"}).ok());
  const std::vector<float> query = {0.1F, -0.2F, 0.3F, -0.4F, 0.5F};
  const std::vector<Hit> before = *Nearest("kept", query, 100);
  Reopen();
  EXPECT_THAT(List(), ElementsAre("kept"));
  EXPECT_EQ(*Describe("kept"), (About{shape, 49}));
  EXPECT_EQ(*Nearest("kept", query, 100), before);
}

TEST_P(VectorConformance, KeepsEveryBitOfAValueAndEveryId) {
  const std::vector<float> odd = {1e15F, -1e15F,      1.17549435e-38F, 1e-44F,     0.1F,
                                  -0.0F, 16777217.0F, 0.333333343F,    3.1415927F, 1e-7F};
  const std::string longest(kMaxIdBytes, 'x');
  ASSERT_TRUE(Replace("odd", {odd.size(), Metric::kInnerProduct},
                      {{longest, odd}, {"it's \"quoted\", \\ and {braced}\n", odd}})
                  .ok());
  for (size_t i = 0; i < odd.size(); ++i) {
    std::vector<float> axis(odd.size(), 0);
    axis[i] = 1;
    EXPECT_EQ(Nearest("odd", axis, 1)->front().score, odd[i]);
  }
  EXPECT_THAT(Ids("odd", odd), ElementsAre("it's \"quoted\", \\ and {braced}\n", longest));
}

TEST_P(VectorConformance, RefusesWhatIsBeyondABoundAndNamesTheField) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::string long_id(kMaxIdBytes + 1, 'x');
  ASSERT_TRUE(Replace("c", kPlane, {{"a", {1, 0}}}).ok());
  ASSERT_TRUE(Replace("cosine", {2, Metric::kCosine}, {{"a", {1, 0}}}).ok());
  Batch ragged(2);
  ragged.Add("a", std::vector<float>{1, 2, 3});
  Batch many(1);
  for (size_t i = 0; i <= kMaxBatch; ++i) many.Add(std::to_string(i), std::vector<float>{1});
  const struct {
    Status status;
    std::string field;
    std::string says;
  } rows[] = {
      {Replace("", kPlane, Items{}), "collection", "''"},
      {Replace("a b", kPlane, Items{}), "collection", "'a b'"},
      {Drop(std::string(65, 'a')), "collection", "1 to 64"},
      {Describe("a;b").status(), "collection", "'a;b'"},
      {Replace("c", {0, Metric::kL2}, Items{}), "shape.dimension", "0 is outside"},
      {Replace("c", {kMaxDimension + 1, Metric::kL2}, Items{}), "shape.dimension", "2001"},
      {Replace("c", kPlane, ragged), "items", "3 values"},
      {Replace("c", kPlane, {{"", {1, 0}}}), "items", "0 bytes"},
      {Replace("c", kPlane, {{long_id, {1, 0}}}), "items", "513 bytes"},
      {Replace("c", kPlane, {{std::string("a\0b", 3), {1, 0}}}), "items", "UTF-8"},
      {Replace("c", kPlane, {{"\xff", {1, 0}}}), "items", "UTF-8"},
      {Replace("c", kPlane, {{"b", {1, 0}}, {"b", {1, 1}}}), "items", "'b' twice"},
      {Replace("c", kPlane, {{"b", {1, inf}}}), "items", "'b' has the value inf"},
      {Replace("c", kPlane, {{"b", {NAN, 0}}}), "items", "'b' has the value nan"},
      {Replace("c", kPlane, {{"b", {2e15F, 0}}}), "items", "'b' has the value 2e+15"},
      {Replace("cosine", {2, Metric::kCosine}, {{"b", {0, 0}}}), "items", "no direction"},
      {Upsert("cosine", 2, {{"b", {1e-20F, 0}}}), "items", "no direction"},
      {Upsert("c", 3, {{"b", {1, 0, 0}}}), "items", "have 2"},
      {Upsert("c", 2, {{"b", {1, 0}}, {"b", {1, 1}}}), "items", "'b' twice"},
      {runtime_.Block(store_->Upsert("c", many)), "items", ""},
      {Remove("c", {""}), "ids", "0 bytes"},
      {Remove("c", std::vector<std::string>(kMaxBatch + 1, "a")), "ids", "10001 ids"},
      {Nearest("c", {1, 0}, 0).status(), "k", "0 is outside"},
      {Nearest("c", {1, 0}, kMaxNearest + 1).status(), "k", "1001"},
      {Nearest("c", {1}).status(), "values", "1 values"},
      {Nearest("c", {1, NAN}).status(), "values", "nan"},
      {Nearest("cosine", {0, 0}).status(), "values", "no direction"},
      {Nearest("c", {1, 0}, 1, {"\xc0"}).status(), "excluded", "UTF-8"},
      {Nearest("c", {1, 0}, 1, std::vector<std::string>(kMaxExcluded + 1, "a")).status(),
       "excluded", "10001 ids"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(row.status.code(), StatusCode::kInvalidArgument) << row.status << row.says;
    ASSERT_THAT(FieldViolations(row.status), SizeIs(1)) << row.status;
    EXPECT_EQ(FieldViolations(row.status)[0].field, row.field) << row.status;
    EXPECT_THAT(FieldViolations(row.status)[0].description, HasSubstr(row.says));
  }
  EXPECT_THAT(Ids("c", {1, 0}), ElementsAre("a")) << "what is refused changes nothing";
}

TEST_P(VectorConformance, HasSoManyCollectionsAndNoMore) {
  for (size_t i = 0; i < kMaxCollections; ++i)
    ASSERT_TRUE(Replace(fmt::format("c{}", i), {1, Metric::kL2}, Items{}).ok());
  EXPECT_TRUE(Replace("c0", kPlane, Items{}).ok()) << "one that is there is replaced";
  EXPECT_EQ(Replace("more", kPlane, Items{}).code(), StatusCode::kResourceExhausted);
  ASSERT_TRUE(Drop("c1").ok());
  EXPECT_TRUE(Replace("more", kPlane, Items{}).ok());
  EXPECT_THAT(List(), SizeIs(kMaxCollections));
}

TEST_P(VectorConformance, ReadersSeeOneOrTheOtherWhileItIsReplaced) {
  const auto all_of = [](float value) {
    Items items;
    for (int i = 0; i < 40; ++i) items.push_back({fmt::format("{}", i), {value, 0}});
    return items;
  };
  ASSERT_TRUE(Replace("c", kPlane, all_of(1)).ok());
  std::atomic<bool> done{false};
  std::atomic<int> looked{0};
  std::thread reader([&] {
    while (!done) {
      const auto hits = Nearest("c", {1, 0}, 100);
      ASSERT_TRUE(hits.ok()) << hits.status();
      ASSERT_THAT(*hits, SizeIs(40));
      for (const Hit& hit : *hits) ASSERT_EQ(hit.score, hits->front().score);
      ++looked;
    }
  });
  for (int round = 2; round < 30; ++round) {
    const Status replaced = Replace("c", kPlane, all_of(static_cast<float>(round)));
    EXPECT_TRUE(replaced.ok()) << replaced;
    while (looked < round) std::this_thread::yield();
  }
  done = true;
  reader.join();
  EXPECT_EQ(Nearest("c", {1, 0}, 1)->front().score, 29);
}

TEST_P(VectorConformance, WritersAtOnceLoseNothing) {
  ASSERT_TRUE(Replace("c", kPlane, Items{}).ok());
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 10; ++i) {
        const Status written = Upsert("c", 2, {{fmt::format("{}-{}", writer, i), {1, 0}}});
        EXPECT_TRUE(written.ok()) << written;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Describe("c")->items, 40u);
  EXPECT_THAT(Ids("c", {1, 0}, 100), SizeIs(40));
}

// Above kIndexFrom an engine may miss some, and what it gives has the right scores.
TEST_P(VectorConformance, ALargeCollectionFindsNearlyAllOfTheNearest) {
  for (const Metric metric : {Metric::kInnerProduct, Metric::kCosine, Metric::kL2}) {
    const Shape shape{8, metric};
    const Batch items = Drawn(kIndexFrom + 500, shape.dimension, 11);
    const Status replaced = Replace("large", shape, items);
    ASSERT_TRUE(replaced.ok()) << replaced;
    Draws draws(12);
    size_t found = 0;
    for (int i = 0; i < 20; ++i) {
      const std::vector<float> query = draws.Vector(shape.dimension);
      const std::vector<Hit> hits = *Nearest("large", query, 10);
      ASSERT_THAT(hits, SizeIs(10));
      for (const Hit& best : Best(shape, items, query, 10))
        found += static_cast<size_t>(std::count(hits.begin(), hits.end(), best));
    }
    EXPECT_GE(found, 190u) << Name(metric);
    // So many that no index is asked.
    const std::vector<float> query = draws.Vector(shape.dimension);
    EXPECT_EQ(*Nearest("large", query, 1'000), Best(shape, items, query, 1'000)) << Name(metric);
  }
  // What is excluded, and what was removed, leaves room for the next.
  const Batch items = Drawn(kIndexFrom + 500, 8, 11);
  const std::vector<float> query = Draws(13).Vector(8);
  std::vector<std::string> first = Ids("large", query, 100);
  EXPECT_THAT(Ids("large", query, 50, first), SizeIs(50));
  ASSERT_TRUE(Remove("large", first).ok());
  EXPECT_THAT(Ids("large", query, 100), SizeIs(100));
  EXPECT_EQ(Describe("large")->items, kIndexFrom + 400);
}

}  // namespace
}  // namespace starling::vector
