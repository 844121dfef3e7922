// How much is kept of what users do, and how fast popularity fades.
#pragma once

#include <chrono>

#include "platform/config/fields.h"

namespace starling::features {

struct FeaturesConfig {
  static constexpr char kSection[] = "features";
  static constexpr char kDoc[] = "what is kept of users' events";

  int max_interactions_per_user = 10'000;
  int max_impressions_per_user = 1'000;
  Duration half_life = std::chrono::hours(24 * 30);

  static void Describe(config::Fields<FeaturesConfig>& fields) {
    fields
        .Add("max_interactions_per_user", &FeaturesConfig::max_interactions_per_user,
             "a user's newest interactions are kept up to this number; about 30 bytes of memory "
             "each")
        .Range(10, 1'000'000)
        .NeedsRestart();
    fields
        .Add("max_impressions_per_user", &FeaturesConfig::max_impressions_per_user,
             "how many of them may be impressions, so that what was only shown does not push out "
             "what was bought; 0: impressions are not kept")
        .Range(0, 1'000'000)
        .NeedsRestart();
    fields
        .Add("half_life", &FeaturesConfig::half_life,
             "after how long an event counts half for a product's popularity in lists")
        .AtLeast(std::chrono::hours(1))
        .NeedsRestart();
  }
};

}  // namespace starling::features
