#include "learning/selection/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "learning/models/als.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

using testing::HasSubstr;

constexpr uint32_t kUsers = 300;
constexpr uint32_t kTastes = 6;
constexpr uint32_t kOfTaste = 20;

// Users of one taste have items of it; three in four of theirs are train, the rest is divided.
struct Tasteful {
  Tasteful() {
    Random random(7);
    std::vector<Interaction> parts[3];
    for (uint32_t user = 0; user < kUsers; ++user) {
      for (uint32_t i = 0; i < kOfTaste; ++i) {
        if (random.Unit() < 0.4) continue;
        const uint32_t part = random.Unit() < 0.75 ? 0 : random.Unit() < 0.5 ? 1 : 2;
        parts[part].push_back({user, (user % kTastes) * kOfTaste + i, 1, 0});
      }
      parts[0].push_back({user, static_cast<uint32_t>(random.Below(kTastes * kOfTaste)), 1, 0});
    }
    train = *MakeInteractions(parts[0], kUsers, kTastes * kOfTaste);
    valid = *MakeInteractions(parts[1], kUsers, kTastes * kOfTaste);
    test = *MakeInteractions(parts[2], kUsers, kTastes * kOfTaste);
  }
  SelectionData data() const { return {train, valid, &test}; }
  Interactions train, valid, test;
};

const SelectedModel& Of(const Selection& selection, const std::string& name) {
  for (const SelectedModel& model : selection.models) {
    if (model.name == name) return model;
  }
  ADD_FAILURE() << name << " is not there";
  return selection.models.front();
}

TEST(SelectModel, FindsWhatPopularityMissesAndSaysWhatItChose) {
  const Tasteful made;
  const auto selection = SelectModel(made.data(), {.k = 5});
  ASSERT_TRUE(selection.ok()) << selection.status();
  // sampled_mf is not asked for.
  EXPECT_EQ(selection->models.size(), std::size(kSelectable) - 1);
  const auto ndcg = [&](const std::string& name) {
    return Of(*selection, name).test.Mean(RankingMetric::kNdcg);
  };
  EXPECT_GT(ndcg(selection->chosen), 3 * ndcg("popularity"));
  EXPECT_NE(selection->chosen, "popularity");
  EXPECT_THAT(Of(*selection, "ease").settings, HasSubstr("regularisation"));
  EXPECT_GT(Of(*selection, "ease").fit_seconds, 0);
  EXPECT_THAT(Of(*selection, "blend").settings, HasSubstr(" + "));
  EXPECT_GE(Of(*selection, "blend").valid_ndcg, Of(*selection, "ease").valid_ndcg - 1e-9)
      << "a weight of 0 is one of those tried";
}

TEST(SelectModel, FitsOnlyWhatIsAskedFor) {
  const Tasteful made;
  int fits = 0;
  const auto selection = SelectModel(made.data(), {.models = {"item_knn"},
                                                   .before_fit = [&] { ++fits; },
                                                   .after_fit = [] { return uint64_t{77}; }});
  ASSERT_TRUE(selection.ok()) << selection.status();
  ASSERT_EQ(selection->models.size(), 1u);
  EXPECT_EQ(selection->chosen, "item_knn");
  EXPECT_EQ(selection->models[0].peak_bytes, 77u);
  EXPECT_EQ(fits, 1);
}

TEST(SelectModel, ChoosesByTheValidationAlone) {
  // A test that contradicts it changes the figures and not the choice.
  const Tasteful made;
  std::vector<Interaction> odd;
  for (uint32_t user = 0; user < kUsers; ++user) odd.push_back({user, user % 7, 1, 0});
  const Interactions other = *MakeInteractions(odd, kUsers, kTastes * kOfTaste);
  const auto as_it_is = SelectModel(made.data(), {.models = {"ease", "popularity"}});
  const auto against =
      SelectModel({made.train, made.valid, &other}, {.models = {"ease", "popularity"}});
  ASSERT_TRUE(as_it_is.ok() && against.ok());
  EXPECT_EQ(as_it_is->chosen, against->chosen);
  EXPECT_EQ(Of(*as_it_is, "ease").settings, Of(*against, "ease").settings);
}

