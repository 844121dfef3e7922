#include "learning/retrieval/retrieval_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "learning/retrieval/test_catalogue.h"

namespace starling::learning {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr RetrievalMethod kMethods[] = {RetrievalMethod::kExact, RetrievalMethod::kNibbles,
                                        RetrievalMethod::kHnsw};

// Measuring reads it at the beginning and the end of each round; a way then takes as long as it is
// told to, by the order of trial.
class MadeClock {
 public:
  explicit MadeClock(std::vector<double> seconds) : seconds_(std::move(seconds)) {}
  double operator()() {
    const size_t round = reads_ / 2;
    if (reads_++ % 2 == 1) now_ += seconds_[std::min(round / 3, seconds_.size() - 1)];
    return now_;
  }

 private:
  std::vector<double> seconds_;
  size_t reads_ = 0;
  double now_ = 0;
};

TestCatalogue Catalogue(size_t items) {
  Random random(1);
  return Shop(items, 32, 60, random);
}

// Whether `part` is `all` with some left out.
bool IsPartInOrder(const std::vector<ScoredItem>& part, const std::vector<ScoredItem>& all) {
  auto at = all.begin();
  for (const ScoredItem& each : part) {
    at = std::find(at, all.end(), each);
    if (at == all.end()) return false;
  }
  return true;
}

RetrievalOptions Small() { return {.queries = 50, .graph_from = 1'000}; }

TEST(RetrievalIndex, FindsTheBestInEveryWay) {
  const TestCatalogue made = Catalogue(2'000);
  for (const RetrievalMethod method : kMethods) {
    RetrievalOptions options = Small();
    options.method = method;
    const RetrievalIndex index = *RetrievalIndex::Make(made.items(), nullptr, options);
    EXPECT_EQ(index.choice().method, method);
    EXPECT_THAT(index.choice().why, HasSubstr("as asked"));
    RetrievalScratch scratch;
    double recall = 0;
    for (size_t q = 0; q < made.query_count(); ++q) {
      const auto exact = RetrieveTopK(made.items(), made.query(q), {.k = 10});
      const auto found = index.Retrieve(made.query(q), {.k = 10}, scratch);
      ASSERT_THAT(found, SizeIs(10));
      recall += RecallOf(found, exact) / static_cast<double>(made.query_count());
      // However they were found, scores are the same to the last bit, and so is the order.
      const auto all = RetrieveTopK(made.items(), made.query(q), {.k = 2'000});
      EXPECT_TRUE(IsPartInOrder(found, all));
    }
    EXPECT_GE(recall, 0.99) << Name(method);
  }
}

TEST(RetrievalIndex, HoldsFiltersAndGivesAllThatMayBeGiven) {
  const TestCatalogue made = Catalogue(2'000);
  for (const RetrievalMethod method : kMethods) {
    RetrievalOptions options = Small();
    options.method = method;
    const RetrievalIndex index = *RetrievalIndex::Make(made.items(), nullptr, options);
    RetrievalScratch scratch;
    Random random(4);
    for (size_t q = 0; q < made.query_count(); ++q) {
      const TestFilters filters(2'000, random);
      const TopKOptions ask = filters.Of(1 + random.Below(30));
      const auto exact = RetrieveTopK(made.items(), made.query(q), ask);
      const auto found = index.Retrieve(made.query(q), ask, scratch);
      ASSERT_EQ(found.size(), exact.size());
      EXPECT_GE(RecallOf(found, exact), 0.8);
      const auto all = RetrieveTopK(made.items(), made.query(q),
                                    {.k = 2'000, .excluded = ask.excluded, .allowed = ask.allowed});
      EXPECT_TRUE(IsPartInOrder(found, all));
    }
    // So few that a walk does not meet them: all factors are read, and all of them are found.
    std::vector<uint64_t> few(2'000 / 64 + 1);
    for (const size_t item : {5, 700, 1'999}) few[item / 64] |= uint64_t{1} << (item % 64);
    EXPECT_EQ(index.Retrieve(made.query(0), {.k = 10, .allowed = few}, scratch),
              RetrieveTopK(made.items(), made.query(0), {.k = 10, .allowed = few}))
        << Name(method);
    EXPECT_THAT(index.Retrieve(made.query(0), {.k = 0}, scratch), IsEmpty());
  }
}

TEST(RetrievalIndex, TakesTheQuickestOfThoseThatFindEnough) {
  const TestCatalogue made = Catalogue(2'000);
  struct Row {
    std::vector<double> seconds;  // exact, int4 (20), hnsw (20), hnsw (40), ...
    RetrievalMethod chosen;
  };
  for (const Row& row : std::vector<Row>{{{1, 2, 2}, RetrievalMethod::kExact},
                                         {{3, 1, 2}, RetrievalMethod::kNibbles},
                                         {{3, 2, 1}, RetrievalMethod::kHnsw}}) {
    const RetrievalIndex index =
        *RetrievalIndex::Make(made.items(), MadeClock(row.seconds), Small());
    EXPECT_EQ(index.choice().method, row.chosen) << index.choice().why;
    EXPECT_THAT(index.choice().why, HasSubstr(std::string(Name(row.chosen)) + ": the quickest"));
    EXPECT_EQ(index.graph() != nullptr, row.chosen == RetrievalMethod::kHnsw);
    for (const RetrievalChoice::Measured& each : index.choice().measured) {
      if (each.method == row.chosen && each.width == index.choice().width) {
        EXPECT_GE(each.recall, 0.99);
      }
    }
    RetrievalScratch scratch;
    EXPECT_THAT(index.Retrieve(made.query(0), {.k = 10}, scratch), SizeIs(10));
  }
}

TEST(RetrievalIndex, WidensUntilEnoughIsFound) {
  const TestCatalogue made = Catalogue(2'000);
  RetrievalOptions options = Small();
  options.least_recall = 1;
  const RetrievalIndex index = *RetrievalIndex::Make(made.items(), MadeClock({9, 8, 1}), options);
  const auto& measured = index.choice().measured;
  EXPECT_EQ(measured[0].method, RetrievalMethod::kExact);
  EXPECT_EQ(measured[0].recall, 1);
  size_t width = 0;
  for (const RetrievalChoice::Measured& each : measured) {
    if (each.method != RetrievalMethod::kHnsw) continue;
    EXPECT_GT(each.width, width);
    width = each.width;
  }
  EXPECT_GT(width, 20) << index.choice().why;  // the narrowest does not find everything
  EXPECT_EQ(measured.back().recall, 1);
}

TEST(RetrievalIndex, MakesNoGraphOfFewItems) {
  const TestCatalogue made = Catalogue(900);
  const RetrievalIndex index = *RetrievalIndex::Make(made.items(), MadeClock({3, 2, 1}), Small());
  EXPECT_EQ(index.choice().method, RetrievalMethod::kNibbles);
}

TEST(RetrievalIndex, AGraphOfOtherItemsIsMeasuredAndLeftOut) {
  const TestCatalogue made = Catalogue(2'000);
  Random random(77);
  TestCatalogue other = Shop(2'000, 32, 1, random);
  RetrievalOptions options = Small();
  options.made_graph =
      std::make_shared<const HnswGraph>(*HnswGraph::Build(QuantisedItems::Make(other.items()), {}));
  const RetrievalIndex index = *RetrievalIndex::Make(made.items(), MadeClock({9, 8, 1}), options);
  for (const RetrievalChoice::Measured& each : index.choice().measured) {
    if (each.method == RetrievalMethod::kHnsw && each.width == 20) {
      EXPECT_LT(each.recall, 0.9);
    }
  }
}

TEST(RetrievalIndex, ReadsAllFactorsWhereTheyHaveNoBytesOrAreNone) {
  TestCatalogue made = Catalogue(1'500);
  made.values[77] = std::numeric_limits<float>::infinity();
  RetrievalOptions options = Small();
  options.method = RetrievalMethod::kHnsw;
  const RetrievalIndex index = *RetrievalIndex::Make(made.items(), nullptr, options);
  EXPECT_EQ(index.choice().method, RetrievalMethod::kExact);
  EXPECT_THAT(index.choice().why, HasSubstr("not finite"));
  RetrievalScratch scratch;
  EXPECT_EQ(index.Retrieve(made.query(0), {.k = 10}, scratch),
            RetrieveTopK(made.items(), made.query(0), {.k = 10}));

  const RetrievalIndex none = *RetrievalIndex::Make({{}, 32}, nullptr, Small());
  EXPECT_THAT(none.Retrieve(made.query(0), {.k = 10}, scratch), IsEmpty());
}

TEST(RetrievalIndex, ReadsAllFactorsWhenThereIsNoQueryToMeasureBy) {
  const TestCatalogue made = Catalogue(1'500);
  const RetrievalIndex index = *RetrievalIndex::Make(made.items(), MadeClock({3, 2, 1}),
                                                     {.queries = 0, .graph_from = 5'000});
  EXPECT_EQ(index.choice().method, RetrievalMethod::kExact);
  EXPECT_THAT(index.choice().why, HasSubstr("no query"));
}

TEST(RetrievalIndex, OfAQueryThatSaysNothingGivesWhatReadingAllGives) {
  const TestCatalogue made = Catalogue(1'500);
  const std::vector<float> nothing(32);
  for (const RetrievalMethod method : kMethods) {
    RetrievalOptions options = Small();
    options.method = method;
    const RetrievalIndex index = *RetrievalIndex::Make(made.items(), nullptr, options);
    RetrievalScratch scratch;
    const auto found = index.Retrieve(nothing, {.k = 3}, scratch);
    EXPECT_THAT(found, ::testing::ElementsAre(ScoredItem{0, 0}, ScoredItem{1, 0}, ScoredItem{2, 0}))
        << Name(method);
  }
}

TEST(RetrievalIndex, NamesTheOptionThatIsOutOfItsRange) {
  const TestCatalogue made = Catalogue(50);
  struct Row {
    ItemFactors items;
    RetrievalOptions options;
    std::string field;
  };
  const std::vector<float> five(5);
  for (const Row& row : std::vector<Row>{{{five, 2}, {}, "items"},
                                         {{five, 0}, {}, "items"},
                                         {made.items(), {.k = 0}, "k"},
                                         {made.items(), {.least_recall = 0}, "least_recall"},
                                         {made.items(), {.least_recall = 1.5}, "least_recall"},
                                         {made.items(), {.sample = five}, "sample"},
                                         {made.items(), {.width = 0}, "width"}}) {
    const Status status = RetrievalIndex::Make(row.items, nullptr, row.options).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    ASSERT_THAT(FieldViolations(status), SizeIs(1)) << status;
    EXPECT_EQ(FieldViolations(status)[0].field, row.field);
  }
}

}  // namespace
}  // namespace starling::learning
