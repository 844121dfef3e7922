#include "learning/models/next_basket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

using testing::ElementsAre;

constexpr auto kDays = static_cast<int64_t>(kDay);

float WeightOf(std::span<const FrequencyEntry> entries, uint32_t item) {
  for (const FrequencyEntry& entry : entries)
    if (entry.item == item) return entry.weight;
  return 0;
}

// One basket a day, of one item each, the oldest first.
std::vector<HistoryItem> Days(const std::vector<uint32_t>& items, int64_t first = 0) {
  std::vector<HistoryItem> history;
  for (const uint32_t item : items) {
    history.push_back({.item = item, .time = first});
    first += kDays;
  }
  return history;
}

TEST(Frequencies, DecayWithinAndAcrossGroupsCountedFromTheNewest) {
  const FrequencyOptions options{.group = 2, .within_decay = 0.5, .across_decay = 0.1};
  const Baskets baskets = BasketsOf(Days({0, 1, 2, 0, 1}), 3);
  const auto v = Frequencies(baskets, 0, baskets.size(), options);
  ASSERT_EQ(v.size(), 3u);
  // Groups from the newest: (1, 0), (2, 1), (0).
  EXPECT_NEAR(v[0].weight, (0.5 + 0.01) / 5, 1e-6);
  EXPECT_NEAR(v[1].weight, (1 + 0.1 * 0.5) / 5, 1e-6);
  EXPECT_NEAR(v[2].weight, 0.1 / 5, 1e-6);
}

TEST(Frequencies, AreHalvedEachHalfLifeBeforeTheNewest) {
  const FrequencyOptions options{.within_decay = 1, .across_decay = 1, .half_life = 2 * kDay};
  const Baskets baskets = BasketsOf(Days({0, 0, 1}, 5 * kDays), 2);
  const auto v = Frequencies(baskets, 0, 3, options);
  EXPECT_NEAR(v[0].weight, (0.5 + std::exp2(-0.5)) / 3, 1e-6);
  EXPECT_NEAR(v[1].weight, 1.0 / 3, 1e-6);
}

TEST(Frequencies, FoldedInAreThoseOfTheWholeHistoryWhereNothingCameBeforeAndNearElse) {
  const FrequencyOptions options{.group = 3, .within_decay = 0.9, .across_decay = 0.7};
  const std::vector<uint32_t> items = {0, 1, 2, 0, 1, 0, 3, 0, 1, 2, 0, 3};
  const Baskets all = BasketsOf(Days(items), 4);
  const auto whole = Frequencies(all, 0, all.size(), options);
  for (const size_t before : {size_t{0}, size_t{6}, size_t{9}}) {
    auto v = Frequencies(all, 0, before, options);
    const auto newer = Days({items.begin() + static_cast<ptrdiff_t>(before), items.end()},
                            static_cast<int64_t>(before) * kDays);
    FoldIn(BasketsOf(newer, 4), before, options, v);
    ASSERT_EQ(v.size(), whole.size());
    // Of whole groups it is exact.
    for (size_t i = 0; i < v.size(); ++i) {
      EXPECT_EQ(v[i].item, whole[i].item);
      EXPECT_NEAR(v[i].weight, whole[i].weight, 1e-6) << before;
    }
  }
  auto v = Frequencies(all, 0, 11, options);
  FoldIn(BasketsOf(Days({3}, 11 * kDays), 4), 11, options, v);
  for (size_t i = 0; i < v.size(); ++i) EXPECT_NEAR(v[i].weight, whole[i].weight, 0.03);
}

// Users 0 to 9 take milk (0) again and again and bread (1) now and then; 10 to 19 tea (2) and
// biscuits (3). Salt (4) nobody takes.
NextBasketModel Make(const NextBasketOptions& options) {
  std::vector<Interaction> events;
  for (uint32_t user = 0; user < 20; ++user) {
    const uint32_t often = user < 10 ? 0 : 2;
    for (int64_t week = 0; week < 6; ++week)
      events.push_back(
          {.user = user, .item = week % 3 == 2 ? often + 1 : often, .time = week * 7 * kDays});
  }
  return FitNextBasket(MakeBaskets(events, 20, 5).value(), options).value();
}

TEST(NextBasket, IsOnesOwnHabitsAndThoseOfUsersAlike) {
  const NextBasketModel model = Make({.neighbours = 10, .own_share = 0.5});
  EXPECT_EQ(model.users(), 20u);
  const std::vector<HistoryItem> milk = Days({0, 0, 0});
  const std::vector<float> scores = ScoresOf(model, milk, 0);
  EXPECT_GT(scores[0], scores[1]) << "the habit before what those alike take";
  EXPECT_GT(scores[1], 0);
  EXPECT_EQ(scores[2], 0);
  EXPECT_EQ(scores[3], 0);
  EXPECT_EQ(scores[4], 0);
  EXPECT_THAT(model.Explain(milk, 0, {{0, 1}}), ElementsAre(0u, std::nullopt));
  // What is new counts in the very next answer, whatever the model was fitted to.
  std::vector<HistoryItem> also_tea = milk;
  also_tea.push_back({.item = 2, .time = 4 * kDays});
  const NextBasketModel of_everybody = Make({.neighbours = 20, .own_share = 0.5});
  const std::vector<float> now = ScoresOf(of_everybody, also_tea, 0);
  EXPECT_GT(now[2], scores[2]);
  EXPECT_GT(now[3], 0);
}