TEST(SelectModel, WhatDoesNotFitIntoMemoryIsToldAndLeftOut) {
  const Tasteful made;
  const auto selection =
      SelectModel(made.data(), {.models = {"ease", "popularity"}, .memory_limit = 1'000});
  ASSERT_TRUE(selection.ok()) << selection.status();
  EXPECT_THAT(Of(*selection, "ease").error, HasSubstr("memory_limit"));
  EXPECT_EQ(selection->chosen, "popularity");
}

// Train and validation together take more than train alone.
TEST(SelectModel, AModelThatCannotBeFittedForTheTestIsToldAndLeftOutOfAllThatNeedsIt) {
  const Tasteful made;
  const size_t memory = AlsMemory(made.train, {.factors = 64});
  const auto selection = SelectModel(made.data(), {.memory_limit = memory});
  ASSERT_TRUE(selection.ok()) << selection.status();
  const SelectedModel& als = Of(*selection, "als");
  EXPECT_THAT(als.error, HasSubstr("not fitted for the test"));
  EXPECT_THAT(als.error, HasSubstr("memory_limit"));
  EXPECT_GT(als.valid_ndcg, 0);
  EXPECT_EQ(Of(*selection, "popularity").error, "");
  EXPECT_GT(Of(*selection, "popularity").test.users(), 0);
  for (const std::string name : {"blend", "two_stage"})
    EXPECT_THAT(Of(*selection, name).error, HasSubstr("als, of which it is")) << name;
  EXPECT_NE(selection->chosen, "als");
  EXPECT_NE(selection->chosen, "");
}

TEST(SelectModel, SaysWhyModelsWereNotPutTogether) {
  const Tasteful made;
  const auto none = SelectModel(made.data(), {.models = {"blend", "two_stage"}, .memory_limit = 1});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->chosen, "");
  EXPECT_THAT(Of(*none, "blend").error, HasSubstr("fewer than two"));
  EXPECT_THAT(Of(*none, "two_stage").error, HasSubstr("fewer than two"));
  // Few who are measured are enough for weights, and not for trees.
  const auto few = SelectModel(made.data(), {.models = {"blend", "two_stage"}, .max_users = 50});
  ASSERT_TRUE(few.ok()) << few.status();
  EXPECT_EQ(few->chosen, "blend");
  EXPECT_THAT(Of(*few, "two_stage").error, HasSubstr("too few"));
}

TEST(SelectModel, GivesUpAFitThatIsAtWorkWhenTheTimeOfItsFamilyIsOver) {
  const Tasteful made;
  double seconds = 0;
  int told = 0;  // of the second fit
  const auto selection = SelectModel(
      made.data(),
      {.models = {"autoencoder", "popularity"}, .time_limit = 100, .now = [&] { return seconds; }},
      [&](double, const std::string& what) {
        if (what.find("steps 1500") != what.npos) {
          ++told;
          seconds = 150;
        }
        return true;
      });
  ASSERT_TRUE(selection.ok()) << selection.status();
  EXPECT_EQ(told, 2) << "before it, and before its first step";
  EXPECT_EQ(Of(*selection, "autoencoder").error, "");
  EXPECT_THAT(Of(*selection, "autoencoder").settings, HasSubstr("steps 1000, dropout 0.5"));
  EXPECT_GT(Of(*selection, "autoencoder").valid_ndcg, 0);
}

TEST(SelectModel, SaysWhichModelTheTimeWasTooShortFor) {
  const Tasteful made;
  double seconds = 0;
  const auto selection = SelectModel(made.data(), {.models = {"autoencoder", "popularity"},
                                                   .time_limit = 100,
                                                   .now = [&] { return seconds += 1; }});
  ASSERT_TRUE(selection.ok()) << selection.status();
  EXPECT_THAT(Of(*selection, "autoencoder").error, HasSubstr("time_limit"));
  EXPECT_EQ(selection->chosen, "popularity");
}

TEST(SelectModel, BadQuestionsAreNamed) {
  const Tasteful made;
  EXPECT_EQ(FieldViolations(SelectModel(made.data(), {.models = {"oracle"}}).status())[0].field,
            "models");
  EXPECT_EQ(FieldViolations(SelectModel(made.data(), {.k = 0}).status())[0].field, "k");
  const Interactions small = *MakeInteractions({}, 2, 2);
  EXPECT_EQ(FieldViolations(SelectModel({made.train, small}, {}).status())[0].field, "valid");
  EXPECT_EQ(FieldViolations(SelectModel({made.train, made.train}, {}).status())[0].field, "valid")
      << "nothing there is new";
  const auto stopped =
      SelectModel(made.data(), {}, [](double, const std::string&) { return false; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

TEST(HoldOutTenth, DividesEachUserAndLosesNothing) {
  const Tasteful made;
  const auto parts = HoldOutTenth(made.train, 1);
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->rest.entries() + parts->held_out.entries(), made.train.entries());
  for (uint32_t user = 0; user < kUsers; ++user) {
    if (made.train.row(user).size() < 2) continue;
    EXPECT_GE(parts->held_out.row(user).size(), 1u);
    EXPECT_GE(parts->rest.row(user).size(), 1u);
  }
  const auto both = Together(parts->rest, parts->held_out);
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->entries(), made.train.entries());
  EXPECT_EQ(Together(made.train, made.train)->entries(), made.train.entries());
}

}  // namespace
}  // namespace starling::learning
