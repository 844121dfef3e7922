// What a recommender says by content and by next_basket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/content.h"
#include "learning/models/item_knn.h"
#include "learning/models/item_vectors.h"
#include "learning/recommender/recommender.h"
#include "learning/recommender/recommender_writer.h"
#include "learning/recommender/second_stage.h"

namespace starling::learning {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using Source = RankedItem::Source;

constexpr int64_t kDaySeconds = 86'400;
constexpr int64_t kUntil = 1'000 * kDaySeconds;

// Ten people buy a red mug, a blue mug and tea together, ten others a lamp; "ada" the red mug every
// day of five. Nobody had the last two yet.
class NewItems : public testing::Test {
 protected:
  static constexpr size_t kHad = 4;
  const std::vector<std::string> kTitles = {"red mug",  "blue mug",        "tea",
                                            "big lamp", "red mug striped", "green lamp"};
  enum class With { kRows, kRowsAndAll, kNextBasket, kPopularity };

  void Make(With with) {
    std::vector<std::string> users = {"ada"};
    std::vector<Interaction> events;
    for (int day = 0; day < 5; ++day) events.push_back({0, 0, 1, kUntil - day * kDaySeconds});
    for (uint32_t user = 1; user <= 20; ++user) {
      users.push_back("other-" + std::to_string(user));
      for (const uint32_t item :
           user <= 10 ? std::vector<uint32_t>{0, 1, 2} : std::vector<uint32_t>{3})
        events.push_back({user, item, 1, kUntil - 10 * kDaySeconds});
    }
    const Interactions data = *MakeInteractions(events, users.size(), kHad);
    const Baskets baskets = *MakeBaskets(events, users.size(), kHad);
    const NextBasketModel next_basket =
        *FitNextBasket(baskets, {.neighbours = 5, .own_share = 0.5});
    UserHistory history;
    history.offsets.push_back(0);
    for (size_t user = 0; user < data.users(); ++user) {
      const Interactions::Row row = data.row(user);
      const auto v = Frequencies(baskets, baskets.begin(user), baskets.end(user), {});
      for (size_t i = 0; i < row.size(); ++i) {
        history.items.push_back(row.items[i]);
        history.weights.push_back(1);
        history.x.push_back(1);
        history.goals.push_back(1);
        history.facts.push_back({row.weights[i], 0, 0, 0});
        history.frequency.push_back(v[i].weight);
      }
      history.baskets.push_back(static_cast<uint32_t>(baskets.end(user) - baskets.begin(user)));
      history.offsets.push_back(history.items.size());
    }
    ItemTerms terms(kTitles.size());
    for (size_t item = 0; item < kTitles.size(); ++item) terms.AddText(item, kTitles[item]);
    const std::vector<uint32_t> buyers(kTitles.size(), 1);
    const ItemToItemModel content = *FitContent(terms, buyers, {.least = 0});
    const Weighting linear{.scale = Weighting::Scale::kLinear};
    const PopularityModel popularity = *FitPopularity(data, {.weighting = linear});
    const ItemToItemModel similar = *FitItemKnn(data, {.weighting = linear, .shrinkage = 0});
    RecommenderSettings settings{.until = kUntil};
    settings.strength = {0, 0.2, 0.3, 0.6, 1, 0.6, 0};
    const std::vector<float> facts(kTitles.size() * kItemFactStride, 0);
    const IdTable items = *IdTable::Make(kTitles);
    const IdTable names = *IdTable::Make(users);
    const bool all = with == With::kRowsAndAll;
    const std::vector<float> vectors = *FitItemVectors(data, {.dimension = 3});
    auto bytes = WriteRecommender(
        {.items = items,
         .users = names,
         .history = history,
         .settings = settings,
         .algorithm = "test",
         .popularity = popularity,
         .similar = with == With::kRows || all ? &similar : nullptr,
         .next_basket = all || with == With::kNextBasket ? &next_basket : nullptr,
         .content = with == With::kNextBasket ? nullptr : &content,
         .vectors = all ? std::span<const float>(vectors) : std::span<const float>(),
         .vector_dimension = 3,
         .item_facts = all ? std::span<const float>(facts) : std::span<const float>()});
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    bytes_ = *std::move(bytes);
    auto opened = Recommender::Open(std::as_bytes(std::span(bytes_)), nullptr);
    ASSERT_TRUE(opened.ok()) << opened.status();
    recommender_.emplace(*std::move(opened));
  }

