// What a recommender ranks through an index over its factors is what it ranks by reading them all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "learning/models/als.h"
#include "learning/models/content.h"
#include "learning/models/sampled_mf.h"
#include "learning/random.h"
#include "learning/recommender/recommender.h"
#include "learning/recommender/recommender_writer.h"
#include "learning/recommender/second_stage.h"

namespace starling::learning {
namespace {

using testing::HasSubstr;

constexpr int64_t kUntil = int64_t{1'000} * 86'400;
constexpr uint32_t kUsers = 400;
constexpr uint32_t kKnown = 4'000;  // items of the factors; some more are new
constexpr uint32_t kItems = 4'020;
constexpr uint32_t kTastes = 20;

struct Shape {
  const char* name;
  bool sampled = false;
  double popularity_weight = 0;
  double repeat_weight = 0;
  bool trees = false;
  bool content = false;
  bool flat = false;  // all of a taste sell alike
};

// Users have tastes, and what sells best in each sells much better than the rest.
class Shop {
 public:
  explicit Shop(const Shape& shape, const HnswGraph* graph = nullptr) {
    Random random(1);
    std::vector<Interaction> events;
    std::vector<GoalEvent> goals;
    for (uint32_t user = 0; user < kUsers; ++user) {
      for (int i = 0; i < 30; ++i) {
        const uint64_t taste = random.Below(4) == 0 ? random.Below(kTastes) : user % kTastes;
        const auto rank = static_cast<uint32_t>(
            shape.flat ? random.Below(kKnown / kTastes)
                       : static_cast<uint64_t>(std::pow(kKnown / kTastes, random.Unit()) - 1));
        const auto item = static_cast<uint32_t>(taste) + kTastes * rank;
        events.push_back({user, item, 1, kUntil});
        goals.push_back({user, item, kUntil});
      }
    }
    // Nobody had the last ones of the catalogue.
    const Interactions data = *MakeInteractions(events, kUsers, kKnown);
    UserHistory history;
    history.offsets.push_back(0);
    for (size_t user = 0; user < data.users(); ++user) {
      for (const uint32_t item : data.row(user).items) {
        history.items.push_back(item);
        history.weights.push_back(1);
        history.x.push_back(static_cast<float>(random.Unit()));
        history.goals.push_back(random.Below(3) == 0 ? 0.0F : 1.0F);
        history.facts.push_back({1, 1, 1, 1});
      }
      history.offsets.push_back(history.items.size());
    }
    const Weighting linear{.scale = Weighting::Scale::kLinear};
    if (shape.sampled) {
      factors = std::make_shared<const SampledMfModel>(
          *FitSampledMf(data, {.weighting = linear, .factors = 16, .steps = 100}));
    } else {
      factors = std::make_shared<const AlsModel>(
          *FitAls(data, {.weighting = linear, .factors = 16, .iterations = 4}));
    }
    const PopularityModel popularity = *FitPopularity(data, {.weighting = linear});
    const RepeatModel repeat = *FitRepeat(data, {});
    std::optional<ItemToItemModel> content;
    if (shape.content) {
      ItemTerms terms(kItems);
      for (uint32_t item = 0; item < kItems; ++item)
        terms.AddText(item, fmt::format("taste{} row{}", item % kTastes, item / 400));
      content = *FitContent(terms, std::vector<uint32_t>(kItems, 1), {.least = 0});
    }
    std::vector<float> facts;
    std::optional<BoostedTrees> trees;
    if (shape.trees) {
      facts = FactsOfItems(goals, kItems, kUntil);
      trees = TreesThatAskForMain();
    }
    RecommenderSettings settings{.until = kUntil,
                                 .popularity_weight = shape.popularity_weight,
                                 .repeat_weight = shape.repeat_weight};
    settings.strength = {0, 0.2, 0.3, 0.6, 1, 0.6, 0};
    const IdTable items = Names('p', kItems);
    const IdTable users = Names('u', kUsers);
    bytes_ = *WriteRecommender({.items = items,
                                .users = users,
                                .history = history,
                                .settings = settings,
                                .algorithm = "test",
                                .popularity = popularity,
                                .factors = factors.get(),
                                .graph = graph,
                                .repeat = &repeat,
                                .content = content ? &*content : nullptr,
                                .item_facts = facts,
                                .trees = trees ? &*trees : nullptr});
  }

  Recommender Open() const { return *Recommender::Open(std::as_bytes(std::span(bytes_)), nullptr); }
  Recommender OpenWith(RetrievalMethod method) const {
    Recommender opened = Open();
    EXPECT_TRUE(opened.MakeIndex(nullptr, {.method = method, .width = 100}, 1).ok());
    EXPECT_EQ(opened.index()->choice().method, method);
    return opened;
  }
  std::shared_ptr<const FactorModel> factors;

 private:
  static IdTable Names(char prefix, uint32_t count) {
    std::vector<std::string> ids;
    for (uint32_t i = 0; i < count; ++i) ids.push_back(fmt::format("{}{}", prefix, i));
    return *IdTable::Make(ids);
  }
  // And a little for popularity, since the first of main alone would be the first stage's.
  static BoostedTrees TreesThatAskForMain() {
    constexpr size_t kRows = 4'000;
    Random random(1);
    std::vector<float> columns(kRows * kRankFeatures, 0);
    std::vector<uint8_t> targets;
    for (size_t row = 0; row < kRows; ++row) {
      const double main = random.Unit();
      const double popular = random.Unit();
      columns[kMain * kRows + row] = static_cast<float>(main);
      columns[static_cast<size_t>(kFirstItemFact) * kRows + row] =
          static_cast<float>(popular * 100);
      targets.push_back(random.Unit() < main * 0.7 + popular * 0.3 ? 1 : 0);
    }
    return *FitBoostedTrees({columns, kRows, targets}, {.trees = 30, .feature_share = 1});
  }

  std::string bytes_;
};

// A question, with what it refers to.
struct Asked {
  std::string user;
  std::vector<std::string> ids;
  std::vector<RankSignal> signals;
  std::vector<std::string_view> candidates;
  std::vector<std::string_view> excluded;
  size_t limit = 10;
  bool repeats = false;

  RankQuery query() const {
    return {.user = user,
            .signals = signals,
            .candidates = candidates,
            .excluded = excluded,
            .limit = limit,
            .allow_repeats = repeats,
            .now = kUntil + 100};
  }
};

Asked MadeQuestion(Random& random) {
  Asked asked;
  const uint64_t who = random.Below(4);
  if (who == 0) asked.user = "a stranger";
  if (who > 1) asked.user = fmt::format("u{}", random.Below(kUsers));
  asked.ids.reserve(2'000);
  const auto item = [&]() -> std::string_view {
    return asked.ids.emplace_back(fmt::format("p{}", random.Below(kItems)));
  };
  for (uint64_t left = who == 3 ? 0 : 1 + random.Below(5); left > 0; --left) {
    const EventKind kind = random.Below(2) == 0 ? EventKind::kView : EventKind::kPurchase;
    asked.signals.push_back({item(), kind, 0, kUntil + 50});
  }
  if (random.Below(5) == 0) {
    for (int i = 0; i < 300; ++i) asked.candidates.push_back(item());
  }
  if (random.Below(2) == 0) {
    for (uint64_t left = random.Below(600); left > 0; --left) asked.excluded.push_back(item());
  }
  constexpr size_t kLimits[] = {1, 10, 64, 180, 500};
  asked.limit = kLimits[random.Below(5)];
  asked.repeats = random.Below(2) == 0;
  return asked;
}

// Both orders are by the same scores, to the rounding of either; where that makes two of them
// equal, either may be first.
void ExpectSame(std::span<const RankedItem> found, std::span<const RankedItem> wanted,
                const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  std::map<uint32_t, float> scores;
  for (const RankedItem& item : wanted) scores[item.item] = item.score;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const float rounding = 1e-6F * wanted[0].score + 1e-5F * std::abs(wanted[i].score);
    ASSERT_NEAR(found[i].score, wanted[i].score, rounding) << what << ", place " << i;
    const auto known = scores.find(found[i].item);
    if (known == scores.end()) {
      ASSERT_NEAR(found[i].score, wanted.back().score, rounding) << what << ", place " << i;
      continue;
    }
    ASSERT_NEAR(found[i].score, known->second, rounding) << what << ", place " << i;
  }
}

// Trees score in steps: where rounding, which differs from processor to processor, takes a product
// over a threshold of theirs, or over the last place of the first stage, its score is another one.
// That is rare: of a question two products may differ.
void ExpectSameButForSteps(std::span<const RankedItem> found, std::span<const RankedItem> wanted,
                           const std::string& what) {
  constexpr size_t kSteps = 2;
  ASSERT_EQ(found.size(), wanted.size()) << what;
  std::map<uint32_t, float> scores;
  for (const RankedItem& item : wanted) scores[item.item] = item.score;
  size_t same = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_LE(found[i].score, found[i == 0 ? 0 : i - 1].score) << what << ", place " << i;
    const auto known = scores.find(found[i].item);
    const float rounding = 1e-6F * wanted[0].score + 1e-5F * std::abs(found[i].score);
    // One that is not there may be as good as the last that is.
    const float score = known == scores.end() ? wanted.back().score : known->second;
    same += std::abs(score - found[i].score) <= rounding ? 1 : 0;
  }
  EXPECT_GE(same + kSteps, wanted.size()) << what;
}

class ByIndex : public testing::TestWithParam<Shape> {};

TEST_P(ByIndex, TheExactOneRanksAsReadingAllFactorsDoes) {
  const Shop shop(GetParam());
  const Recommender all = shop.Open();
  const Recommender indexed = shop.OpenWith(RetrievalMethod::kExact);
  RankScratch of_all, of_index;
  Random random(7);
  size_t by_factors = 0;
  for (int i = 0; i < 300; ++i) {
    const Asked asked = MadeQuestion(random);
    const auto wanted = all.Rank(asked.query(), of_all);
    const auto found = indexed.Rank(asked.query(), of_index);
    const std::string what = fmt::format("question {}", i);
    if (GetParam().trees) {
      ExpectSameButForSteps(found, wanted, what);
    } else {
      ExpectSame(found, wanted, what);
    }
    if (HasFatalFailure()) return;
    const std::set<std::string_view> excluded(asked.excluded.begin(), asked.excluded.end());
    for (const RankedItem& item : found) {
      EXPECT_FALSE(excluded.contains(indexed.ItemId(item.item)));
      by_factors += item.source == RankedItem::Source::kFactors ? 1 : 0;
    }
  }
  EXPECT_GT(by_factors, 1'000) << "too little was ranked by factors to tell";
}

TEST_P(ByIndex, AnApproximateOneFindsNearlyAllAtTheirExactScores) {
  const Shop shop(GetParam());
  const Recommender all = shop.Open();
  for (const RetrievalMethod method : {RetrievalMethod::kNibbles, RetrievalMethod::kHnsw}) {
    const Recommender indexed = shop.OpenWith(method);
    RankScratch of_all, of_index;
    Random random(9);
    size_t wanted = 0, hits = 0;
    for (int i = 0; i < 200; ++i) {
      Asked asked = MadeQuestion(random);
      asked.limit = 20;
      std::set<uint32_t> best;
      for (const RankedItem& item : all.Rank(asked.query(), of_all)) best.insert(item.item);
      wanted += best.size();
      for (const RankedItem& item : indexed.Rank(asked.query(), of_index))
        hits += best.contains(item.item) ? 1 : 0;
    }
    EXPECT_GE(static_cast<double>(hits), 0.98 * static_cast<double>(wanted)) << Name(method);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ByIndex,
    testing::Values(Shape{.name = "Als"}, Shape{.name = "SampledMf", .sampled = true},
                    Shape{.name = "Popularity", .popularity_weight = 0.15},
                    Shape{.name = "MuchPopularity", .popularity_weight = 1, .flat = true},
                    Shape{.name = "Repeats", .popularity_weight = 0.05, .repeat_weight = 2},
                    Shape{.name = "Content", .popularity_weight = 0.05, .content = true},
                    Shape{.name = "Trees", .trees = true},
                    Shape{.name = "TreesAndContent", .trees = true, .content = true}),
    [](const auto& info) { return info.param.name; });

TEST(Index, IsNotMadeOfASmallCatalogueNorWithoutFactors) {
  const Shop shop({});
  Recommender recommender = shop.Open();
  ASSERT_TRUE(recommender.MakeIndex([] { return 0.0; }).ok());
  EXPECT_EQ(recommender.index(), nullptr) << kKnown << " items are below " << kIndexFrom;
}

// Each read of it is a millisecond later, so the ways are equally quick and the first is kept.
TEST(Index, IsChosenByMeasuringTheVectorsOfItsUsers) {
  const Shop shop({});
  Recommender recommender = shop.Open();
  double now = 0;
  ASSERT_TRUE(recommender.MakeIndex([&] { return now += 1e-3; }, {}, 1).ok());
  ASSERT_NE(recommender.index(), nullptr);
  const RetrievalChoice& choice = recommender.index()->choice();
  EXPECT_EQ(choice.method, RetrievalMethod::kExact);
  ASSERT_GE(choice.measured.size(), 2) << choice.why;
  EXPECT_GE(choice.measured.back().recall, 0.99);
}

TEST(Index, TakesNoMoreThanItMayAndSaysSo) {
  const Shop shop({});
  Recommender recommender = shop.Open();
  ASSERT_TRUE(recommender.MakeIndex([] { return 0.0; }, {.memory_limit = 10'000}, 1).ok());
  EXPECT_THAT(recommender.index()->choice().why, HasSubstr("memory_limit"));
  EXPECT_EQ(recommender.index()->memory(), 0);
  RankScratch scratch;
  EXPECT_EQ(recommender.Rank({.user = "u1", .now = kUntil}, scratch).size(), 10);
}

TEST(Index, UsesTheGraphThatATrainingMade) {
  const Shop without({});
  const ItemFactors factors{without.factors->factors(), without.factors->dimension()};
  const HnswGraph graph = *HnswGraph::Build(QuantisedItems::Make(factors), {});
  const Shop with({}, &graph);
  Recommender recommender = with.Open();
  // Reading all takes long, bytes too, and the graph no time.
  int reads = 0;
  double now = 0;
  const auto clock = [&] {
    const int round = reads / 2;
    if (reads++ % 2 == 1) now += round < 6 ? 1.0 - 0.1 * std::floor(round / 3.0) : 1e-3;
    return now;
  };
  ASSERT_TRUE(recommender.MakeIndex(clock, {}, 1).ok());
  EXPECT_EQ(recommender.index()->choice().method, RetrievalMethod::kHnsw)
      << recommender.index()->choice().why;
}

}  // namespace
}  // namespace starling::learning
