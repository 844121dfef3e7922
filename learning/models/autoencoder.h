// A denoising autoencoder: a history goes through a narrow layer and comes out as how likely each
// item is, all items together being 1. Not linear, so it errs elsewhere than EASE and ALS do, which
// is what a blend wants of it (Liang, Krishnan, Hoffman, Jebara, "Variational Autoencoders for
// Collaborative Filtering", WWW 2018, section 2.4, Mult-DAE).
//
//   STARLING_ASSIGN_OR_RETURN(AutoencoderModel model, FitAutoencoder(train, {.steps = 1'000}));
//
//   h = tanh(x / |x| A + a),    scores = B h + b,    p = softmax(scores)
//   minimise  - sum_u w_u sum_i x_ui log p_ui,    w_u = n_u^-user_exponent, of mean 1
//
// X: users x items, weighed (weighting.h); n_u is what a row adds up to. A and B: items x factors.
// While fitting, each entry of x is left out with the probability `dropout`. Adam (Kingma and Ba,
// ICLR 2015) on users drawn in batches of a 24th of them, 64 to 256.
//
// Time: `steps` times 3 batch items factors multiply-adds: 43 s for 1,500 steps on MovieLens 1M, on
// two cores that others used too. Memory: AutoencoderMemory. The same data, options and thread
// count give the same bytes.
#pragma once

#include <memory>

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/model.h"

namespace starling::learning {

inline constexpr std::string_view kAutoencoderKind = "autoencoder";

struct AutoencoderOptions {
  Weighting weighting;
  int64_t as_of = 0;           // unix seconds; 0: the latest time in the data
  int factors = 128;           // 1 to 1024
  int steps = 1'000;           // >= 1; more for more data, too many learn it by heart
  double dropout = 0.5;        // in [0, 1)
  double user_exponent = 0.5;  // in [0, 1]
  double learning_rate = 1e-3;
  uint64_t seed = 1;
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

class AutoencoderModel final : public Model {
 public:
  static StatusOr<AutoencoderModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kAutoencoderKind; }
  size_t items() const override { return decoder_bias_.size(); }
  size_t dimension() const { return encoder_bias_.size(); }
  // History times dimension, and one pass over the decoder.
  void Score(History history, int64_t now, std::span<float> scores) const override;
  // None: what an item adds depends on all the others.
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

 private:
  friend class AutoencoderFit;
  AutoencoderModel() = default;

  Weighting weighting_;
  Array<double> parameters_;
  Array<float> encoder_, encoder_bias_, decoder_, decoder_bias_;
};

StatusOr<AutoencoderModel> FitAutoencoder(const Interactions& data,
                                          const AutoencoderOptions& options,
                                          const Progress& progress = {});

// A fit that may be gone on with: the models of 500 and of 1,000 steps in the time of 1,000, and
// the same bytes as two fits give. Borrows the data. Not thread-safe.
//
//   STARLING_ASSIGN_OR_RETURN(AutoencoderFit fit, AutoencoderFit::Begin(train, options));
//   STARLING_RETURN_IF_ERROR(fit.RunTo(500));
//   STARLING_ASSIGN_OR_RETURN(AutoencoderModel model, fit.Model());
class AutoencoderFit {
 public:
  // options.steps is not looked at.
  static StatusOr<AutoencoderFit> Begin(const Interactions& data,
                                        const AutoencoderOptions& options);
  AutoencoderFit(AutoencoderFit&& other) noexcept;
  AutoencoderFit& operator=(AutoencoderFit&& other) noexcept;
  ~AutoencoderFit();

  // Until there were `steps` in all. CANCELLED when progress ends it, between two steps: it may be
  // gone on with.
  Status RunTo(int steps, const Progress& progress = {});
  int steps() const;
  // As it is now. FAILED_PRECONDITION when it left the finite numbers.
  StatusOr<AutoencoderModel> Model() const;

 private:
  struct State;
  explicit AutoencoderFit(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Bytes that FitAutoencoder takes at its peak beside the data, the model included.
uint64_t AutoencoderMemory(const Interactions& data, const AutoencoderOptions& options);

}  // namespace starling::learning
