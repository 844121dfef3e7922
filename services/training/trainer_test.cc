#include "services/training/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/training/made_interactions.h"
#include "services/training/schedule.h"

namespace starling::training {
namespace {

using testing::HasSubstr;

Dataset Load(const std::vector<features::v1::UserInteractions>& users,
             const TrainingConfig& config = {}) {
  DatasetBuilder builder(config.weights.ByKind(), config.memory.count());
  for (const auto& user : users) {
    const Status added = builder.Add(user);
    EXPECT_TRUE(added.ok()) << added;
  }
  auto data = std::move(builder).Finish();
  EXPECT_TRUE(data.ok()) << data.status();
  return *std::move(data);
}

StatusOr<Trained> Train(const Dataset& data, Algorithm algorithm = Algorithm::kAuto,
                        const std::optional<Serving>& serving = {},
                        const TrainingConfig& config = {}) {
  Trainer trainer(data, config, [](double, const std::string&) { return true; });
  return trainer.Train(algorithm, serving);
}

Serving AsServing(const Trained& trained, std::string artifact) {
  return {"1", trained.parameters, trained.metrics, std::move(artifact)};
}

TEST(Trainer, FindsTheStructureThatPopularityMisses) {
  const Dataset data = Load(MakeInteractions({}));
  const auto trained = Train(data);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_GT(trained->metrics.at(kNdcg), 2 * trained->baseline.at(kNdcg)) << trained->algorithm;
  EXPECT_GT(trained->metrics.at("recall@10"), trained->baseline.at("recall@10"));
  EXPECT_TRUE(trained->not_worse);
}

TEST(Trainer, EveryAlgorithmGivesAnArtifactThatSaysWhatItHolds) {
  const Dataset data = Load(MakeInteractions({.users = 120, .repeats = 0.5}));
  for (const auto& [algorithm, name] : std::initializer_list<std::pair<Algorithm, std::string>>{
           {Algorithm::kPopularity, "popularity"},
           {Algorithm::kItemKnn, "item_knn"},
           {Algorithm::kEase, "ease"},
           {Algorithm::kAls, "als"},
           {Algorithm::kRepeat, "repeat"},
           {Algorithm::kTransitions, "transitions"},
           {Algorithm::kNextBasket, "next_basket"},
           {Algorithm::kSampledMf, "sampled_mf"}}) {
    const auto trained = Train(data, algorithm);
    ASSERT_TRUE(trained.ok()) << name << ": " << trained.status();
    EXPECT_EQ(trained->algorithm, name);
    const auto opened =
        learning::Recommender::Open(std::as_bytes(std::span(trained->artifact)), nullptr);
    ASSERT_TRUE(opened.ok()) << name << ": " << opened.status();
    EXPECT_EQ(opened->algorithm(), name);
    EXPECT_EQ(opened->settings().until, data.newest);
    const auto recipe = Recipe::FromParameters(trained->parameters);
    ASSERT_TRUE(recipe.has_value()) << name;
    EXPECT_EQ(recipe->Name(), name);
    EXPECT_EQ(opened->users(), 120u);
  }
  const auto blend = Train(data, Algorithm::kBlend);
  ASSERT_TRUE(blend.ok()) << blend.status();
  EXPECT_THAT(blend->algorithm, HasSubstr("+repeat+popularity"));
}

// So many that nothing may be made for all pairs, with factors.
TEST(Trainer, ALargeCatalogueIsFactorisedToo) {
  const Dataset data = Load(MakeInteractions(
      {.users = 3'000, .tastes = 300, .products_per_taste = 100, .purchases = 30}));
  ASSERT_GT(data.acted_on, 20'000U);
  const auto trained = Train(data, Algorithm::kAls);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_EQ(trained->algorithm, "als");
  EXPECT_GT(trained->metrics.at(kNdcg), 2 * trained->baseline.at(kNdcg));
  auto opened = learning::Recommender::Open(std::as_bytes(std::span(trained->artifact)), nullptr);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE(opened->MakeIndex([] { return 0.0; }).ok());
  EXPECT_NE(opened->index(), nullptr);
}

TEST(Trainer, AProductThatNobodyHadGoesWithThoseDescribedAlike) {
  Dataset data = Load(MakeInteractions({}));
  const size_t acted_on = data.items.size();
  std::vector<Described> products = {{.id = "new-mug", .title = "Striped mug", .brand = "Hill"}};
  for (uint32_t item = 0; item < acted_on; ++item) {
    const std::string id(data.items.Id(item));
    products.push_back({.id = id, .title = id == "p-1-003" ? "Striped mug" : "Thing " + id});
  }
  ASSERT_TRUE(Describe(products, data).ok());
  EXPECT_EQ(data.acted_on, acted_on);
  ASSERT_EQ(data.items.size(), acted_on + 1);
  EXPECT_EQ(data.items.Id(static_cast<uint32_t>(acted_on)), "new-mug");
  for (const Algorithm algorithm : {Algorithm::kItemKnn, Algorithm::kAls, Algorithm::kTwoStage}) {
    const auto trained = Train(data, algorithm);
    ASSERT_TRUE(trained.ok()) << trained.status();
    const auto opened =
        learning::Recommender::Open(std::as_bytes(std::span(trained->artifact)), nullptr);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_EQ(opened->items(), acted_on + 1);
    learning::RankScratch scratch;
    const learning::RankSignal seed[] = {{"new-mug", learning::EventKind::kOther, 1, 0}};
    const auto ranked = opened->Rank({.signals = seed, .limit = 1, .now = data.newest}, scratch);
    ASSERT_EQ(ranked.size(), 1u);
    EXPECT_EQ(opened->ItemId(ranked[0].item), "p-1-003") << trained->algorithm;
    const learning::RankSignal other[] = {{"p-1-003", learning::EventKind::kOther, 1, 0}};
    bool found = false;
    for (const auto& item :
         opened->Rank({.signals = other, .limit = 30, .now = data.newest}, scratch))
      found = found || opened->ItemId(item.item) == "new-mug";
    EXPECT_TRUE(found) << trained->algorithm;
  }
}

TEST(Recipe, OfAVersionThatDoesNotSayWhatTreesAreToldIsPlain) {
  Recipe recipe{.main = Recipe::Main::kEase, .ranked = true};
  EXPECT_EQ(Recipe::FromParameters(recipe.ToParameters()), recipe);
  recipe.told = Recipe::Told::kAlikeAndContent;
  auto parameters = recipe.ToParameters();
  EXPECT_EQ(Recipe::FromParameters(parameters), recipe);
  parameters.erase("told");
  EXPECT_EQ(Recipe::FromParameters(parameters)->told, Recipe::Told::kPlain);
}

// Everyone buys one product of ten every week and another of ten once, in turn: what is due is seen
// by nothing but the time since the last purchase.
std::vector<features::v1::UserInteractions> MakeRhythms() {
  std::vector<features::v1::UserInteractions> users;
  for (int u = 0; u < 300; ++u) {
    features::v1::UserInteractions& user = users.emplace_back();
    user.set_user_id(fmt::format("u-{:05}", u));
    for (int week = 0; week < 52; ++week) {
      for (const std::string& product :
           {fmt::format("weekly-{}", u % 10), fmt::format("turn-{}-{}", u % 10, week % 26)}) {
        user.add_product_ids(product);
        user.add_types(features::v1::INTERACTION_TYPE_PURCHASE);
        user.add_occurred_at(kMadeEnd - (52 - week) * 7 * 86'400);
        user.add_quantities(1);
        user.add_prices(1);
      }
    }
  }
  return users;
}

TEST(Trainer, TreesSeeWhatIsDue) {
  const Dataset data = Load(MakeRhythms());
  const auto one_stage = Train(data, Algorithm::kBlend);
  const auto two_stages = Train(data, Algorithm::kTwoStage);
  ASSERT_TRUE(one_stage.ok()) << one_stage.status();
  ASSERT_TRUE(two_stages.ok()) << two_stages.status();
  EXPECT_THAT(two_stages->algorithm, HasSubstr("+trees"));
  EXPECT_GT(two_stages->metrics.at(kAllNdcg), 1.2 * one_stage->metrics.at(kAllNdcg));
  EXPECT_THAT(Train(data)->algorithm, HasSubstr("+trees")) << "auto finds it";
  // It is compared by its recipe like any other.
  const auto again = Train(data, Algorithm::kTwoStage, AsServing(*two_stages, ""));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NEAR(again->compared.at(kQuality), two_stages->metrics.at(kQuality), 1e-9);
}

TEST(Trainer, WherePeopleComeBackForTheSameRepeatsAreAdded) {
  const Dataset data = Load(MakeInteractions({.repeats = 0.7}));
  const auto trained = Train(data);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_THAT(trained->algorithm, HasSubstr("repeat"));
  EXPECT_GT(trained->metrics.at(kAllNdcg), trained->baseline.at(kAllNdcg));
}

TEST(Trainer, WhereNobodyBuysLooksAreTheGoal) {
  const Dataset data = Load(MakeInteractions({.type = features::v1::INTERACTION_TYPE_VIEW}));
  const auto trained = Train(data, Algorithm::kItemKnn);
  ASSERT_TRUE(trained.ok()) << trained.status();
  const auto opened =
      learning::Recommender::Open(std::as_bytes(std::span(trained->artifact)), nullptr);
  EXPECT_EQ(opened->settings().goal, learning::Goal::kAnything);
  EXPECT_GT(trained->metrics.at(kNdcg), trained->baseline.at(kNdcg));
}

TEST(Trainer, TheSameDataIsComparedByStoredMetrics) {
  const Dataset data = Load(MakeInteractions({}));
  const auto first = Train(data, Algorithm::kItemKnn);
  ASSERT_TRUE(first.ok()) << first.status();
  Serving serving = AsServing(*first, "");
  serving.metrics[kQuality] = 0.99;  // as if it had been that good
  const auto second = Train(data, Algorithm::kItemKnn, serving);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->compared.at(kQuality), 0.99);
  EXPECT_FALSE(second->not_worse);
}

TEST(Trainer, WhatNeverSawTheHeldOutIsMeasuredItself) {
  const Dataset data = Load(MakeInteractions({}));
  // Made of the first half of the year alone, by what sells.
  auto half = MakeInteractions({});
  for (auto& user : half) {
    user.mutable_product_ids()->DeleteSubrange(12, 12);
    user.mutable_types()->Truncate(12);
    user.mutable_occurred_at()->Truncate(12);
  }
  const auto old = Train(Load(half), Algorithm::kPopularity);
  ASSERT_TRUE(old.ok()) << old.status();
  const auto better = Train(data, Algorithm::kEase, AsServing(*old, old->artifact));
  ASSERT_TRUE(better.ok()) << better.status();
  EXPECT_EQ(better->compared_version, "1");
  EXPECT_LT(better->compared.at(kQuality), better->metrics.at(kQuality));
  EXPECT_TRUE(better->not_worse);
}

TEST(Trainer, WhatSawTheHeldOutIsMeasuredByItsRecipe) {
  const Dataset data = Load(MakeInteractions({}));
  const auto good = Train(Load(MakeInteractions({.purchases = 25})), Algorithm::kEase);
  ASSERT_TRUE(good.ok()) << good.status();
  const auto worse = Train(data, Algorithm::kPopularity, AsServing(*good, good->artifact));
  ASSERT_TRUE(worse.ok()) << worse.status();
  EXPECT_GT(worse->compared.at(kQuality), worse->metrics.at(kQuality));
  EXPECT_FALSE(worse->not_worse);
}

TEST(Trainer, ADatasetTooSmallToMeasureIsTrainedAndReplacesNothing) {
  const Dataset data = Load(MakeInteractions({.users = 4, .purchases = 3}));
  const auto trained = Train(data);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_TRUE(trained->metrics.empty());
  EXPECT_TRUE(trained->not_worse) << "nothing serves, so something is better";
  const auto again = Train(data, Algorithm::kAuto, Serving{"1", {}, {}, ""});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->not_worse);
}

TEST(Trainer, CancelEndsItAtAnyStep) {
  const Dataset data = Load(MakeInteractions({.users = 120}));
  for (const int steps : {0, 1, 3, 8, 15}) {
    int left = steps;
    Trainer trainer(data, {}, [&](double, const std::string&) { return left-- > 0; });
    EXPECT_EQ(trainer.Train(Algorithm::kAuto, {}).status().code(), StatusCode::kCancelled) << steps;
  }
}

TEST(Trainer, MemoryBeyondTheLimitIsRefused) {
  TrainingConfig config;
  DatasetBuilder builder(config.weights.ByKind(), 10'000);
  Status added;
  for (const auto& user : MakeInteractions({})) {
    if (added.ok()) added = builder.Add(user);
  }
  EXPECT_EQ(added.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(added.message()), HasSubstr("training.memory"));
}

TEST(Dataset, ManyLooksSayNoMoreThanOne) {
  features::v1::UserInteractions user;
  user.set_user_id("u");
  for (int i = 0; i < 100; ++i) {
    user.add_product_ids("looked-at");
    user.add_types(features::v1::INTERACTION_TYPE_VIEW);
    user.add_occurred_at(1'000 + i);
  }
  user.add_product_ids("bought");
  user.add_types(features::v1::INTERACTION_TYPE_PURCHASE);
  user.add_occurred_at(1'000);
  const Dataset data = Load({user});
  const auto part = MakePart(data, data.newest, learning::Goal::kPurchase);
  ASSERT_TRUE(part.ok()) << part.status();
  const auto row = part->strengths.row(0);
  ASSERT_EQ(row.size(), 2u);
  EXPECT_FLOAT_EQ(row.weights[*data.items.Find("looked-at")], 0.2F);
  EXPECT_FLOAT_EQ(row.weights[*data.items.Find("bought")], 1);
  EXPECT_EQ(part->goals.entries(), 1u);
}

TEST(Dataset, NothingToTrainOnSaysWhatToDo) {
  DatasetBuilder builder(TrainingConfig().weights.ByKind(), 1 << 30);
  const Status status = std::move(builder).Finish().status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/v1/events"));
}

TEST(Recipe, ComesBackFromItsParameters) {
  for (const Algorithm algorithm : {Algorithm::kPopularity, Algorithm::kItemKnn, Algorithm::kEase,
                                    Algorithm::kAls, Algorithm::kSampledMf}) {
    for (Recipe recipe : Candidates(algorithm, 1'000)) {
      recipe.popularity_weight = 0.15;
      recipe.repeat_weight = 2;
      recipe.ranked = algorithm == Algorithm::kEase;
      const auto back = Recipe::FromParameters(recipe.ToParameters());
      ASSERT_TRUE(back.has_value()) << recipe.Name();
      EXPECT_EQ(back->Name(), recipe.Name());
      EXPECT_EQ(back->ToParameters(), recipe.ToParameters());
    }
  }
  EXPECT_FALSE(Recipe::FromParameters({{"main", "oracle"}}).has_value());
}

TEST(Recipe, FactorsAreTriedOfACatalogueOfAnySize) {
  const auto regularisation = [](const std::vector<Recipe>& recipes) {
    for (const Recipe& recipe : recipes) {
      if (recipe.main == Recipe::Main::kAls) return recipe.regularisation;
    }
    return 0.0;
  };
  for (const Algorithm algorithm : {Algorithm::kAuto, Algorithm::kBlend, Algorithm::kAls}) {
    EXPECT_EQ(regularisation(Candidates(algorithm, 1'000)), 0.003);
    EXPECT_EQ(regularisation(Candidates(algorithm, 1'000'000)), 0.0005);
  }
}

TEST(Schedule, IsDueByAgeOrByEventsAndNeverWithoutNews) {
  const TimePoint now = *ParseRfc3339("2026-01-02T00:00:00Z");
  v1::ModelVersion newest;
  newest.mutable_create_time()->set_seconds(now.time_since_epoch() / std::chrono::seconds(1) -
                                            3'600);
  newest.mutable_lineage()->set_interactions(1'000);
  features::v1::Statistics statistics;
  statistics.set_interactions(1'500);
  TrainingConfig config;
  EXPECT_FALSE(TrainingIsDue(config, newest, statistics, now));
  EXPECT_TRUE(TrainingIsDue(config, newest, statistics, now + std::chrono::hours(24)))
      << "daily when nothing is said";
  config.every = Duration(0);
  EXPECT_FALSE(TrainingIsDue(config, newest, statistics, now + std::chrono::hours(9'999)));
  config.every = std::chrono::hours(2);
  EXPECT_FALSE(TrainingIsDue(config, newest, statistics, now));
  EXPECT_TRUE(TrainingIsDue(config, newest, statistics, now + std::chrono::hours(1)));
  EXPECT_TRUE(TrainingIsDue(config, std::nullopt, statistics, now));
  config.after_events = 500;
  EXPECT_TRUE(TrainingIsDue(config, newest, statistics, now));
  statistics.set_interactions(1'000);
  EXPECT_FALSE(TrainingIsDue(config, newest, statistics, now + std::chrono::hours(9)));
  statistics.set_interactions(400);
  EXPECT_FALSE(TrainingIsDue(config, std::nullopt, statistics, now)) << "says too little";
}

}  // namespace
}  // namespace starling::training
