#include "learning/selection/family_fits.h"

#include <algorithm>
#include <string_view>

namespace starling::learning {
namespace {

// Of the axis with that name; as many as there are when none has it.
size_t AxisOf(const Family& family, std::string_view name) {
  const auto found = std::find_if(family.axes.begin(), family.axes.end(),
                                  [&](const Axis& axis) { return axis.name == name; });
  return static_cast<size_t>(found - family.axes.begin());
}

}  // namespace

StatusOr<std::shared_ptr<const Model>> FamilyFits::Fit(const Choice& choice,
                                                       const Progress& progress) {
  if (family_.name == "autoencoder") return FitSteps(choice, progress);
  const size_t relaxation = AxisOf(family_, "relaxation");
  if (relaxation < choice.size()) return FitRelaxed(relaxation, choice, progress);
  return FitFamily(family_, choice, data_, limits_, progress);
}

StatusOr<std::shared_ptr<const Model>> FamilyFits::FitRelaxed(size_t axis, const Choice& choice,
                                                              const Progress& progress) {
  Choice unrelaxed = choice;
  const std::vector<double>& values = family_.axes[axis].values;
  unrelaxed[axis] =
      static_cast<size_t>(std::find(values.begin(), values.end(), 0) - values.begin());
  if (unrelaxed[axis] == values.size()) return FitFamily(family_, choice, data_, limits_, progress);
  if (kept_.choice == unrelaxed) {
    last_ = kept_;
  } else if (last_.choice != unrelaxed) {
    last_ = {};  // so that no more than two are there at once
    STARLING_ASSIGN_OR_RETURN(std::shared_ptr<const Model> fitted,
                              FitFamily(family_, unrelaxed, data_, limits_, progress));
    last_ = {unrelaxed, std::move(fitted)};
  }
  if (choice == unrelaxed) return last_.model;
  const auto* weights = dynamic_cast<const ItemToItemModel*>(last_.model.get());
  if (weights == nullptr) return FitFamily(family_, choice, data_, limits_, progress);
  STARLING_ASSIGN_OR_RETURN(ItemToItemModel relaxed, weights->Relaxed(values[choice[axis]]));
  return std::make_shared<const ItemToItemModel>(std::move(relaxed));
}

StatusOr<std::shared_ptr<const Model>> FamilyFits::FitSteps(const Choice& choice,
                                                            const Progress& progress) {
  const auto known = on_the_way_.find(choice);
  if (known != on_the_way_.end()) return known->second;
  STARLING_ASSIGN_OR_RETURN(const AutoencoderOptions options,
                            AutoencoderOptionsOf(family_, choice, data_, limits_));
  if (!fit_.has_value() || fit_dropout_ != options.dropout || fit_->steps() > options.steps) {
    fit_.reset();
    STARLING_ASSIGN_OR_RETURN(fit_, AutoencoderFit::Begin(data_, options));
    fit_dropout_ = options.dropout;
  }
  const size_t axis = AxisOf(family_, "steps");
  Choice at = choice;
  for (at[axis] = 0; at[axis] <= choice[axis]; ++at[axis]) {
    const auto steps = static_cast<int>(family_.axes[axis].values[at[axis]]);
    if (steps <= fit_->steps() && at != choice) continue;
    STARLING_RETURN_IF_ERROR(fit_->RunTo(steps, progress));
    STARLING_ASSIGN_OR_RETURN(AutoencoderModel model, fit_->Model());
    on_the_way_[at] = std::make_shared<const AutoencoderModel>(std::move(model));
  }
  return on_the_way_.at(choice);
}

}  // namespace starling::learning
