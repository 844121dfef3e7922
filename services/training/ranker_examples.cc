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
      if (!reached && random.Unit() > kKept) continue;
      for (size_t f = 0; f < kRankFeatures; ++f)
        rows_.push_back(seen.columns[f * seen.items.size() + c]);
      targets_.push_back(reached ? 1 : 0);
      positives_ += reached ? 1 : 0;
    }
  }
}

bool RankerExamples::Suffice() const {
  return positives_ >= kFewestPositives && positives_ < targets_.size();
}

StatusOr<learning::BoostedTrees> RankerExamples::Fit(const TrainingConfig& config,
                                                     const learning::Progress& progress) const {
  // Twice, since the trees want them column by column.
  const uint64_t need = 2 * rows_.size() * sizeof(float);
  if (need > config.memory.count()) {
    return ResourceExhausted("{} examples for the trees take {} MB; raise training.memory",
                             targets_.size(), need >> 20);
  }
  std::vector<float> columns(rows_.size());
  for (size_t row = 0; row < targets_.size(); ++row) {
    for (size_t f = 0; f < kRankFeatures; ++f)
      columns[f * targets_.size() + row] = rows_[row * kRankFeatures + f];
  }
  STARLING_ASSIGN_OR_RETURN(
      learning::BoostedTrees trees,
      learning::FitBoostedTrees({.columns = columns, .rows = targets_.size(), .targets = targets_},
                                {.threads = config.threads, .memory_limit = config.memory.count()},
                                progress));
  trees.AddToBias(std::log(kKept));
  return trees;
}

}  // namespace starling::training
