// The section "recommendation" of the configuration.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "platform/config/fields.h"

namespace starling::recommendation {

// Users who are shown another version of the model than the one that serves.
struct Experiment {
  std::string name, version;
  double share = 0;

  static void Describe(config::Fields<Experiment>& fields) {
    fields.Add("name", &Experiment::name,
               "what answers and events call it; another name draws other users");
    fields.Add("version", &Experiment::version,
               "version of the model that a share of the users is shown; empty: no experiment");
    fields.Add("share", &Experiment::share, "share of the users, always the same ones").Range(0, 1);
    fields.Check([](const Experiment& experiment) {
      return experiment.version.empty() || !experiment.name.empty() ? ""
                                                                    : "a name for the experiment";
    });
  }
};

struct RecommendationConfig {
  static constexpr char kSection[] = "recommendation";
  static constexpr char kDoc[] = "what is recommended, and by which rules";

  double view_weight = 0.2;
  double click_weight = 0.3;
  double cart_weight = 0.6;
  double rate_weight = 0.6;
  double purchase_weight = 1;
  std::vector<std::string> repeats_in;
  int max_impressions = 20;
  double max_category_share = 0.5;
  std::vector<std::string> pinned, blocked;
  Experiment experiment;
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
    fields
        .Add("repeats_in", &RecommendationConfig::repeats_in,
             "contexts (home, product, cart) in which a user is also recommended what was bought "
             "before, as for groceries")
        .Check([](const std::vector<std::string>& contexts) -> std::string {
          const std::set<std::string_view> known = {"home", "product", "cart"};
          for (const std::string& context : contexts) {
            if (!known.contains(context)) return "home, product and cart only";
          }
          return "";
        });
    fields
        .Add("max_impressions", &RecommendationConfig::max_impressions,
             "a product that was seen so often without a click gives way to others; 0: never")
        .Range(0, 1'000);
    fields
        .Add("max_category_share", &RecommendationConfig::max_category_share,
             "products of one category among those recommended, at most, as a share")
        .Range(0, 1);
    fields.Add("pinned", &RecommendationConfig::pinned,
               "product ids that the home page always begins with, as long as they can be bought");
    fields.Add("blocked", &RecommendationConfig::blocked, "product ids that are never recommended");
    fields.Add("experiment", &RecommendationConfig::experiment,
               "an experiment with another version of the model");
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
