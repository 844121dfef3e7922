#include "services/features/feature_definitions.h"

#include <fmt/core.h>

#include <algorithm>

#include "services/features/affinity.h"

namespace starling::features {
namespace {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

struct NamedKind {
  Kind kind;
  const char* name;
  const char* what;
};
constexpr NamedKind kNamedKinds[] = {
    {Kind::kView, "views", "times looked at"},
    {Kind::kClick, "clicks", "clicks in lists"},
    {Kind::kCart, "carts", "times put in the cart"},
    {Kind::kPurchase, "purchases", "purchases"},
    {Kind::kRate, "ratings", "ratings"},
    {Kind::kImpression, "impressions", "times shown, as far as impressions are kept"},
    {Kind::kCustom, "customs", "events of other types"},
};

struct NamedWindow {
  Window window;
  const char* suffix;
  const char* within;
};
constexpr NamedWindow kNamedWindows[] = {
    {k1d, "_1d", "within the last day"},       {k7d, "_7d", "within the last 7 days"},
    {k30d, "_30d", "within the last 30 days"}, {k365d, "_365d", "within the last 365 days"},
    {kAllTime, "", "in all that is kept"},
};

double Ratio(double part, double whole) { return whole > 0 ? part / whole : kNoValue; }

// The features that users and products both have.
void AddCommon(FeatureDefinition::Entity entity, std::vector<FeatureDefinition>& all) {
  const bool user = entity == FeatureDefinition::kUser;
  const char* const prefix = user ? "user" : "product";
  const auto add = [&](std::string_view name, std::string description,
                       std::function<double(const Summary&)> value,
                       Distinct distinct = Distinct::kNotNeeded) {
    all.push_back({fmt::format("{}.{}", prefix, name), entity, std::move(description), distinct,
                   Catalogue::kNotNeeded, std::move(value)});
  };
  for (const auto& [window, suffix, within] : kNamedWindows) {
    for (const auto& [kind, name, what] : kNamedKinds) {
      add(fmt::format("{}{}", name, suffix), fmt::format("{} {}", what, within),
          [kind = kind, window = window](const Summary& s) { return s.Count(kind, window); });
    }
    add(fmt::format("events{}", suffix), fmt::format("events of any kind {}", within),
        [window = window](const Summary& s) { return s.Events(window); });
    add(fmt::format("units{}", suffix), fmt::format("units bought {}", within),
        [window = window](const Summary& s) { return s.Units(window); });
    add(fmt::format("revenue{}", suffix),
        fmt::format("units bought times their price {}, in the shop's currency", within),
        [window = window](const Summary& s) { return s.Revenue(window); });
    add(
        fmt::format("distinct_{}{}", user ? "products" : "users", suffix),
        fmt::format("different {} {}", user ? "products" : "users", within),
        [window = window](const Summary& s) { return s.DistinctOthers(window); },
        Distinct::kNeeded);
    add(fmt::format("purchases_per_view{}", suffix),
        fmt::format("purchases divided by views {}; NaN without a view", within),
        [window = window](const Summary& s) {
          return Ratio(s.Count(Kind::kPurchase, window), s.Count(Kind::kView, window));
        });
  }
  for (const auto& [kind, name, what] : kNamedKinds) {
    add(fmt::format("{}_decayed", name), fmt::format("{}, each halved every 30 days", what),
        [kind = kind](const Summary& s) { return s.Decayed(kind); });
  }
  add("mean_price", "mean price of the units bought whose price is known; NaN without one",
      [](const Summary& s) { return s.MeanPrice(); });
  add("days_since_event", "days since the last event; NaN without one",
      [](const Summary& s) { return s.DaysSinceLast(); });
  add("days_since_first_event", "days since the first event that is kept; NaN without one",
      [](const Summary& s) { return s.DaysSinceFirst(); });
  add("days_since_view", "days since the last view; NaN without one",
      [](const Summary& s) { return s.DaysSinceLast(Kind::kView); });
  add("days_since_purchase", "days since the last purchase; NaN without one",
      [](const Summary& s) { return s.DaysSinceLast(Kind::kPurchase); });
}

// The features that need what the catalogue says now.
void AddOfCatalogue(std::vector<FeatureDefinition>& all) {
  const auto add = [&](const char* name, const char* description,
                       std::function<double(const Summary&)> value) {
    all.push_back({name,
                   std::string_view(name).starts_with("user.") ? FeatureDefinition::kUser
                                                               : FeatureDefinition::kProduct,
                   description, Distinct::kNotNeeded, Catalogue::kNeeded, std::move(value)});
  };
  add("product.price", "price in the catalogue today; NaN without one",
      [](const Summary& s) { return s.Price(); });
  add("product.price_level",
      "share of the priced products of its narrowest category that cost less today, equal ones "
      "half, 0 to 1; NaN without a price",
      [](const Summary& s) { return s.PriceLevel(); });
  add("user.price_level",
      "mean of product.price_level of the products, weighted as for popularity and halved every 30 "
      "days; NaN without one",
      [](const Summary& s) { return s.PriceLevel(); });
  add("user.categories", "different narrowest categories of the products that weigh something",
      [](const Summary& s) { return s.Categories(); });
  add("user.category_share_top",
      "greatest share of one narrowest category, weighted as for popularity and halved every 30 "
      "days; NaN without one",
      [](const Summary& s) { return s.TopCategoryShare(); });
}

std::vector<FeatureDefinition> MakeDefinitions() {
  std::vector<FeatureDefinition> all;
  AddCommon(FeatureDefinition::kUser, all);
  AddCommon(FeatureDefinition::kProduct, all);
  all.push_back({"product.popularity", FeatureDefinition::kProduct,
                 "purchases, half the carts, a fifth of the clicks and a tenth of the views, each "
                 "halved every 30 days",
                 Distinct::kNotNeeded, Catalogue::kNotNeeded,
                 [](const Summary& s) { return s.Popularity(); }});
  AddOfCatalogue(all);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

}  // namespace

void Summary::Add(const Interaction& interaction) {
  const int64_t age = at_ - interaction.time;
  if (age < 0) return;
  uint8_t bucket = k1d;
  while (age >= kWindowSeconds[bucket] && bucket < kAllTime) ++bucket;
  const size_t kind = Index(interaction.kind);
  counts_[kind][bucket] += 1;
  decayed_[kind] += Decay(age, kFeatureHalfLife);
  if (interaction.kind == Kind::kPurchase) {
    const double quantity = interaction.quantity;
    units_[bucket] += quantity;
    revenue_[bucket] += quantity * interaction.price;
    if (interaction.price > 0) priced_units_ += quantity;
  }
  if (first_ == kNever || interaction.time < first_) first_ = interaction.time;
  last_ = std::max(last_, interaction.time);
  last_of_[kind] = std::max(last_of_[kind], interaction.time);
  if (distinct_ == Distinct::kNeeded) others_.push_back(uint64_t{interaction.other} << 8 | bucket);
}

void Summary::Finish() {
  std::sort(others_.begin(), others_.end());
  std::array<double, kAllTime + 1> first_seen{};
  for (size_t i = 0; i < others_.size(); ++i) {
    if (i == 0 || others_[i] >> 8 != others_[i - 1] >> 8) first_seen[others_[i] & 0xff] += 1;
  }
  double sum = 0;
  for (size_t window = 0; window < first_seen.size(); ++window) {
    sum += first_seen[window];
    distinct_others_[window] = sum;
  }
  others_ = {};
}

void Summary::SetAffinity(const Affinity& affinity) {
  price_level_ = affinity.price_level;
  categories_ = affinity.narrowest_categories;
  top_category_share_ = affinity.top_category_share;
}

void Summary::SetProduct(const ProductTraits& product) {
  price_ = product.price;
  price_level_ = product.price_level;
}

double Summary::Events(Window window) const {
  double sum = 0;
  for (const Buckets& of_kind : counts_) sum += Sum(of_kind, window);
  return sum;
}

double Summary::Popularity() const {
  double sum = 0;
  for (size_t kind = 0; kind < decayed_.size(); ++kind) {
    sum += PopularityWeight(static_cast<Kind>(kind)) * decayed_[kind];
  }
  return sum;
}

double Summary::MeanPrice() const { return Ratio(Revenue(kAllTime), priced_units_); }

double Summary::Sum(const Buckets& buckets, Window window) {
  double sum = 0;
  for (size_t bucket = 0; bucket <= window; ++bucket) sum += buckets[bucket];
  return sum;
}

double Summary::DaysSince(int64_t time) const {
  return time == kNever ? kNoValue : static_cast<double>(at_ - time) / static_cast<double>(kDay);
}

Summary Summarize(std::span<const Interaction> interactions, int64_t at, Distinct distinct) {
  Summary summary(at, distinct);
  for (const Interaction& interaction : interactions) summary.Add(interaction);
  summary.Finish();
  return summary;
}

const std::vector<FeatureDefinition>& FeatureDefinitions() {
  static const std::vector<FeatureDefinition> all = MakeDefinitions();
  return all;
}

const FeatureDefinition* FindFeature(std::string_view name) {
  const auto& all = FeatureDefinitions();
  const auto at = std::lower_bound(
      all.begin(), all.end(), name,
      [](const FeatureDefinition& feature, std::string_view name) { return feature.name < name; });
  return at != all.end() && at->name == name ? &*at : nullptr;
}

}  // namespace starling::features
