#include "learning/selection/family_fits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

const Family& FamilyOf(const std::string& name) {
  for (const Family& family : Families()) {
    if (family.name == name) return family;
  }
  ADD_FAILURE() << name << " is no family";
  return Families().front();
}

struct Counted {
  const Progress progress = [this](double) { return ++calls <= stop_after; };
  int calls = 0;
  int stop_after = 1'000'000;
};

class FamilyFitsTest : public testing::Test {
 protected:
  // What the model says of a user.
  std::vector<float> Says(const StatusOr<std::shared_ptr<const Model>>& model) const {
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? ScoresOf(**model, HistoryOf(data_, 3), data_.latest_time())
                      : std::vector<float>();
  }
  std::vector<float> FittedAlone(const Family& family, const Choice& choice) const {
    return Says(FitFamily(family, choice, data_, limits_, {}));
  }

  const Interactions data_ = MakeInteractions(TestEvents(80, 24, 1), 80, 24).value();
  const FitLimits limits_;
};

TEST_F(FamilyFitsTest, StepsGoOnFromFewerAndGiveTheSame) {
  const Family& family = FamilyOf("autoencoder");
  FamilyFits fits(family, data_, limits_);
  Counted first, more, fewer, other;
  EXPECT_EQ(Says(fits.Fit({1, 1}, first.progress)), FittedAlone(family, {1, 1}));
  EXPECT_EQ(Says(fits.Fit({2, 1}, more.progress)), FittedAlone(family, {2, 1}));
  EXPECT_EQ(Says(fits.Fit({0, 1}, fewer.progress)), FittedAlone(family, {0, 1}));
  EXPECT_EQ(Says(fits.Fit({0, 2}, other.progress)), FittedAlone(family, {0, 2}));
  EXPECT_EQ(first.calls, 1'000);
  EXPECT_EQ(more.calls, 500) << "from 1,000 to 1,500";
  EXPECT_EQ(fewer.calls, 0) << "it was passed on the way";
  EXPECT_EQ(other.calls, 500) << "another dropout begins anew";
}

TEST_F(FamilyFitsTest, WhatWasStoppedIsGoneOnWith) {
  const Family& family = FamilyOf("autoencoder");
  FamilyFits fits(family, data_, limits_);
  Counted stopped{.stop_after = 700}, rest;
  EXPECT_EQ(fits.Fit({1, 1}, stopped.progress).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(Says(fits.Fit({1, 1}, rest.progress)), FittedAlone(family, {1, 1}));
  EXPECT_EQ(rest.calls, 300);
}

TEST_F(FamilyFitsTest, AnotherRelaxationIsNotFittedAgain) {
  const Family& family = FamilyOf("ease");
  FamilyFits fits(family, data_, limits_);
  const Choice start = {2, 1, 2, 1}, other = {3, 1, 2, 1};
  Counted fitted, not_better, relaxed, again;
  EXPECT_EQ(Says(fits.Fit(start, fitted.progress)), FittedAlone(family, start));
  fits.Keep();
  EXPECT_EQ(Says(fits.Fit(other, not_better.progress)), FittedAlone(family, other));
  for (size_t relaxation = 0; relaxation < family.axes[2].values.size(); ++relaxation) {
    const Choice choice = {2, 1, relaxation, 1};
    EXPECT_EQ(Says(fits.Fit(choice, relaxed.progress)), FittedAlone(family, choice));
  }
  EXPECT_EQ(Says(fits.Fit({4, 1, 2, 1}, again.progress)), FittedAlone(family, {4, 1, 2, 1}));
  EXPECT_GT(fitted.calls, 0);
  EXPECT_GT(not_better.calls, 0);
  EXPECT_EQ(relaxed.calls, 0);
  EXPECT_GT(again.calls, 0);
}

TEST_F(FamilyFitsTest, OtherFamiliesAreFittedEachTime) {
  const Family& family = FamilyOf("item_knn");
  FamilyFits fits(family, data_, limits_);
  EXPECT_EQ(Says(fits.Fit({0, 1, 1, 1}, {})), FittedAlone(family, {0, 1, 1, 1}));
  EXPECT_EQ(Says(fits.Fit({0, 2, 1, 1}, {})), FittedAlone(family, {0, 2, 1, 1}));
}

TEST_F(FamilyFitsTest, FailsAsTheFitDoes) {
  const FitLimits little{.memory = 1'000};
  for (const std::string name : {"ease", "autoencoder"}) {
    Choice choice;
    for (const Axis& axis : FamilyOf(name).axes) choice.push_back(axis.start);
    FamilyFits fits(FamilyOf(name), data_, little);
    EXPECT_EQ(fits.Fit(choice, {}).status().code(), StatusCode::kResourceExhausted) << name;
  }
}

}  // namespace
}  // namespace starling::learning
