// The families of models that a selection chooses from, and the settings it may move.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/autoencoder.h"
#include "learning/models/model.h"

namespace starling::learning {

// One setting, and the values it may have, in order.
struct Axis {
  const char* name;
  std::vector<double> values;
  size_t start;  // index of the default
};

struct Family {
  std::string name;
  std::vector<Axis> axes;
  // Tried only for who asks for it by name, since a blend gains nothing by it (docs/models.md).
  bool only_if_named = false;
};

// popularity first; the others by what a fit costs. The grids are the same for every data set.
const std::vector<Family>& Families();

using Choice = std::vector<size_t>;  // an index into each axis' values

std::string SettingsOf(const Family& family, const Choice& choice);  // "factors 64, ..."

struct FitLimits {
  int threads = 1;
  size_t memory = size_t{4} << 30;
};
// What the family's choice asks of its fit, to one that is gone on with (family_fits.h).
StatusOr<AutoencoderOptions> AutoencoderOptionsOf(const Family& family, const Choice& choice,
                                                  const Interactions& data,
                                                  const FitLimits& limits);
StatusOr<std::shared_ptr<const Model>> FitFamily(const Family& family, const Choice& choice,
                                                 const Interactions& data, const FitLimits& limits,
                                                 const Progress& progress);

}  // namespace starling::learning
