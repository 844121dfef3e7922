// What every feature means: pure functions over the interactions of one user or product and a time.
// Serving, history and training all compute with these, so that a model is trained on the numbers
// that it will be served.
//
//   const FeatureDefinition* feature = FindFeature("user.purchases_30d");
//   double value = feature->value(Summarize(interactions, at));
//
// Of one entity's interactions only those with time <= at count. A window of d days is
// (at - d days, at]. A decayed sum weighs an interaction of age a by 2^(-a / 30 days). The order of
// the interactions is of no importance. NaN means that there is no value: days since a purchase of
// who never bought, a mean of nothing.
//
// Features by the catalogue (FeatureDefinition::catalogue) are told what it says of a user's
// products or of the product itself, as affinity.h and product_table.h define it:
//
//   Summary summary = Summarize(interactions, at);
//   summary.SetAffinity(AffinityOf(interactions, at, table, traits));
//
// Summarize costs about 10 ns an interaction. All is const and thread-safe.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/features/interaction.h"

namespace starling::features {

inline constexpr int64_t kDay = 86'400;
inline constexpr int64_t kFeatureHalfLife = 30 * kDay;

// Windows by length; the last is all there is.
enum Window : uint8_t { k1d, k7d, k30d, k365d, kAllTime };
inline constexpr std::array<int64_t, kAllTime + 1> kWindowSeconds = {
    kDay, 7 * kDay, 30 * kDay, 365 * kDay, std::numeric_limits<int64_t>::max()};

// What an interaction counts for a product's popularity.
inline double PopularityWeight(Kind kind) {
  switch (kind) {
    case Kind::kPurchase:
      return 1;
    case Kind::kCart:
      return 0.5;
    case Kind::kClick:
      return 0.2;
    case Kind::kView:
      return 0.1;
    default:
      return 0;
  }
}

// What is left of 1 after `age` seconds; negative ages give more than 1.
inline double Decay(int64_t age, int64_t half_life) {
  return std::exp2(-static_cast<double>(age) / static_cast<double>(half_life));
}

// The time for which popularity is told: now, or that of the newest event when no event came within
// the last half-life, so that last year's data has popular products too.
inline int64_t PopularityTime(int64_t now, int64_t newest, int64_t half_life) {
  return now - newest > half_life ? newest : now;
}

// Whether counting who (or what) is different is needed, which costs a sort.
enum class Distinct : bool { kNotNeeded, kNeeded };

// Whether a feature says something of what the catalogue says.
enum class Catalogue : bool { kNotNeeded, kNeeded };

struct Affinity;
struct ProductTraits;

// What all features of one entity are computed from.
class Summary {
 public:
  explicit Summary(int64_t at, Distinct distinct = Distinct::kNeeded)
      : at_(at), distinct_(distinct) {}
  void Add(const Interaction& interaction);
  // To be called once after the last Add.
  void Finish();
  // What the catalogue adds to a user, and to a product; without it there is no value.
  void SetAffinity(const Affinity& affinity);
  void SetProduct(const ProductTraits& product);

  double Count(Kind kind, Window window) const { return Sum(counts_[Index(kind)], window); }
  double Events(Window window) const;
  double Decayed(Kind kind) const { return decayed_[Index(kind)]; }
  double Popularity() const;
  double Units(Window window) const { return Sum(units_, window); }      // bought
  double Revenue(Window window) const { return Sum(revenue_, window); }  // units times price
  double MeanPrice() const;  // of the units bought whose price is known
  // Different products of a user, different users of a product.
  double DistinctOthers(Window window) const { return distinct_others_[window]; }
  double DaysSinceFirst() const { return DaysSince(first_); }
  double DaysSinceLast() const { return DaysSince(last_); }
  double DaysSinceLast(Kind kind) const { return DaysSince(last_of_[Index(kind)]); }
  double Price() const { return price_; }
  double PriceLevel() const { return price_level_; }
  double Categories() const { return categories_; }
  double TopCategoryShare() const { return top_category_share_; }

 private:
  static constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();
  using Buckets = std::array<double, kAllTime + 1>;  // each without the shorter windows
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::min();
  static size_t Index(Kind kind) { return static_cast<size_t>(kind); }
  static double Sum(const Buckets& buckets, Window window);
  double DaysSince(int64_t time) const;

  const int64_t at_;
  const Distinct distinct_;
  std::array<Buckets, kKinds> counts_{};
  std::array<double, kKinds> decayed_{};
  Buckets units_{};
  Buckets revenue_{};
  double priced_units_ = 0;
  double price_ = kNoValue;
  double price_level_ = kNoValue;
  double categories_ = 0;
  double top_category_share_ = kNoValue;
  int64_t first_ = kNever;
  int64_t last_ = kNever;
  std::array<int64_t, kKinds> last_of_ = [] {
    std::array<int64_t, kKinds> never{};
    never.fill(kNever);
    return never;
  }();
  std::vector<uint64_t> others_;  // other << 8 | bucket
  std::array<double, kAllTime + 1> distinct_others_{};
};

// The finished summary of some interactions.
Summary Summarize(std::span<const Interaction> interactions, int64_t at,
                  Distinct distinct = Distinct::kNeeded);

struct FeatureDefinition {
  enum Entity { kUser, kProduct };
  std::string name;  // "user.purchases_30d"
  Entity entity = kUser;
  std::string description;
  Distinct distinct = Distinct::kNotNeeded;  // what `value` needs of the summary
  Catalogue catalogue = Catalogue::kNotNeeded;
  std::function<double(const Summary&)> value;
};

// All of them, in the order of their names.
const std::vector<FeatureDefinition>& FeatureDefinitions();
// nullptr for a name that there is not.
const FeatureDefinition* FindFeature(std::string_view name);

}  // namespace starling::features
