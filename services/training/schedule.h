// When a training is due by itself.
#pragma once

#include <optional>

#include "contracts/features/v1/features.pb.h"
#include "contracts/training/v1/training.pb.h"
#include "platform/base/clock.h"
#include "services/training/training_config.h"

namespace starling::training {

// Fewer say too little for a first version.
inline constexpr int64_t kFirstInteractions = 1'000;

// newest: the newest version there is. Without one a training is due at after_events interactions,
// or at kFirstInteractions. Nothing is due while both settings are off, or when nothing has
// happened since the newest version.
inline bool TrainingIsDue(const TrainingConfig& config,
                          const std::optional<v1::ModelVersion>& newest,
                          const features::v1::Statistics& statistics, TimePoint now) {
  if (config.every == Duration(0) && config.after_events == 0) return false;
  const int64_t seen = newest.has_value() ? newest->lineage().interactions() : 0;
  const int64_t added = statistics.interactions() - seen;
  if (added <= 0) return false;
  if (config.after_events > 0 && added >= config.after_events) return true;
  if (config.every == Duration(0)) return false;
  if (!newest.has_value()) return added >= kFirstInteractions;
  const Duration age =
      now.time_since_epoch() - std::chrono::seconds(newest->create_time().seconds());
  return age >= config.every;
}

}  // namespace starling::training
