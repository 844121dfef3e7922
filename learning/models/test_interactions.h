// A small random data set for the models' tests: two groups of users with a taste each.
#pragma once

#include <vector>

#include "learning/interactions.h"
#include "learning/models/model.h"
#include "learning/random.h"

namespace starling::learning {

inline std::vector<Interaction> TestEvents(uint32_t users, uint32_t items, uint64_t seed) {
  Random random(seed);
  std::vector<Interaction> events;
  for (uint32_t user = 0; user < users; ++user) {
    for (int i = 0; i < 8; ++i) {
      const auto half = static_cast<uint32_t>(random.Below(items / 2));
      const bool of_taste = random.Below(5) > 0;
      events.push_back({.user = user,
                        .item = (user % 2 == 0) == of_taste ? half : half + items / 2,
                        .weight = static_cast<float>(1 + random.Below(3)),
                        .time = static_cast<int64_t>(1'000'000 + random.Below(1'000'000))});
    }
  }
  return events;
}

inline std::vector<HistoryItem> HistoryOf(const Interactions& data, size_t user) {
  std::vector<HistoryItem> history;
  const Interactions::Row row = data.row(user);
  for (size_t i = 0; i < row.size(); ++i) {
    history.push_back({row.items[i], row.weights[i], row.times[i]});
  }
  return history;
}

inline std::vector<float> ScoresOf(const Model& model, History history, int64_t now) {
  std::vector<float> scores(model.items());
  model.Score(history, now, scores);
  return scores;
}

}  // namespace starling::learning
