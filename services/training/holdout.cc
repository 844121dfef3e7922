#include "services/training/holdout.h"

#include <algorithm>

namespace starling::training {
namespace {

using learning::Goal;
using learning::RankingMetric;

constexpr size_t kK = 10;
constexpr size_t kFewestUsers = 10;
constexpr size_t kEnoughBuyers = 50;
constexpr double kRepeatShare = 0.2;

// The events of one user are next to each other.
template <typename F>
void ForEachUser(const Dataset& data, const F& f) {
  for (size_t begin = 0; begin < data.events.size();) {
    size_t end = begin;
    while (end < data.events.size() && data.events[end].user == data.events[begin].user) ++end;
    f(std::span(data.events).subspan(begin, end - begin));
    begin = end;
  }
}

int64_t CutOf(const Dataset& data, const HoldoutOptions& options) {
  if (options.cut != 0) return options.cut;
  std::vector<int64_t> times;
  times.reserve(data.events.size());
  for (const Event& event : data.events) times.push_back(event.time);
  const auto at = static_cast<ptrdiff_t>(static_cast<double>(times.size()) * (1 - options.share));
  std::nth_element(times.begin(), times.begin() + at, times.end());
  return std::max(times[static_cast<size_t>(at)], data.newest - options.longest + 1);
}

// Purchases, unless too few people buy to measure by.
Goal GoalOf(const Dataset& data, int64_t cut) {
  size_t users = 0;
  size_t buyers = 0;
  ForEachUser(data, [&](std::span<const Event> events) {
    bool any = false;
    bool buys = false;
    for (const Event& event : events) {
      any = any || event.time >= cut;
      buys = buys || (event.time >= cut && event.kind == learning::EventKind::kPurchase);
    }
    users += any ? 1 : 0;
    buyers += buys ? 1 : 0;
  });
  return buyers >= kEnoughBuyers || buyers * 10 >= std::max<size_t>(users, 1) ? Goal::kPurchase
                                                                              : Goal::kAnything;
}

void AddTask(const learning::RankingEvaluation& evaluation, const std::string& prefix,
             Metrics& metrics) {
  metrics[prefix + "recall@10"] = evaluation.Mean(RankingMetric::kRecallCapped);
  metrics[prefix + kNdcg] = evaluation.Mean(RankingMetric::kNdcg);
  metrics[prefix + "hit_rate@10"] = evaluation.Mean(RankingMetric::kHitRate);
  metrics[prefix + "coverage"] = evaluation.Coverage();
  metrics[prefix + "users"] = static_cast<double>(evaluation.users());
}

}  // namespace

bool Holdout::Measures() const {
  return fresh_users >= kFewestUsers || (Repeats() && users.size() >= kFewestUsers);
}
bool Holdout::Repeats() const { return repeat_share >= kRepeatShare; }

Holdout MakeHoldout(const Dataset& data, const HoldoutOptions& options) {
  Holdout holdout;
  holdout.cut = CutOf(data, options);
  holdout.goal = GoalOf(data, holdout.cut);
  size_t goals = 0;
  size_t repeated = 0;
  ForEachUser(data, [&](std::span<const Event> events) {
    Holdout::User user{events.front().user, {}, {}};
    bool known = false;
    for (size_t i = 0; i < events.size();) {
      const uint32_t item = events[i].item;
      bool before = false;
      bool after = false;
      for (; i < events.size() && events[i].item == item; ++i) {
        known = known || events[i].time < holdout.cut;
        if (!IsGoal(events[i], holdout.goal)) continue;
        before = before || events[i].time < holdout.cut;
        after = after || events[i].time >= holdout.cut;
      }
      if (after) user.all.push_back(item);
      if (after && !before) user.fresh.push_back(item);
    }
    if (!known || user.all.empty()) return;
    goals += user.all.size();
    repeated += user.all.size() - user.fresh.size();
    holdout.users.push_back(std::move(user));
  });
  holdout.repeat_share =
      goals == 0 ? 0 : static_cast<double>(repeated) / static_cast<double>(goals);
  if (holdout.users.size() > options.most_users) {
    std::vector<Holdout::User> drawn;
    for (size_t i = 0; i < options.most_users; ++i)
      drawn.push_back(std::move(holdout.users[i * holdout.users.size() / options.most_users]));
    holdout.users = std::move(drawn);
  }
  for (const Holdout::User& user : holdout.users) holdout.fresh_users += user.fresh.empty() ? 0 : 1;
  return holdout;
}

std::optional<Rankings> RankHoldout(const learning::Recommender& recommender, const Dataset& data,
                                    const Holdout& holdout, const std::function<bool()>& proceed) {
  const learning::RankingEvaluation none(kK, data.items.size(),
                                         learning::RankingEvaluation::Lists::kKept);
  Rankings rankings{none, none};
  learning::RankScratch scratch;
  std::vector<learning::RankSignal> signals;
  std::vector<uint32_t> ranked;
  const auto rank = [&](uint32_t user, bool repeats) {
    ranked.clear();
    for (const learning::RankedItem& best : recommender.Rank({.user = data.users.Id(user),
                                            .signals = signals,
                                            .limit = kK,
                                            .allow_repeats = repeats,
                                            .now = holdout.cut},
                                                             scratch)) {
      // A recommender of other data has other indexes; what it alone knows can only miss.
      if (const auto item = data.items.Find(recommender.ItemId(best.item))) ranked.push_back(*item);
    }
  };
  size_t at = 0;
  for (size_t i = 0; i < holdout.users.size(); ++i) {
    const Holdout::User& user = holdout.users[i];
    if (proceed && i % 256 == 0 && !proceed()) return std::nullopt;
    while (data.events[at].user < user.user) ++at;
    signals.clear();
    for (; at < data.events.size() && data.events[at].user == user.user; ++at) {
      const Event& event = data.events[at];
      if (event.time >= holdout.cut || event.time <= recommender.settings().until) continue;
      signals.push_back({data.items.Id(event.item), event.kind, event.weight, event.time});
    }
    if (!user.fresh.empty()) {
      rank(user.user, false);
      rankings.fresh.Add(ranked, user.fresh);
    }
    rank(user.user, true);
    rankings.all.Add(ranked, user.all);
  }
  return rankings;
}

Metrics MetricsOf(const Rankings& rankings, const Holdout& holdout) {
  Metrics metrics;
  AddTask(rankings.fresh, "", metrics);
  AddTask(rankings.all, "all.", metrics);
  metrics[kQuality] = holdout.Repeats() ? (metrics[kNdcg] + metrics[kAllNdcg]) / 2 : metrics[kNdcg];
  return metrics;
}

Metrics Measure(const learning::Recommender& recommender, const Dataset& data,
                const Holdout& holdout, const std::function<bool()>& proceed) {
  const std::optional<Rankings> rankings = RankHoldout(recommender, data, holdout, proceed);
  return rankings.has_value() ? MetricsOf(*rankings, holdout) : Metrics();
}

}  // namespace starling::training
