// The newest interactions, kept aside to measure what a recommender is worth.
//
//   Holdout holdout = MakeHoldout(data, {.share = 0.1, .longest = 28 * kDay});
//   Metrics metrics = Measure(recommender, data, holdout);     // {"ndcg@10": 0.12, ...}
//
// The cut in time leaves the newest `share` of the events behind it, but no more than `longest`.
// A user counts who did something before it and reached a goal after it: a purchase, or anything
// where purchases are too rare to measure by. Two tasks: the new one ("ndcg@10") asks for products
// that the user had not had, the other ("all.ndcg@10") for any. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "learning/metrics.h"
#include "services/training/dataset.h"

namespace starling::training {

using Metrics = std::map<std::string, double>;

inline constexpr char kNdcg[] = "ndcg@10";
inline constexpr char kAllNdcg[] = "all.ndcg@10";
inline constexpr char kQuality[] = "quality";  // what versions are compared by

inline constexpr size_t kMaxMeasuredUsers = 20'000;

struct HoldoutOptions {
  double share = 0.1;
  int64_t longest = 0;  // seconds
  int64_t cut = 0;      // unix seconds, instead of both
  size_t most_users = kMaxMeasuredUsers;
};

struct Holdout {
  int64_t cut = 0;  // unix seconds; what happens then or later is held out
  learning::Goal goal = learning::Goal::kPurchase;
  double repeat_share = 0;  // of the goals held out, those that the user had reached before
  struct User {
    uint32_t user;
    std::vector<uint32_t> fresh;  // ascending
    std::vector<uint32_t> all;
  };
  std::vector<User> users;  // at most most_users, evenly drawn
  size_t fresh_users = 0;   // those with something in `fresh`

  // Whether there are enough to say anything.
  bool Measures() const;
  // Whether people come back for the same, so that the task `all` counts too.
  bool Repeats() const;
};

Holdout MakeHoldout(const Dataset& data, const HoldoutOptions& options);

// Of both tasks, each user's metrics and list: of `new` the users with something in `fresh`, of
// `all` every one, in the order of the holdout.
struct Rankings {
  learning::RankingEvaluation fresh, all;
};
// None when `proceed` says no. What the recommender was made before, is told to it as signals up to
// the cut.
std::optional<Rankings> RankHoldout(const learning::Recommender& recommender, const Dataset& data,
                                    const Holdout& holdout,
                                    const std::function<bool()>& proceed = {});

// Its quality is NDCG@10 of the new task, and where people repeat the mean of both tasks'.
Metrics MetricsOf(const Rankings& rankings, const Holdout& holdout);

// Both at once; empty when `proceed` says no.
Metrics Measure(const learning::Recommender& recommender, const Dataset& data,
                const Holdout& holdout, const std::function<bool()>& proceed = {});

}  // namespace starling::training
