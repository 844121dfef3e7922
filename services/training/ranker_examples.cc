#include "services/training/ranker_examples.h"

#include <algorithm>
#include <cmath>

#include "learning/random.h"
#include "learning/recommender/second_stage.h"

namespace starling::training {
namespace {

using learning::kRankFeatures;

constexpr size_t kMostUsers = 3'000;  // of one window
constexpr double kKept = 0.2;
constexpr size_t kFewestPositives = 300;

// A user's events and what came of the window.
struct Asked {
  std::span<const Event> events;
  std::vector<uint32_t> reached;  // ascending
};

std::vector<Asked> UsersOf(const Dataset& data, learning::Goal goal, int64_t from, int64_t to) {
  std::vector<Asked> users;
  for (size_t begin = 0; begin < data.events.size();) {
    Asked user;
    bool known = false;
    size_t end = begin;
    for (; end < data.events.size() && data.events[end].user == data.events[begin].user; ++end) {
      const Event& event = data.events[end];
      known = known || event.time < from;
      if (event.time < from || event.time >= to || !IsGoal(event, goal)) continue;
      if (user.reached.empty() || user.reached.back() != event.item)
        user.reached.push_back(event.item);
    }
    user.events = std::span(data.events).subspan(begin, end - begin);
    if (known && !user.reached.empty()) users.push_back(std::move(user));
    begin = end;
  }
  return users;
}

}  // namespace

void RankerExamples::Add(const learning::Recommender& recommender, const Dataset& data,
                         learning::Goal goal, int64_t from, int64_t to) {
  const std::vector<Asked> users = UsersOf(data, goal, from, to);
  const size_t count = std::min(users.size(), kMostUsers);
  learning::Random random(static_cast<uint64_t>(from));
  // Apart, so that the others are drawn as without content.
  learning::Random random_cold(static_cast<uint64_t>(from));
  learning::RankScratch scratch;
  std::vector<learning::RankSignal> signals;
  for (size_t i = 0; i < count; ++i) {
    const Asked& user = users[i * users.size() / count];
    signals.clear();
    for (const Event& event : user.events) {
      if (event.time >= from || event.time <= recommender.settings().until) continue;
      signals.push_back({data.items.Id(event.item), event.kind, event.weight, event.time});
    }
    const learning::RankExamples seen =
        recommender.Describe({.user = data.users.Id(user.events.front().user),
                              .signals = signals,
                              .limit = 1,
                              .allow_repeats = true,
                              .now = from},
                             scratch);
    for (size_t c = 0; c < seen.items.size(); ++c) {
      const bool reached =
          std::binary_search(user.reached.begin(), user.reached.end(), seen.items[c]);
      const bool cold = c + seen.cold >= seen.items.size();
      if (!reached && (cold ? random_cold : random).Unit() > kKept) continue;
      for (size_t f = 0; f < kRankFeatures; ++f)
        rows_.push_back(seen.columns[f * seen.items.size() + c]);
      targets_.push_back(reached ? 1 : 0);
      cold_.push_back(cold ? 1 : 0);
      positives_ += reached ? 1 : 0;
    }
  }
}

bool RankerExamples::Suffice() const {
  return positives_ >= kFewestPositives && positives_ < targets_.size();
}

StatusOr<learning::BoostedTrees> RankerExamples::Fit(size_t features, const TrainingConfig& config,
                                                     const learning::Progress& progress) const {
  // Once more, since the trees want them column by column.
  const uint64_t need = (rows_.size() + features * targets_.size()) * sizeof(float);
  if (need > config.memory.count()) {
    return ResourceExhausted("{} examples for the trees take {} MB; raise training.memory",
                             targets_.size(), need >> 20);
  }
  std::vector<size_t> taken;
  std::vector<uint8_t> targets;
  for (size_t row = 0; row < targets_.size(); ++row) {
    if (cold_[row] != 0 && features <= learning::kFirstOfContent) continue;
    taken.push_back(row);
    targets.push_back(targets_[row]);
  }
  std::vector<float> columns(features * taken.size());
  for (size_t i = 0; i < taken.size(); ++i) {
    for (size_t f = 0; f < features; ++f)
      columns[f * taken.size() + i] = rows_[taken[i] * kRankFeatures + f];
  }
  STARLING_ASSIGN_OR_RETURN(
      learning::BoostedTrees trees,
      learning::FitBoostedTrees({.columns = columns, .rows = taken.size(), .targets = targets},
                                {.threads = config.threads, .memory_limit = config.memory.count()},
                                progress));
  trees.AddToBias(std::log(kKept));
  return trees;
}

}  // namespace starling::training
