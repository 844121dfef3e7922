// The fits of one family, one choice after the other, each going on from an earlier one where the
// family allows it.
//
//   FamilyFits fits(family, train, limits);
//   auto model = fits.Fit(choice, progress);     // what FitFamily gives, byte for byte
//   fits.Keep();                                 // it is the best so far
//
// - autoencoder: more steps go on from fewer, and all numbers of steps on the way are kept as
//   models: with up to 1,500 steps 500 and 1,000 cost nothing.
// - ease: another relaxation only scales the weights of a fit, so the one that was kept and the
//   last one are scaled and not fitted again.
//
// Any other family is fitted each time. What is kept is freed with this: of EASE two models, of
// the autoencoder one for each choice and Adam's state. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "learning/models/autoencoder.h"
#include "learning/models/item_to_item.h"
#include "learning/selection/families.h"

namespace starling::learning {

class FamilyFits {
 public:
  // Borrowed, all of them.
  FamilyFits(const Family& family, const Interactions& data, const FitLimits& limits)
      : family_(family), data_(data), limits_(limits) {}

  // Fails as FitFamily does. What was done before it was cancelled is not lost.
  StatusOr<std::shared_ptr<const Model>> Fit(const Choice& choice, const Progress& progress);
  // The last fit is what others may be made of, until the next call of this.
  void Keep() { kept_ = last_; }

 private:
  struct Unrelaxed {
    Choice choice;
    std::shared_ptr<const Model> model;
  };
  StatusOr<std::shared_ptr<const Model>> FitSteps(const Choice& choice, const Progress& progress);
  StatusOr<std::shared_ptr<const Model>> FitRelaxed(size_t axis, const Choice& choice,
                                                    const Progress& progress);

  const Family& family_;
  const Interactions& data_;
  const FitLimits& limits_;
  Unrelaxed kept_, last_;
  std::optional<AutoencoderFit> fit_;
  double fit_dropout_ = 0;
  std::map<Choice, std::shared_ptr<const Model>> on_the_way_;
};

}  // namespace starling::learning
