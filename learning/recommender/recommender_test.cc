#include "learning/recommender/recommender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "learning/models/als.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/random.h"
#include "learning/recommender/packed_rows.h"
#include "learning/recommender/recommender_writer.h"
#include "learning/recommender/second_stage.h"

namespace starling::learning {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;
using Source = RankedItem::Source;

constexpr int64_t kDaySeconds = 86'400;
constexpr int64_t kUntil = 1'000 * kDaySeconds;

// Eight people buy bread with butter, eight tea with milk, and twenty salt, which thus sells best.
// "ada" has bread only, "bob" has bread, long ago, and tea; "cat" has tea three times.
class RecommenderTest : public testing::Test {
 protected:
  enum class With { kSimilar, kSimilarAndRepeat, kFactors, kPopularityOnly, kTwoStages };

  void Make(With with, double popularity_weight = 0, size_t cap = 100) {
    const std::vector<std::string> items = {"bread", "butter", "tea", "milk", "salt", "dust"};
    std::vector<std::string> users = {"ada", "bob", "cat"};
    std::vector<Interaction> events = {{0, 0, 1, kUntil},
                                       {1, 0, 1, kUntil - 300 * kDaySeconds},
                                       {1, 2, 1, kUntil},
                                       {2, 2, 1, kUntil}};
    for (uint32_t i = 0; i < 36; ++i) {
      const auto user = static_cast<uint32_t>(users.size());
      users.push_back("other-" + std::to_string(i));
      if (i < 8) {
        events.push_back({user, 0, 1, kUntil});
        events.push_back({user, 1, 1, kUntil});
      } else if (i < 16) {
        events.push_back({user, 2, 1, kUntil});
        events.push_back({user, 3, 1, kUntil});
      } else {
        events.push_back({user, 4, 1, kUntil});
      }
    }
    const Interactions data = *MakeInteractions(events, users.size(), items.size());
    UserHistory history;
    history.offsets.push_back(0);
    for (size_t user = 0; user < data.users(); ++user) {
      const Interactions::Row row = data.row(user);
      for (size_t i = 0; i < row.size(); ++i) {
        history.items.push_back(row.items[i]);
        history.weights.push_back(1);
        history.x.push_back(static_cast<float>(Decay(60 * kDay, row.times[i], kUntil)));
        history.goals.push_back(user == 2 ? 3 : 1);
        const auto days = static_cast<float>((kUntil - row.times[i]) / kDaySeconds);
        history.facts.push_back({user == 2 ? 3.0F : 1.0F, days, days, 0});
      }
      history.offsets.push_back(history.items.size());
    }
    const Weighting linear{.scale = Weighting::Scale::kLinear};
    const PopularityModel popularity = *FitPopularity(data, {.weighting = linear});
    const ItemToItemModel similar = *FitItemKnn(data, {.weighting = linear, .shrinkage = 0});
    const AlsModel factors = *FitAls(data, {.weighting = linear, .factors = 4});
    const RepeatModel repeat = *FitRepeat(data, {});
    RecommenderSettings settings{.until = kUntil,
                                 .half_life = 60 * kDay,
                                 .popularity_weight = popularity_weight,
                                 .history_cap = cap};
    settings.repeat_weight = with == With::kSimilarAndRepeat ? 2 : 0;
    settings.strength = {0, 0.2, 0.3, 0.6, 1, 0.6, 0};
    const IdTable item_table = *IdTable::Make(items);
    const IdTable user_table = *IdTable::Make(users);
    const bool rows = with != With::kFactors && with != With::kPopularityOnly;
    std::vector<float> facts;
    std::optional<BoostedTrees> trees;
    ItemAttributes attributes(items.size());
    if (with == With::kTwoStages) {
      std::vector<GoalEvent> goals;
      for (size_t user = 0; user < data.users(); ++user)
        for (size_t i = 0; i < data.row(user).size(); ++i)
          goals.push_back(
              {static_cast<uint32_t>(user), data.row(user).items[i], data.row(user).times[i]});
      for (size_t item = 0; item < items.size(); ++item)
        attributes.SetGroup(item, ItemAttributes::kNarrowest, item < 2 ? "bakery" : "drinks");
      facts = FactsOfItems(goals, items.size(), kUntil);
      AddAttributes(attributes, facts);
      trees = TreesThatAskFor(asked_for);
    }
    auto bytes = WriteRecommender({.items = item_table,
                                   .users = user_table,
                                   .history = history,
                                   .settings = settings,
                                   .algorithm = "test",
                                   .popularity = popularity,
                                   .similar = rows ? &similar : nullptr,
                                   .factors = with == With::kFactors ? &factors : nullptr,
                                   .repeat = with == With::kSimilarAndRepeat ? &repeat : nullptr,
                                   .item_facts = facts,
                                   .attributes = trees ? &attributes : nullptr,
                                   .trees = trees ? &*trees : nullptr});
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    bytes_ = *std::move(bytes);
    auto opened = Recommender::Open(std::as_bytes(std::span(bytes_)), nullptr);
    ASSERT_TRUE(opened.ok()) << opened.status();
    recommender_.emplace(*std::move(opened));
  }

