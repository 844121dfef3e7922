// The section "profile" of the configuration.
#pragma once

#include "platform/config/fields.h"

namespace starling::profile {

struct ProfileConfig {
  static constexpr char kSection[] = "profile";
  static constexpr char kDoc[] = "users and what they did";

  int recent_users = 20'000;
  static void Describe(config::Fields<ProfileConfig>& fields) {
    fields
        .Add("recent_users", &ProfileConfig::recent_users,
             "users whose newest interactions are kept in memory, about 8 kB each")
        .Range(0, 10'000'000)
        .NeedsRestart();
  }
};

}  // namespace starling::profile
