// One training, from the features service to a registered version.
//
//   StatusOr<v1::ModelVersion> made = RunJob({...}, watch);
//
// Blocks: on the training thread.
#pragma once

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/features/v1/features.service.h"
#include "platform/async/runtime.h"
#include "services/training/trainer.h"
#include "services/training/version_registry.h"

namespace starling::training {

struct Job {
  std::string model;
  Algorithm algorithm = Algorithm::kAuto;
  v1::Promotion promotion = v1::PROMOTION_UNSPECIFIED;
  features::v1::Features* features = nullptr;
  catalog::v1::Catalog* catalog = nullptr;  // may be absent
  VersionRegistry* registry = nullptr;
  Runtime* runtime = nullptr;
  const Clock* clock = nullptr;
  std::shared_ptr<const TrainingConfig> config;
};

// The version, with `serving` when it was promoted.
StatusOr<v1::ModelVersion> RunJob(const Job& job, const Trainer::Watch& watch);

}  // namespace starling::training
