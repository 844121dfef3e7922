#include "learning/selection/families.h"

#include <fmt/format.h>

#include "learning/models/als.h"
#include "learning/models/autoencoder.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/local_ease.h"
#include "learning/models/low_pass.h"
#include "learning/models/popularity.h"
#include "learning/models/sampled_mf.h"
#include "learning/models/slim.h"

namespace starling::learning {
namespace {

// Up to here all weights between items are kept; beyond it the largest.
constexpr size_t kSmall = 6'000;
constexpr size_t kMostForAutoencoder = 20'000;

template <typename T>
StatusOr<std::shared_ptr<const Model>> Shared(StatusOr<T> model) {
  if (!model.ok()) return model.status();
  return std::shared_ptr<const Model>(std::make_shared<T>(*std::move(model)));
}

}  // namespace

const std::vector<Family>& Families() {
  static const std::vector<Family> kFamilies = {
      {"popularity", {}},
      {"item_knn",
       {{"neighbours", {25, 50, 100, 200, 400, 1'000}, 2},
        {"user_exponent", {0, 0.5, 1}, 1},
        {"item_exponent", {0.3, 0.4, 0.5, 0.6}, 2},
        {"shrinkage", {0, 10, 50, 200}, 1}}},
      {"low_pass",
       {{"factors", {32, 64, 128, 256, 512}, 2},
        {"item_exponent", {0, 0.15, 0.3, 0.4, 0.5}, 3},
        {"user_exponent", {0, 0.25, 0.5, 0.75}, 2}}},
      {"als",
       {{"regularisation", {0.0003, 0.001, 0.003, 0.006, 0.012, 0.03}, 2},
        {"unobserved_weight", {0.02, 0.05, 0.1, 0.2, 0.5, 1}, 3},
        {"factors", {32, 64, 128, 256}, 1}}},
      {"slim", {{"l1", {0.5, 1, 2, 5, 10}, 2}, {"l2", {6, 25, 100, 400}, 2}}},
      // Losses as in SampledLoss: softmax, contrastive, BPR.
      {"sampled_mf",
       {{"steps", {500, 1'000, 2'000, 4'000}, 2},
        {"temperature", {0.05, 0.1, 0.2, 0.4}, 2},
        {"loss", {0, 1, 2}, 0}},
       true},
      {"autoencoder", {{"steps", {500, 1'000, 1'500}, 1}, {"dropout", {0.3, 0.5, 0.7}, 1}}},
      {"ease",
       {{"regularisation", {3, 6, 12, 25, 50, 100, 200, 400, 800, 1'600, 3'200}, 6},
        {"user_exponent", {0, 0.25, 0.5, 0.75, 1}, 2},
        {"relaxation", {0, 0.5, 1, 1.5, 2}, 2},
        {"dropout", {0, 0.1, 0.2, 0.33, 0.5, 0.67}, 2}}}};
  return kFamilies;
}

std::string SettingsOf(const Family& family, const Choice& choice) {
  std::string text;
  for (size_t axis = 0; axis < choice.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += fmt::format("{} {:g}", family.axes[axis].name, family.axes[axis].values[choice[axis]]);
  }
  return text;
}

StatusOr<AutoencoderOptions> AutoencoderOptionsOf(const Family& family, const Choice& choice,
                                                  const Interactions& data,
                                                  const FitLimits& limits) {
  if (data.items() > kMostForAutoencoder) {
    return ResourceExhausted("it looks at all items in each step, which takes too long of {}",
                             data.items());
  }
  return AutoencoderOptions{.steps = static_cast<int>(family.axes[0].values[choice[0]]),
                            .dropout = family.axes[1].values[choice[1]],
                            .threads = limits.threads,
                            .memory_limit = limits.memory};
}

StatusOr<std::shared_ptr<const Model>> FitFamily(const Family& family, const Choice& choice,
                                                 const Interactions& data, const FitLimits& limits,
                                                 const Progress& progress) {
  const auto value = [&](size_t axis) { return family.axes[axis].values[choice[axis]]; };
  if (family.name == "popularity") return Shared(FitPopularity(data, {}));
  if (family.name == "item_knn") {
    return Shared(FitItemKnn(data,
                             {.neighbours = static_cast<int>(value(0)),
                              .user_exponent = value(1),
                              .item_exponent = value(2),
                              .shrinkage = value(3),
                              .threads = limits.threads,
                              .memory_limit = limits.memory},
                             progress));
  }
  if (family.name == "low_pass") {
    return Shared(FitLowPass(data,
                             {.factors = static_cast<int>(value(0)),
                              .user_exponent = value(2),
                              .item_exponent = value(1),
                              .threads = limits.threads,
                              .memory_limit = limits.memory},
                             progress));
  }
  if (family.name == "ease" && data.items() <= kLocalEaseFrom) {
    return Shared(FitEase(data,
                          {.regularisation = value(0),
                           .user_exponent = value(1),
                           .dropout = value(3),
                           .relaxation = value(2),
                           .neighbours = data.items() <= kSmall ? 0 : 500,
                           .threads = limits.threads,
                           .memory_limit = limits.memory},
                          progress));
  }
  if (family.name == "ease") {
    return Shared(FitLocalEase(data,
                               {.regularisation = value(0),
                                .user_exponent = value(1),
                                .dropout = value(3),
                                .relaxation = value(2),
                                .threads = limits.threads,
                                .memory_limit = limits.memory},
                               progress));
  }
  if (family.name == "slim") {
    return Shared(FitSlim(data,
                          {.l1 = value(0),
                           .l2 = value(1),
                           .user_exponent = 0.75,
                           .dropout = 0.33,
                           .threads = limits.threads,
                           .memory_limit = limits.memory},
                          progress));
  }
  if (family.name == "sampled_mf") {
    return Shared(FitSampledMf(data,
                               {.loss = static_cast<SampledLoss>(static_cast<int>(value(2))),
                                .steps = static_cast<int>(value(0)),
                                .temperature = value(1),
                                .threads = limits.threads,
                                .memory_limit = limits.memory},
                               progress));
  }
  if (family.name == "autoencoder") {
    STARLING_ASSIGN_OR_RETURN(const AutoencoderOptions options,
                              AutoencoderOptionsOf(family, choice, data, limits));
    return Shared(FitAutoencoder(data, options, progress));
  }
  return Shared(FitAls(data,
                       {.factors = static_cast<int>(value(2)),
                        .unobserved_weight = value(1),
                        .regularisation = value(0),
                        .threads = limits.threads,
                        .memory_limit = limits.memory},
                       progress));
}

}  // namespace starling::learning
