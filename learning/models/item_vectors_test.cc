#include "learning/models/item_vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

using testing::Each;
using testing::FloatNear;

class Vectors {
 public:
  Vectors(const Interactions& data, const ItemVectorOptions& options)
      : values_(FitItemVectors(data, options).value()), dimension_(options.dimension) {}
  std::span<const float> of(size_t item) const {
    return std::span(values_).subspan(item * dimension_, dimension_);
  }
  double Product(size_t a, size_t b) const {
    double sum = 0;
    for (size_t d = 0; d < dimension_; ++d) sum += static_cast<double>(of(a)[d]) * of(b)[d];
    return sum;
  }
  double Length(size_t item) const { return std::sqrt(Product(item, item)); }
  double Cosine(size_t a, size_t b) const { return Product(a, b) / (Length(a) * Length(b)); }

 private:
  std::vector<float> values_;
  size_t dimension_;
};

Interactions Made(const std::vector<std::vector<uint32_t>>& baskets, size_t items) {
  std::vector<Interaction> events;
  for (uint32_t user = 0; user < baskets.size(); ++user) {
    for (const uint32_t item : baskets[user]) events.push_back({.user = user, .item = item});
  }
  return MakeInteractions(events, baskets.size(), items).value();
}

TEST(ItemVectors, HaveTheCosinesOfItemsOverTheirPeopleWhereThereIsRoom) {
  const Interactions data = MakeInteractions(TestEvents(300, 30, 5), 300, 30).value();
  const Vectors vectors(data, {.dimension = 30});
  std::vector<std::vector<double>> column(30, std::vector<double>(300, 0));
  for (size_t user = 0; user < 300; ++user) {
    const Interactions::Row row = data.row(user);
    for (size_t i = 0; i < row.size(); ++i) column[row.items[i]][user] = row.weights[i];
  }
  const auto product = [&](size_t a, size_t b) {
    double sum = 0;
    for (size_t user = 0; user < 300; ++user) sum += column[a][user] * column[b][user];
    return sum;
  };
  for (size_t a = 0; a < 30; ++a) {
    for (size_t b = 0; b < a; ++b) {
      const double cosine = product(a, b) / std::sqrt(product(a, a) * product(b, b));
      EXPECT_NEAR(vectors.Cosine(a, b), cosine, 1e-3) << a << ", " << b;
    }
  }
}

TEST(ItemVectors, FewDirectionsBringTogetherWhatGoesWithTheSameOthers) {
  // 0 and 1 were never had together, and both go with 2 and 3; 4, 5 and 6 are another world.
  const Interactions data =
      Made({{0, 2, 3}, {0, 2}, {0, 3}, {1, 2, 3}, {1, 3}, {1, 2}, {4, 5}, {4, 6}, {5, 6}}, 7);
  const Vectors wide(data, {.dimension = 7});
  EXPECT_NEAR(wide.Cosine(0, 1), 0, 1e-3);
  const Vectors vectors(data, {.dimension = 2});
  EXPECT_GT(vectors.Cosine(0, 1), 0.9);
  for (const size_t item : {0, 1, 2, 3}) EXPECT_NEAR(vectors.Cosine(item, 4), 0, 0.05);
  EXPECT_GT(vectors.Cosine(5, 6), 0.9);
}

TEST(ItemVectors, AreAsLongAsTheRootOfTheirShareOfPeople) {
  const Vectors vectors(Made({{0, 1}, {0, 1}, {0, 2}, {0}}, 4), {.dimension = 8});
  EXPECT_NEAR(vectors.Length(0), 1, 1e-5);
  EXPECT_NEAR(vectors.Length(1), std::sqrt(0.5), 1e-5);
  EXPECT_NEAR(vectors.Length(2), 0.5, 1e-5);
  EXPECT_THAT(vectors.of(3), Each(0)) << "nobody had it";
}

TEST(ItemVectors, AreTheSameEachTimeAndNothingOfNothing) {
  const Interactions data = MakeInteractions(TestEvents(100, 20, 5), 100, 20).value();
  EXPECT_EQ(*FitItemVectors(data, {}), *FitItemVectors(data, {}));
  EXPECT_THAT(*FitItemVectors(Made({{}}, 3), {.dimension = 2}), Each(FloatNear(0, 0)));
  EXPECT_TRUE(FitItemVectors(Made({}, 0), {})->empty());
}

TEST(ItemVectors, RefuseWhatIsOutOfRangeAndStopWhenTold) {
  const Interactions data = MakeInteractions(TestEvents(100, 20, 5), 100, 20).value();
  EXPECT_EQ(FitItemVectors(data, {.dimension = 0}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FitItemVectors(data, {.dimension = 1'025}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(FitItemVectors(data, {.rounds = 0}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FitItemVectors(data, {.memory_limit = 1'000}).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(FitItemVectors(data, {}, [](double) { return false; }).status().code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning
