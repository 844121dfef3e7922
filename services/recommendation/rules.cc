#include "services/recommendation/rules.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "platform/base/nearest.h"

namespace starling::recommendation {
namespace {

std::string_view CategoryOf(const catalog::v1::Product& product) {
  return product.categories().empty() ? std::string_view() : product.categories(0);
}

std::string_view Words(InteractionType type) {
  switch (type) {
    case features::v1::INTERACTION_TYPE_PURCHASE:
      return "bought";
    case features::v1::INTERACTION_TYPE_CART:
      return "put into your cart";
    case features::v1::INTERACTION_TYPE_RATE:
      return "rated";
    default:
      return "looked at";
  }
}

// Reasons are made for each product of each answer: formatting them would cost as much as choosing.
std::string Join(std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  std::string text;
  text.reserve(size);
  for (const std::string_view part : parts) text += part;
  return text;
}

}  // namespace

StatusOr<Placement> ParsePlacement(const std::string& context) {
  if (context.empty() || context == "home") return Placement::kHome;
  if (context == "product") return Placement::kProduct;
  if (context == "cart") return Placement::kCart;
  static const std::vector<std::string> kKnown = {"home", "product", "cart"};
  return InvalidField("context", "'{}' is unknown{}; there are home, product and cart", context,
                      DidYouMean(context, kKnown));
}

std::string_view Name(Placement placement) {
  switch (placement) {
    case Placement::kProduct:
      return "product";
    case Placement::kCart:
      return "cart";
    default:
      return "home";
  }
}

InteractionType TypeOf(std::string_view type) {
  if (type == "purchase") return features::v1::INTERACTION_TYPE_PURCHASE;
  if (type == "cart") return features::v1::INTERACTION_TYPE_CART;
  if (type == "click") return features::v1::INTERACTION_TYPE_CLICK;
  if (type == "view") return features::v1::INTERACTION_TYPE_VIEW;
  if (type == "rate") return features::v1::INTERACTION_TYPE_RATE;
  return features::v1::INTERACTION_TYPE_UNSPECIFIED;
}

double WeightOf(InteractionType type, const RecommendationConfig& config) {
  switch (type) {
    case features::v1::INTERACTION_TYPE_PURCHASE:
      return config.purchase_weight;
    case features::v1::INTERACTION_TYPE_CART:
      return config.cart_weight;
    case features::v1::INTERACTION_TYPE_CLICK:
      return config.click_weight;
    case features::v1::INTERACTION_TYPE_VIEW:
      return config.view_weight;
    case features::v1::INTERACTION_TYPE_RATE:
      return config.rate_weight;
    default:
      return 0;
  }
}

void AddSignals(const profile::v1::GetHistoryResponse& history, const RecommendationConfig& config,
                google::protobuf::RepeatedPtrField<inference::v1::Signal>& signals) {
  for (const profile::v1::Interaction& interaction : history.interactions()) {
    const double weight = WeightOf(TypeOf(interaction.type()), config);
    if (weight <= 0 || interaction.product_id().empty()) continue;
    inference::v1::Signal& signal = *signals.Add();
    signal.set_product_id(interaction.product_id());
    signal.set_weight(static_cast<float>(weight));
    signal.set_type(interaction.type());
    signal.set_occurred_at(interaction.occurred_at().seconds());
  }
}

bool CanBeBought(const catalog::v1::Product& product) {
  return product.availability() != catalog::v1::AVAILABILITY_OUT_OF_STOCK &&
         product.availability() != catalog::v1::AVAILABILITY_DISCONTINUED;
}

Choice Choose(std::span<const Candidate> candidates, size_t limit, double max_share) {
  const auto most =
      static_cast<size_t>(std::max(1.0, std::ceil(max_share * static_cast<double>(limit))));
  Choice choice;
  std::vector<size_t>& chosen = choice.shown;
  chosen.reserve(limit);
  std::vector<size_t> left_out;
  // Few categories come in one answer: looking through them is cheaper than hashing.
  std::vector<std::pair<std::string_view, size_t>> of_category;
  const auto count_of = [&](std::string_view category) -> size_t& {
    for (auto& [known, count] : of_category) {
      if (known == category) return count;
    }
    return of_category.emplace_back(category, 0).second;
  };
  for (const bool pinned : {true, false}) {
    for (size_t i = 0; i < candidates.size() && chosen.size() < limit; ++i) {
      if (candidates[i].pinned != pinned) continue;
      const std::string_view category = CategoryOf(*candidates[i].product);
      size_t& count = count_of(category);
      if (!pinned && !category.empty() && count >= most) {
        left_out.push_back(i);
        continue;
      }
      ++count;
      chosen.push_back(i);
    }
  }
  choice.settled = chosen.size() >= limit;
  for (const size_t i : left_out) {
    if (chosen.size() >= limit) break;
    chosen.push_back(i);
  }
  return choice;
}

std::string Reason(inference::v1::Source source, InteractionType type, std::string_view title,
                   Placement placement) {
  switch (source) {
    case inference::v1::SOURCE_SIMILAR:
      if (title.empty()) return "chosen by people like you";
      if (placement == Placement::kProduct) return Join({"goes with ", title});
      if (placement == Placement::kCart) return Join({"goes with ", title, " in your cart"});
      if (type == features::v1::INTERACTION_TYPE_UNSPECIFIED)
        return Join({"because of ", title, " in your history"});
      return Join({"because you ", Words(type), " ", title});
    case inference::v1::SOURCE_REPEAT:
      return "you buy this again and again";
    case inference::v1::SOURCE_FACTORS:
      return "chosen by people like you";
    case inference::v1::SOURCE_POPULAR:
      return "popular now";
    default:
      return "from our range";
  }
}

}  // namespace starling::recommendation
