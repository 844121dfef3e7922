// The section "recommendation" of the configuration.
#pragma once

#include <string>
#include <vector>

#include "platform/config/fields.h"

namespace starling::recommendation {

struct RecommendationConfig {
  static constexpr char kSection[] = "recommendation";
  static constexpr char kDoc[] = "what is recommended, and by which rules";

  double view_weight = 0.2;
  double click_weight = 0.3;
  double cart_weight = 0.6;
  double rate_weight = 0.6;
  double purchase_weight = 1;
  bool allow_repeats = false;
  int max_impressions = 20;
  double max_category_share = 0.5;
  std::vector<std::string> pinned, blocked;
  Duration product_age = std::chrono::seconds(1);
  Duration profile_timeout = std::chrono::milliseconds(50);
  Duration inference_timeout = std::chrono::milliseconds(100);
  Duration catalog_timeout = std::chrono::milliseconds(50);

  static void Describe(config::Fields<RecommendationConfig>& fields) {
    fields
        .Add("view_weight", &RecommendationConfig::view_weight,
             "what a view says of a user's taste, a purchase being 1")
        .Range(0, 1);
    fields.Add("click_weight", &RecommendationConfig::click_weight, "the same of a click")
        .Range(0, 1);
    fields
        .Add("cart_weight", &RecommendationConfig::cart_weight,
             "the same of a product put into the cart")
        .Range(0, 1);
    fields.Add("rate_weight", &RecommendationConfig::rate_weight, "the same of a rating")
        .Range(0, 1);
    fields.Add("purchase_weight", &RecommendationConfig::purchase_weight, "the same of a purchase")
        .Range(0, 1);
    fields.Add("allow_repeats", &RecommendationConfig::allow_repeats,
               "whether what a user has bought is recommended again, as for groceries");
    fields
        .Add("max_impressions", &RecommendationConfig::max_impressions,
             "a product that was seen so often without a click is left out; 0: never")
        .Range(0, 1'000);
    fields
        .Add("max_category_share", &RecommendationConfig::max_category_share,
             "products of one category among those recommended, at most, as a share")
        .Range(0, 1);
    fields.Add("pinned", &RecommendationConfig::pinned,
               "product ids that the home page always begins with");
    fields.Add("blocked", &RecommendationConfig::blocked, "product ids that are never recommended");
    fields
        .Add("product_age", &RecommendationConfig::product_age,
             "how long a product that catalog gave is taken as it was; 0ms: it is asked each time")
        .AtLeast(Duration(0));
    fields
        .Add("profile_timeout", &RecommendationConfig::profile_timeout,
             "after which an answer does without the user's newest history")
        .AtLeast(std::chrono::milliseconds(1));
    fields
        .Add("inference_timeout", &RecommendationConfig::inference_timeout,
             "after which the last good answer or popular products are given")
        .AtLeast(std::chrono::milliseconds(1));
    fields
        .Add("catalog_timeout", &RecommendationConfig::catalog_timeout,
             "after which products are shown as they were when last read")
        .AtLeast(std::chrono::milliseconds(1));
  }
};

}  // namespace starling::recommendation