  std::vector<RankedItem> Rank(RankQuery query) {
    query.now = kUntil + kDaySeconds;
    const auto ranked = recommender_->Rank(query, scratch_);
    return {ranked.begin(), ranked.end()};
  }
  std::vector<std::string> Names(const RankQuery& query) {
    std::vector<std::string> names;
    for (const RankedItem& item : Rank(query)) names.emplace_back(recommender_->ItemId(item.item));
    return names;
  }
  float Seen(const RankExamples& seen, const std::string& name, size_t feature) {
    for (size_t c = 0; c < seen.items.size(); ++c) {
      if (recommender_->ItemId(seen.items[c]) == name)
        return seen.columns[feature * seen.items.size() + c];
    }
    ADD_FAILURE() << name << " is no candidate";
    return 0;
  }

  std::string bytes_;
  std::optional<Recommender> recommender_;
  RankScratch scratch_;
};

TEST_F(NewItems, AProductThatNobodyHadGoesWithWhatIsDescribedAlike) {
  Make(With::kRows);
  const RankSignal seed[] = {{"red mug striped", EventKind::kOther, 1, 0}};
  const auto ranked = Rank({.signals = seed, .limit = 2});
  ASSERT_EQ(ranked.size(), 2u);
  EXPECT_EQ(recommender_->ItemId(ranked[0].item), "red mug");
  EXPECT_EQ(recommender_->ItemId(ranked[1].item), "blue mug");
  EXPECT_EQ(ranked[0].source, Source::kSimilar);
  EXPECT_EQ(recommender_->ItemId(*ranked[0].because), "red mug striped");
}

TEST_F(NewItems, AreAmongWhatGoesWithAProductAndLeaveTheOthersInTheirOrder) {
  Make(With::kRows);
  const RankSignal seed[] = {{"red mug", EventKind::kOther, 1, 0}};
  EXPECT_THAT(Names({.signals = seed, .limit = 3}),
              ElementsAre("blue mug", "tea", "red mug striped"));
  const auto ranked = Rank({.signals = seed, .limit = 3});
  EXPECT_EQ(recommender_->ItemId(*ranked[2].because), "red mug");
  EXPECT_EQ(ranked[2].source, Source::kSimilar);
  EXPECT_EQ(Names({.signals = seed, .limit = 3}), Names({.signals = seed, .limit = 3}))
      << "a call leaves nothing behind";
}

TEST_F(NewItems, AreNotForAUserOfWhomMoreIsKnown) {
  Make(With::kRows);
  EXPECT_THAT(Names({.user = "ada", .limit = 10}), Not(Contains("red mug striped")));
  const RankSignal seen[] = {{"green lamp", EventKind::kView, 0, 0}};
  EXPECT_THAT(Names({.user = "nobody", .signals = seen, .limit = 1}), ElementsAre("big lamp"))
      << "where nothing but words speak, they do";
}

TEST_F(NewItems, DoNotComeBeforeWhatSellsWhereThereIsNoModelOfUsers) {
  Make(With::kPopularity);
  EXPECT_THAT(Names({.user = "ada", .limit = 3, .allow_repeats = true}),
              ElementsAre("red mug", "blue mug", "tea"));
  const RankSignal seed[] = {{"red mug", EventKind::kOther, 1, 0}};
  EXPECT_THAT(Names({.signals = seed, .limit = 2}), ElementsAre("red mug striped", "blue mug"))
      << "nothing else says what goes with it";
}

TEST_F(NewItems, AreCandidatesOfTheSecondStageWhichIsToldHowAlikeTheyAre) {
  Make(With::kRowsAndAll);
  const RankExamples seen =
      recommender_->Describe({.user = "ada", .allow_repeats = true, .now = kUntil}, scratch_);
  EXPECT_EQ(seen.cold, 1u) << "the striped mug; the lamp is like nothing that she had";
  EXPECT_EQ(recommender_->ItemId(seen.items.back()), "red mug striped");
  EXPECT_GT(Seen(seen, "red mug striped", kContent), Seen(seen, "blue mug", kContent));
  EXPECT_GT(Seen(seen, "blue mug", kContent), 0);
  EXPECT_EQ(Seen(seen, "tea", kContent), 0);
}

TEST_F(NewItems, TheSecondStageIsToldWhatThoseAlikeBuyAndOnesOwnHabits) {
  Make(With::kRowsAndAll);
  const RankQuery query{.user = "ada", .allow_repeats = true, .now = kUntil + 3 * kDaySeconds};
  const RankExamples seen = recommender_->Describe(query, scratch_);
  EXPECT_GT(Seen(seen, "red mug", kFrequency), 0.5);
  EXPECT_EQ(Seen(seen, "tea", kFrequency), 0);
  EXPECT_GT(Seen(seen, "tea", kAlike), 0);
  EXPECT_EQ(Seen(seen, "tea", kAlikePlace), 0);
  EXPECT_EQ(Seen(seen, "big lamp", kAlike), 0);
  const float habit = Seen(seen, "red mug", kFrequency);
  const RankSignal news[] = {{"big lamp", EventKind::kPurchase, 0, kUntil + 2 * kDaySeconds}};
  RankQuery later = query;
  later.signals = news;
  const RankExamples now = recommender_->Describe(later, scratch_);
  EXPECT_GT(Seen(now, "big lamp", kFrequency), 0) << "folded in";
  EXPECT_LT(Seen(now, "red mug", kFrequency), habit);
}

TEST_F(NewItems, NextBasketsAreRankedAsTheirModelSays) {
  Make(With::kNextBasket);
  EXPECT_THAT(Names({.user = "ada", .limit = 2, .allow_repeats = true}),
              ElementsAre("red mug", "blue mug"));
  EXPECT_THAT(Names({.user = "ada", .limit = 2}), ElementsAre("blue mug", "tea"));
  // A user that nobody knew is told apart by what has been bought since.
  const RankSignal news[] = {{"big lamp", EventKind::kPurchase, 0, kUntil + 100}};
  EXPECT_THAT(Names({.user = "new", .signals = news, .limit = 1, .allow_repeats = true}),
              ElementsAre("big lamp"));
}

TEST_F(NewItems, AVersionHasVectorsOfWhatSomebodyHad) {
  Make(With::kRows);
  EXPECT_EQ(recommender_->vector_dimension(), 0u) << "none were given";
  Make(With::kRowsAndAll);
  ASSERT_EQ(recommender_->vector_dimension(), 3u);
  const auto product = [&](const char* a, const char* b) {
    const auto x = recommender_->VectorOf(*recommender_->FindItem(a));
    const auto y = recommender_->VectorOf(*recommender_->FindItem(b));
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
  };
  // Ten had both once, Ada the mug alone, five times; eleven are the most people.
  const double cosine = 10 / std::sqrt((25.0 + 10) * 10);
  EXPECT_NEAR(product("red mug", "tea"), cosine * std::sqrt(10.0 / 11), 0.01);
  EXPECT_NEAR(product("red mug", "big lamp"), 0, 1e-3);
  EXPECT_EQ(product("green lamp", "green lamp"), 0) << "nobody had it";
  EXPECT_FALSE(recommender_->FindItem("black lamp").has_value());
}

TEST_F(NewItems, BytesThatContradictThemselvesAreRefused) {
  for (const With with : {With::kRowsAndAll, With::kNextBasket}) {
    Make(with);
    for (size_t at = 0; at < bytes_.size(); at += 3) {
      std::string altered = bytes_;
      altered[at] = static_cast<char>(altered[at] ^ 0xFF);
      const auto opened =
          Recommender::Open(std::as_bytes(std::span(altered)), nullptr, Checksums::kTrustBytes);
      if (!opened.ok()) continue;
      RankScratch scratch;
      const RankSignal seed[] = {{"red mug striped", EventKind::kPurchase, 1, 0}};
      for (const char* user : {"ada", "nobody", ""}) {
        const RankQuery query{.user = user, .signals = seed, .limit = 5, .now = kUntil};
        for (const RankedItem& item : opened->Rank(query, scratch))
          EXPECT_LT(item.item, opened->items());
        (void)opened->Describe(query, scratch);
      }
      if (opened->vector_dimension() == 0) continue;
      for (uint32_t item = 0; item < opened->items(); ++item) {
        for (const float value : opened->VectorOf(item)) EXPECT_TRUE(std::isfinite(value));
      }
    }
  }
}

}  // namespace
}  // namespace starling::learning
