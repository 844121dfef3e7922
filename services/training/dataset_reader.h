// Every interaction that the features service has, as a training sees it, and what the catalogue
// says of the products.
//
//   StatusOr<Dataset> data = ReadDataset(runtime, *features, catalog, config, watch);
//
// Without a catalogue, or when it fails, a training goes on without prices, categories and products
// that nobody had.
//
// Blocks: never on an io thread. A features service that has just begun to load, or that is away
// for a moment, is waited for, five minutes at most.
#pragma once

#include <functional>

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/features/v1/features.service.h"
#include "platform/async/runtime.h"
#include "services/training/dataset.h"
#include "services/training/training_config.h"

namespace starling::training {

// Told how far it is, from 0 to 1, and what it does; false ends it with CANCELLED.
using ReadWatch = std::function<bool(double done, const char* stage)>;

StatusOr<Dataset> ReadDataset(Runtime& runtime, features::v1::Features& features,
                              catalog::v1::Catalog* catalog, const TrainingConfig& config,
                              const ReadWatch& watch);

}  // namespace starling::training
