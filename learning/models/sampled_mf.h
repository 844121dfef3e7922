// Matrix factorisation by gradients, which sets what a user had against sampled items that the user
// had not. The user is what the history adds up to, so a new one needs no fit:
//
//   STARLING_ASSIGN_OR_RETURN(SampledMfModel model, FitSampledMf(train, {.factors = 64}));
//
//   u = sum_i x_ui A_i / |x_u|,    s_j = u.B_j / (|u| |B_j|), a cosine; for BPR u.B_j
//   minimise  sum_u w_u sum_p x_up loss(u, p),    w_u = n_u^-user_exponent, of mean 1
//
//   kSoftmax      -log e^(s_p/t) / (e^(s_p/t) + I/N sum_j e^(s_j/t)), t the temperature
//                 (Wu, Wang, Gao, Chen, Fu, Qiu, He, "On the Effectiveness of Sampled Softmax Loss
//                 for Item Recommendation", 2022)
//   kContrastive  1 - s_p + negative_weight / N sum_j max(0, s_j - margin)
//                 (Mao, Zhu, Wang, Dai, Dong, Xiao, He, "SimpleX", CIKM 2021, equation 1)
//   kBpr          -log sigmoid(s_p - s_j), for one j (Rendle, Freudenthaler, Gantner,
//                 Schmidt-Thieme, "BPR", UAI 2009)
//
// over N items j drawn for each batch out of all I, without those that the user has. A and B: items
// x factors; a user by the items' own table as in asymmetric factorisation (Koren 2008, section 4).
// While fitting, each entry of x that u is made of is left out with the probability `dropout`. Adam
// on the batches of user_batches.h.
//
// Time: `steps` times 3 batch factors (negatives + what the users have) multiply-adds. The same
// data, options and thread count give the same bytes: no two threads write to one place.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/factor_model.h"

namespace starling::learning {

inline constexpr std::string_view kSampledMfKind = "sampled_mf";

enum class SampledLoss { kSoftmax, kContrastive, kBpr };

struct SampledMfOptions {
  Weighting weighting;
  int64_t as_of = 0;  // unix seconds; 0: the latest time in the data
  SampledLoss loss = SampledLoss::kSoftmax;
  int factors = 64;             // 1 to 1024
  int steps = 2'000;            // >= 1
  int negatives = 1'000;        // >= 1; all items where there are not more
  double temperature = 0.2;     // > 0; of kSoftmax
  double margin = 0.3;          // in [0, 1]; of kContrastive
  double negative_weight = 20;  // > 0; of kContrastive
  double dropout = 0.5;         // in [0, 1)
  double user_exponent = 0.5;   // in [0, 1]
  double learning_rate = 3e-3;  // > 0
  uint64_t seed = 1;
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

class SampledMfModel final : public FactorModel {
 public:
  static StatusOr<SampledMfModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kSampledMfKind; }
  size_t items() const override { return items_; }
  size_t dimension() const override { return dimension_; }
  // What an index searches by: B, its rows of length 1 but for BPR.
  std::span<const float> factors() const override { return factors_; }

  // u, of length 1 but for BPR; zeros for an empty history. user.size() == dimension(). History
  // times dimension.
  void FoldIn(History history, int64_t now, std::span<float> user) const override;
  // By x_i A_i.B_j.
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

 private:
  friend StatusOr<SampledMfModel> FitSampledMf(const Interactions& data,
                                               const SampledMfOptions& options,
                                               const Progress& progress);
  SampledMfModel() = default;

  Weighting weighting_;
  bool cosine_ = true;
  size_t items_ = 0;
  size_t dimension_ = 0;
  Array<double> parameters_;
  Array<float> history_factors_, factors_;  // A and B: items x dimension
};

StatusOr<SampledMfModel> FitSampledMf(const Interactions& data, const SampledMfOptions& options,
                                      const Progress& progress = {});
// Bytes that FitSampledMf takes at its peak beside the data, the model included.
uint64_t SampledMfMemory(const Interactions& data, const SampledMfOptions& options);

}  // namespace starling::learning
