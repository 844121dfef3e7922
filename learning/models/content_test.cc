#include "learning/models/content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

using testing::HasSubstr;

ItemTerms Terms(const std::vector<std::string>& titles) {
  ItemTerms terms(titles.size());
  for (size_t item = 0; item < titles.size(); ++item) terms.AddText(item, titles[item]);
  return terms;
}

TEST(ItemTerms, AreWordsInLowerCaseOnceAndLabelsApart) {
  ItemTerms terms(2);
  terms.AddText(0, "RED mug, red 12CM; Caf\xC3\xA9");
  EXPECT_EQ(terms.of_item(0).size(), 4u) << "red, mug, 12cm, caf\xC3\xA9";
  terms.AddText(1, "red");
  EXPECT_EQ(terms.of_item(1)[0], terms.of_item(0)[0]);
  terms.AddLabel(1, "red");
  EXPECT_EQ(terms.of_item(1).size(), 2u) << "the category red is not the word";
  terms.AddLabel(1, "");
  EXPECT_EQ(terms.terms(), 5u);
  std::string long_title;
  for (int i = 0; i < 200; ++i) long_title += " word" + std::to_string(i);
  terms.AddText(0, long_title);
  EXPECT_EQ(terms.of_item(0).size(), ItemTerms::kMostTerms);
}

TEST(Content, IsTheCosineOfRareWords) {
  const ItemTerms terms = Terms({"red mug", "blue mug", "red mug large", "green lamp"});
  const std::vector<uint32_t> buyers = {3, 2, 0, 1};
  const ItemToItemModel model = FitContent(terms, buyers, {.least = 0}).value();
  EXPECT_EQ(model.kind(), kContentKind);
  const double red = std::log(4.0 / 2), mug = std::log(4.0 / 3), blue = std::log(4.0),
               large = std::log(4.0);
  const auto length = [](double a, double b, double c) { return std::sqrt(a * a + b * b + c * c); };
  EXPECT_NEAR(model.Weight(0, 1), mug * mug / (length(red, mug, 0) * length(blue, mug, 0)), 1e-6);
  EXPECT_NEAR(model.Weight(2, 0),
              (red * red + mug * mug) / (length(red, mug, 0) * length(red, mug, large)), 1e-6);
  EXPECT_FLOAT_EQ(model.Weight(0, 2), model.Weight(2, 0));
  EXPECT_EQ(model.Weight(0, 0), 0);
  EXPECT_EQ(model.Weight(3, 0), 0);
  // A product that nobody bought has a score from what a user had.
  const std::vector<HistoryItem> history = {{.item = 0}};
  const std::vector<float> scores = ScoresOf(model, history, 0);
  EXPECT_GT(scores[2], scores[1]);
  EXPECT_EQ(model.Explain(history, 0, {{2}})[0], 0u);
}

TEST(Content, KeepsTheNearestBothWaysAndOfEquallyNearOnesWhatSells) {
  const ItemTerms terms = Terms({"tea", "tea", "tea", "tea", "lamp"});
  const std::vector<uint32_t> buyers = {1, 0, 9, 0, 4};
  const ItemToItemModel model = FitContent(terms, buyers, {.neighbours = 1}).value();
  for (const uint32_t item : {0u, 1u, 3u}) {
    EXPECT_FLOAT_EQ(model.Weight(item, 2), 1) << item;
    EXPECT_FLOAT_EQ(model.Weight(2, item), 1) << item;
  }
  EXPECT_EQ(model.Weight(1, 3), 0) << "neither is the other's nearest";
  EXPECT_EQ(model.weights(), 6u);
}

TEST(Content, WideTermsBringNoNeighboursButCountInTheCosine) {
  std::vector<std::string> titles(20, "shop");
  titles[0] = "shop red";
  titles[1] = "shop red";
  titles[2] = "shop blue";
  titles.push_back("other red");
  const ItemTerms terms = Terms(titles);
  const std::vector<uint32_t> buyers(titles.size(), 0);
  const ItemToItemModel exact = FitContent(terms, buyers, {.least = 0}).value();
  const ItemToItemModel model = FitContent(terms, buyers, {.most_of_term = 10, .least = 0}).value();
  EXPECT_NEAR(model.Weight(0, 1), 1, 1e-6) << "shop counts in it";
  EXPECT_NEAR(model.Weight(0, 20), exact.Weight(0, 20), 1e-6);
  EXPECT_GT(exact.Weight(0, 2), 0);
  EXPECT_EQ(model.Weight(0, 2), 0) << "shop alone";
}

TEST(Content, IsTheSameOnAnyNumberOfThreadsAndOpenedAsWritten) {
  std::vector<std::string> titles;
  std::vector<std::string> names;
  Random random(5);
  for (int item = 0; item < 700; ++item) {
    std::string title;
    for (int word = 0; word < 4; ++word) title += " w" + std::to_string(random.Below(60));
    titles.push_back(title);
    names.push_back(std::to_string(item));
  }
  const ItemTerms terms = Terms(titles);
  const std::vector<uint32_t> buyers(titles.size(), 1);
  const ItemToItemModel one = FitContent(terms, buyers, {}).value();
  const ItemToItemModel three = FitContent(terms, buyers, {.threads = 3}).value();
  const IdTable ids = IdTable::Make(names).value();
  const std::string bytes = SerializeModel(one, ids).value();
  EXPECT_EQ(bytes, SerializeModel(three, ids).value());
  const LoadedModel loaded = OpenModel(std::as_bytes(std::span(bytes)), nullptr).value();
  EXPECT_EQ(loaded.model->kind(), kContentKind);
}

TEST(Content, BadOptionsAreNamed) {
  const ItemTerms terms = Terms({"a", "b"});
  const std::vector<uint32_t> buyers = {0, 0};
  const auto message = [&](const ContentOptions& options) {
    return std::string(FitContent(terms, buyers, options).status().message());
  };
  EXPECT_THAT(message({.neighbours = 0}), HasSubstr("neighbours"));
  EXPECT_THAT(message({.most_of_term = 0}), HasSubstr("most_of_term"));
  EXPECT_THAT(message({.least = 2}), HasSubstr("least"));
  EXPECT_EQ(FitContent(terms, {}, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FitContent(terms, buyers, {.memory_limit = 1}).status().code(),
            StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace starling::learning