TEST(NextBasket, IsTheMixThatItsFormulaSays) {
  const NextBasketModel own = Make({.neighbours = 10, .own_share = 1});
  const NextBasketModel alike = Make({.neighbours = 10, .own_share = 0});
  const NextBasketModel mixed = Make({.neighbours = 10, .own_share = 0.3});
  const std::vector<HistoryItem> history = Days({0, 2, 0, 1});
  const Baskets baskets = BasketsOf(history, 5);
  const auto v = Frequencies(baskets, 0, baskets.size(), {});
  const auto a = ScoresOf(own, history, 0);
  const auto b = ScoresOf(alike, history, 0);
  const auto c = ScoresOf(mixed, history, 0);
  for (uint32_t item = 0; item < 5; ++item) {
    EXPECT_FLOAT_EQ(a[item], WeightOf(v, item));
    EXPECT_NEAR(c[item], 0.3 * a[item] + 0.7 * b[item], 1e-6);
  }
  // Its ten neighbours take milk four times of six.
  const Baskets theirs = BasketsOf(Days({0, 0, 1, 0, 0, 1}), 5);
  EXPECT_NEAR(b[0], WeightOf(Frequencies(theirs, 0, theirs.size(), {}), 0), 1e-6);
}

TEST(NextBasket, TakesNoMoreNeighboursThanItIsTold) {
  const NextBasketModel nearest = Make({.neighbours = 10, .own_share = 0});
  const NextBasketModel everybody = Make({.neighbours = 20, .own_share = 0});
  const std::vector<HistoryItem> history = Days({2, 0, 0});
  EXPECT_EQ(ScoresOf(nearest, history, 0)[3], 0);
  EXPECT_GT(ScoresOf(everybody, history, 0)[3], 0);
  // A call leaves nothing behind for the next one with the same scratch.
  const std::vector<FrequencyEntry> own = {{0, 1}, {2, 0.1F}};
  NeighbourScratch scratch;
  std::vector<float> first(5, 0), second(5, 0);
  nearest.AddNeighbours(own, 1, scratch, first);
  nearest.AddNeighbours(own, 1, scratch, second);
  EXPECT_EQ(first, second);
}

TEST(NextBasket, KeepsTheLargestEntriesOfALongHistory) {
  std::vector<Interaction> events;
  for (uint32_t item = 0; item < 10; ++item)
    events.push_back({.user = 0, .item = item, .time = item * kDays});
  const Baskets baskets = MakeBaskets(events, 1, 10).value();
  const NextBasketModel model =
      FitNextBasket(baskets, {.neighbours = 1, .own_share = 0, .history_cap = 3}).value();
  const std::vector<float> scores = ScoresOf(model, Days({9}), 0);
  EXPECT_GT(scores[7], 0);
  EXPECT_GT(scores[9], scores[7]);
  EXPECT_EQ(scores[6], 0);
}

TEST(NextBasket, IsOpenedAsItWasWritten) {
  const NextBasketModel model = Make({});
  const IdTable ids = IdTable::Make({{"a", "b", "c", "d", "e"}}).value();
  std::string bytes = SerializeModel(model, ids).value();
  const LoadedModel loaded = OpenModel(std::as_bytes(std::span(bytes)), nullptr).value();
  EXPECT_EQ(loaded.model->kind(), kNextBasketKind);
  const std::vector<HistoryItem> history = Days({0, 1, 2});
  EXPECT_EQ(ScoresOf(*loaded.model, history, 0), ScoresOf(model, history, 0));
  // Whatever the bytes are, nothing is read outside of them.
  size_t opened = 0;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ 0xFF);
    const auto again =
        OpenModel(std::as_bytes(std::span(altered)), nullptr, Checksums::kTrustBytes);
    if (!again.ok()) continue;
    ++opened;
    ScoresOf(*again->model, history, 0);
  }
  EXPECT_GT(opened, 0u);
}

TEST(NextBasket, BadOptionsAreNamed) {
  const Baskets baskets = MakeBaskets({}, 1, 1).value();
  const auto message = [&](const NextBasketOptions& options) {
    return std::string(FitNextBasket(baskets, options).status().message());
  };
  EXPECT_THAT(message({.frequency = {.group = 0}}), testing::HasSubstr("group"));
  EXPECT_THAT(message({.frequency = {.within_decay = 0}}), testing::HasSubstr("within_decay"));
  EXPECT_THAT(message({.frequency = {.across_decay = 2}}), testing::HasSubstr("across_decay"));
  EXPECT_THAT(message({.neighbours = 0}), testing::HasSubstr("neighbours"));
  EXPECT_THAT(message({.own_share = -1}), testing::HasSubstr("own_share"));
  EXPECT_THAT(message({.history_cap = 0}), testing::HasSubstr("history_cap"));
  EXPECT_EQ(FitNextBasket(baskets, {.memory_limit = 1}).status().code(),
            StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace starling::learning