  // More of that feature is better, and nothing else counts.
  static BoostedTrees TreesThatAskFor(size_t feature) {
    constexpr size_t kRows = 4'000;
    Random random(1);
    std::vector<float> columns(kRows * kRankFeatures, 0);
    std::vector<uint8_t> targets;
    for (size_t row = 0; row < kRows; ++row) {
      const double value = random.Unit();
      columns[feature * kRows + row] = static_cast<float>(value * 1'000);
      targets.push_back(random.Unit() < value ? 1 : 0);
    }
    return *FitBoostedTrees({columns, kRows, targets}, {.trees = 30, .feature_share = 1});
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
  std::string Because(const RankedItem& item) {
    return item.because ? std::string(recommender_->ItemId(*item.because)) : "";
  }

  size_t asked_for = kFirstItemFact + kBuyersEver;  // the only feature that the trees look at
  std::string bytes_;
  std::optional<Recommender> recommender_;
  RankScratch scratch_;
};

TEST_F(RecommenderTest, AKnownUserNeedsNoSignals) {
  Make(With::kSimilar);
  const auto ranked = Rank({.user = "ada", .limit = 3});
  ASSERT_EQ(ranked.size(), 3u);
  EXPECT_EQ(recommender_->ItemId(ranked[0].item), "butter");
  EXPECT_EQ(ranked[0].source, Source::kSimilar);
  EXPECT_EQ(Because(ranked[0]), "bread");
  EXPECT_EQ(recommender_->ItemId(ranked[1].item), "tea") << "bob has it beside bread";
  EXPECT_EQ(ranked[1].source, Source::kSimilar);
  EXPECT_EQ(recommender_->ItemId(ranked[2].item), "salt") << "the rest is filled by popularity";
  EXPECT_EQ(ranked[2].source, Source::kPopular);
  EXPECT_GT(ranked[0].score, ranked[1].score);
  EXPECT_GT(ranked[1].score, ranked[2].score);
}

TEST_F(RecommenderTest, TheSecondStageRanksByWhatItsTreesSay) {
  Make(With::kTwoStages);
  EXPECT_THAT(Names({.user = "ada", .limit = 3}), ElementsAre("salt", "tea", "butter"))
      << "what most people have, where the first stage has butter first";
  const auto ranked = Rank({.user = "ada", .limit = 3});
  EXPECT_EQ(ranked[2].source, Source::kSimilar);
  EXPECT_EQ(Because(ranked[2]), "bread");
  EXPECT_EQ(ranked[0].source, Source::kPopular) << "nothing of the history speaks for it";
  EXPECT_GT(ranked[0].score, ranked[1].score);
  EXPECT_LT(ranked[0].score, 1) << "a probability";
  EXPECT_THAT(Names({.limit = 1}), ElementsAre("salt")) << "nobody is ranked by popularity";
  const RankSignal seed[] = {{"bread", EventKind::kOther, 1, 0}};
  EXPECT_THAT(Names({.signals = seed, .limit = 1}), ElementsAre("butter"))
      << "what goes with a product is asked of the first stage";
}

TEST_F(RecommenderTest, TheSecondStageKeepsWhatTheFirstPromises) {
  Make(With::kTwoStages);
  const std::string_view excluded[] = {"salt"};
  EXPECT_THAT(Names({.user = "ada", .excluded = excluded, .limit = 2}),
              ElementsAre("tea", "butter"));
  EXPECT_THAT(Names({.user = "cat", .limit = 10}), Not(Contains("tea"))) << "bought";
  EXPECT_THAT(Names({.user = "cat", .limit = 10, .allow_repeats = true}), Contains("tea"));
  const std::string_view candidates[] = {"milk", "butter"};
  EXPECT_THAT(Names({.user = "ada", .candidates = candidates}),
              UnorderedElementsAre("milk", "butter"));
  const RankSignal bought[] = {{"salt", EventKind::kPurchase, 0, kUntil + 1}};
  EXPECT_THAT(Names({.user = "ada", .signals = bought, .limit = 10}), Not(Contains("salt")));
  // Without news the answer is the same at any time, and the next call finds nothing of this one.
  const RankQuery query{.user = "cat", .limit = 10, .allow_repeats = true};
  RankQuery much_later = query;
  much_later.now = kUntil + 4'000 * kDaySeconds;
  const auto later = recommender_->Rank(much_later, scratch_);
  const std::vector<RankedItem> then(later.begin(), later.end());
  const auto now = Rank(query);
  ASSERT_EQ(now.size(), then.size());
  for (size_t i = 0; i < now.size(); ++i) EXPECT_EQ(now[i].score, then[i].score);
}

TEST_F(RecommenderTest, OnePurchaseIsNoHabit) {
  Make(With::kTwoStages);
  const auto source_of = [&](const std::string& user, const std::string& name) {
    const std::string_view candidates[] = {name};
    const auto ranked = Rank({.user = user, .candidates = candidates, .allow_repeats = true});
    EXPECT_EQ(ranked.size(), 1u);
    return ranked[0].source;
  };
  EXPECT_EQ(source_of("cat", "tea"), Source::kRepeat) << "bought three times";
  EXPECT_NE(source_of("ada", "bread"), Source::kRepeat) << "bought once";
}

TEST_F(RecommenderTest, TheSecondStageIsToldWhatTheUserDid) {
  Make(With::kTwoStages);
  const RankSignal news[] = {{"tea", EventKind::kPurchase, 0, kUntil + 2 * kDaySeconds}};
  const RankExamples seen = recommender_->Describe(
      {.user = "bob", .signals = news, .allow_repeats = true, .now = kUntil + 3 * kDaySeconds},
      scratch_);
  const auto of = [&](const std::string& name, size_t feature) {
    for (size_t c = 0; c < seen.items.size(); ++c) {
      if (recommender_->ItemId(seen.items[c]) == name)
        return seen.columns[feature * seen.items.size() + c];
    }
    ADD_FAILURE() << name << " is no candidate";
    return 0.0F;
  };
  EXPECT_FLOAT_EQ(of("tea", kTimes), 2);
  EXPECT_FLOAT_EQ(of("tea", kLastDays), 0) << "counted from the newest thing that is known";
  EXPECT_FLOAT_EQ(of("tea", kFirstDays), 2);
  EXPECT_FLOAT_EQ(of("tea", kGap), 2);
  EXPECT_FLOAT_EQ(of("bread", kTimes), 1);
  EXPECT_FLOAT_EQ(of("bread", kLastDays), 302);
  EXPECT_FLOAT_EQ(of("milk", kTimes), 0);
  EXPECT_FLOAT_EQ(of("milk", kUserItems), 2);
  EXPECT_FLOAT_EQ(of("milk", kSpeakers), 1) << "tea";
  EXPECT_GT(of("milk", kShareOfNarrowest), 0.9) << "drinks";
  EXPECT_LT(of("butter", kShareOfNarrowest), 0.1) << "bakery, long ago";
  EXPECT_FLOAT_EQ(of("milk", kItemsOfNarrowest), 1);
  EXPECT_FLOAT_EQ(of("milk", kMainPlace), 0);
}

TEST_F(RecommenderTest, AnUnknownUserIsGivenWhatSells) {
  Make(With::kSimilar);
  EXPECT_THAT(Names({.user = "nobody", .limit = 1}), ElementsAre("salt"));
  EXPECT_THAT(Names({.limit = 10}), Not(Contains("dust"))) << "nobody ever had it";
}

TEST_F(RecommenderTest, ANewerSignalChangesTheAnswerAndAnOlderOneIsInTheHistory) {
  Make(With::kSimilar);
  const RankSignal now[] = {{"tea", EventKind::kView, 0, kUntil + 100}};
  const RankSignal before[] = {{"tea", EventKind::kView, 0, kUntil - 100}};
  EXPECT_THAT(Names({.user = "ada", .signals = now, .limit = 3}),
              UnorderedElementsAre("butter", "milk", "tea"))
      << "milk by the look at tea; tea itself was looked at and not bought";
  EXPECT_EQ(Names({.user = "ada", .signals = before}), Names({.user = "ada"}));
  EXPECT_THAT(Names({.user = "nobody", .signals = before, .limit = 1}), ElementsAre("milk"))
      << "of an unknown user every signal counts";
  const RankSignal seed[] = {{"bread", EventKind::kOther, 1, 0}};
  EXPECT_THAT(Names({.signals = seed, .limit = 1}), ElementsAre("butter")) << "no time is now";
}

TEST_F(RecommenderTest, WhatWasLongAgoSaysLess) {
  Make(With::kSimilar);
  const auto ranked = Rank({.user = "bob", .limit = 2});
  EXPECT_EQ(recommender_->ItemId(ranked[0].item), "milk");
  EXPECT_EQ(Because(ranked[0]), "tea");
  EXPECT_EQ(recommender_->ItemId(ranked[1].item), "butter");
  EXPECT_EQ(Because(ranked[1]), "bread");
  Make(With::kSimilar, 0, 1);
  EXPECT_THAT(Names({.user = "bob", .limit = 3}), Not(Contains("bread")))
      << "what may not speak stays bought";
}

TEST_F(RecommenderTest, AHistoryThatIsOldAsAWholeSpeaksAsBefore) {
  Make(With::kSimilarAndRepeat);
  const int64_t later = kUntil + 400 * 365 * kDaySeconds;
  for (const bool repeats : {false, true}) {
    const RankQuery query{.user = "cat", .limit = 3, .allow_repeats = repeats};
    RankQuery much_later = query;
    much_later.now = later;
    const auto ranked = recommender_->Rank(much_later, scratch_);
    const std::vector<RankedItem> then(ranked.begin(), ranked.end());
    const auto now = Rank(query);
    ASSERT_EQ(then.size(), now.size());
    for (size_t i = 0; i < now.size(); ++i) {
      EXPECT_EQ(then[i].item, now[i].item);
      EXPECT_EQ(then[i].score, now[i].score);
    }
  }
  // Beside something new the old says nothing, but what was bought stays bought.
  const RankSignal news[] = {{"bread", EventKind::kView, 0, later}};
  const auto ranked =
      recommender_->Rank({.user = "cat", .signals = news, .limit = 10, .now = later}, scratch_);
  for (const RankedItem& item : ranked) EXPECT_NE(recommender_->ItemId(item.item), "tea");
}

TEST_F(RecommenderTest, TheReasonSaysWhatTheUserDid) {
  Make(With::kSimilar);
  EXPECT_EQ(Rank({.user = "ada", .limit = 1})[0].because_kind, EventKind::kPurchase)
      << "the kind of that strength";
  const RankSignal seen[] = {{"tea", EventKind::kClick, 0, kUntil + 100}};
  for (const RankedItem& item : Rank({.signals = seen, .limit = 3})) {
    EXPECT_EQ(item.because_kind, item.because ? EventKind::kClick : EventKind::kOther);
  }
  const RankSignal rated[] = {{"tea", EventKind::kRate, 0, kUntil + 100}};
  EXPECT_EQ(Rank({.signals = rated, .limit = 1})[0].because_kind, EventKind::kRate)
      << "known, although putting into the cart is as strong";
}

TEST_F(RecommenderTest, WhatWasBoughtOrExcludedIsNotGiven) {
  Make(With::kSimilar);
  const std::string_view excluded[] = {"butter", "no such thing"};
  EXPECT_THAT(Names({.user = "ada", .excluded = excluded}), ElementsAre("tea", "salt", "milk"));
  const RankSignal bought[] = {{"salt", EventKind::kPurchase, 0, kUntil + 1}};
  EXPECT_THAT(Names({.user = "ada", .signals = bought}), Not(Contains("salt")));
  EXPECT_THAT(Names({.user = "ada", .signals = bought, .allow_repeats = true}), Contains("salt"));
}

TEST_F(RecommenderTest, WhatIsExcludedIsOnlyLeftOut) {
  for (const double popularity : {0.0, 0.3}) {
    Make(With::kSimilarAndRepeat, popularity);
    for (const bool repeats : {false, true}) {
      RankQuery query{.user = "bob", .limit = 10, .allow_repeats = repeats};
      std::vector<RankedItem> expected = Rank(query);
      const std::string_view excluded[] = {recommender_->ItemId(expected[0].item),
                                           recommender_->ItemId(expected[2].item)};
      expected.erase(expected.begin() + 2);
      expected.erase(expected.begin());
      query.excluded = excluded;
      const auto ranked = Rank(query);
      ASSERT_EQ(ranked.size(), expected.size());
      for (size_t i = 0; i < ranked.size(); ++i) {
        EXPECT_EQ(ranked[i].item, expected[i].item) << i;
        EXPECT_EQ(ranked[i].source, expected[i].source) << i;
        EXPECT_EQ(ranked[i].because, expected[i].because) << i;
      }
    }
  }
}

TEST_F(RecommenderTest, RepeatsComeFirstWhereTheyAreAllowed) {
  Make(With::kSimilarAndRepeat);
  const auto ranked = Rank({.user = "cat", .limit = 2, .allow_repeats = true});
  EXPECT_EQ(recommender_->ItemId(ranked[0].item), "tea");
  EXPECT_EQ(ranked[0].source, Source::kRepeat);
  EXPECT_EQ(recommender_->ItemId(ranked[1].item), "milk");
  EXPECT_THAT(Names({.user = "cat"}), Not(Contains("tea")));
}

TEST_F(RecommenderTest, OnlyCandidatesAreGivenTheUnknownAmongThemNot) {
  Make(With::kSimilar);
  const std::string_view candidates[] = {"dust",  "milk",          "butter",
                                         "bread", "no such thing", "milk"};
  EXPECT_THAT(Names({.user = "ada", .candidates = candidates}),
              ElementsAre("butter", "milk", "dust"));
  const std::string_view strangers[] = {"no such thing"};
  EXPECT_THAT(Names({.user = "ada", .candidates = strangers}), IsEmpty());
}

TEST_F(RecommenderTest, PopularityThatIsBlendedInSaysSo) {
  Make(With::kSimilar, 5);
  const auto ranked = Rank({.user = "ada", .limit = 2});
  EXPECT_EQ(recommender_->ItemId(ranked[0].item), "salt");
  EXPECT_EQ(ranked[0].source, Source::kPopular);
  EXPECT_FALSE(ranked[0].because.has_value());
}

TEST_F(RecommenderTest, FactorsFoldInTheHistory) {
  Make(With::kFactors);
  const auto ranked = Rank({.user = "ada", .limit = 1});
  EXPECT_EQ(recommender_->ItemId(ranked[0].item), "butter");
  EXPECT_EQ(ranked[0].source, Source::kFactors);
  const RankSignal now[] = {{"tea", EventKind::kPurchase, 0, kUntil + 100}};
  EXPECT_THAT(Names({.signals = now, .limit = 1}), ElementsAre("milk"));
}

TEST_F(RecommenderTest, CallsLeaveNothingBehind) {
  Make(With::kSimilarAndRepeat, 0.3);
  const std::string_view few[] = {"milk", "salt"};
  const RankSignal now[] = {{"tea", EventKind::kView, 0, kUntil + 100}};
  const auto first = Names({.user = "ada"});
  (void)Names({.user = "bob", .signals = now, .candidates = few, .allow_repeats = true});
  (void)Names({.user = "cat", .excluded = few, .limit = 1, .allow_repeats = true});
  (void)Names({.limit = 0});
  EXPECT_EQ(Names({.user = "ada"}), first);
}

TEST_F(RecommenderTest, EveryAlteredByteIsNoticed) {
  Make(With::kSimilarAndRepeat);
  for (size_t at = 0; at < bytes_.size(); at += 7) {
    std::string altered = bytes_;
    altered[at] = static_cast<char>(altered[at] ^ 0x10);
    EXPECT_FALSE(Recommender::Open(std::as_bytes(std::span(altered)), nullptr).ok()) << at;
  }
  const std::string torn = bytes_.substr(0, bytes_.size() / 2);
  EXPECT_EQ(Recommender::Open(std::as_bytes(std::span(torn)), nullptr).status().code(),
            StatusCode::kDataLoss);
}

TEST(PackedRows, HoldTargetsHoweverFarApartAndWeightsToAFewThousandths) {
  const std::vector<std::pair<uint32_t, float>> row = {
      {0, 0.5F}, {1, -0.123456F}, {65'536, 3.3F}, {4'000'000, 1e-6F}};
  std::vector<uint32_t> entries;
  uint32_t last = 0;
  for (const auto& [target, weight] : row) {
    PackEntry(last, target, weight, entries);
    last = target;
  }
  uint32_t target = 0;
  size_t at = 0;
  for (const uint32_t entry : entries) {
    target += Gap(entry);
    if (WeightOf(entry) == 0) continue;
    ASSERT_LT(at, row.size());
    EXPECT_EQ(target, row[at].first);
    EXPECT_NEAR(WeightOf(entry), row[at].second, std::abs(row[at].second) * 0.004);
    ++at;
  }
  EXPECT_EQ(at, row.size());
}

// Also where the checksums are right: another program's mistake must not read outside.
TEST_F(RecommenderTest, BytesThatContradictThemselvesAreRefused) {
  Make(With::kSimilarAndRepeat);
  for (size_t at = 0; at < bytes_.size(); at += 3) {
    std::string altered = bytes_;
    altered[at] = static_cast<char>(altered[at] ^ 0xFF);
    const auto opened =
        Recommender::Open(std::as_bytes(std::span(altered)), nullptr, Checksums::kTrustBytes);
    if (!opened.ok()) continue;
    RankScratch scratch;
    for (const char* user : {"ada", "bob", "cat", "nobody"}) {
      const auto ranked =
          opened->Rank({.user = user, .limit = 5, .allow_repeats = true, .now = kUntil}, scratch);
      for (const RankedItem& item : ranked) EXPECT_LT(item.item, opened->items());
    }
  }
}

}  // namespace
}  // namespace starling::learning
