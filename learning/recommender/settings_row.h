// RecommenderSettings as the section "settings" of a recommender's artifact.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "learning/recommender/recommender.h"

namespace starling::learning {

inline std::vector<double> RowOfSettings(const RecommenderSettings& settings) {
  std::vector<double> row = {static_cast<double>(settings.until),
                             static_cast<double>(settings.goal),
                             settings.half_life,
                             settings.repeat_half_life,
                             settings.popularity_weight,
                             settings.repeat_weight,
                             static_cast<double>(settings.history_cap)};
  row.insert(row.end(), settings.strength.begin(), settings.strength.end());
  return row;
}

inline StatusOr<RecommenderSettings> SettingsFromRow(std::span<const double> row) {
  constexpr size_t kScalars = 7;
  if (row.size() != kScalars + kEventKinds) {
    return DataLoss("section 'settings' has {} values and not {}", row.size(),
                    kScalars + kEventKinds);
  }
  for (size_t i = 0; i < row.size(); ++i) {
    if (!std::isfinite(row[i]) || row[i] < 0 || row[i] > 1e15) {
      return DataLoss("value {} of section 'settings' is {}, which no recommender has", i, row[i]);
    }
  }
  if (row[1] > 1 || row[6] < 1) {
    return DataLoss("section 'settings' has the goal {} and the cap {}, which no recommender has",
                    row[1], row[6]);
  }
  RecommenderSettings settings;
  settings.until = static_cast<int64_t>(row[0]);
  settings.goal = row[1] == 0 ? Goal::kPurchase : Goal::kAnything;
  settings.half_life = row[2];
  settings.repeat_half_life = row[3];
  settings.popularity_weight = row[4];
  settings.repeat_weight = row[5];
  settings.history_cap = static_cast<size_t>(row[6]);
  std::copy(row.begin() + kScalars, row.end(), settings.strength.begin());
  return settings;
}

}  // namespace starling::learning
