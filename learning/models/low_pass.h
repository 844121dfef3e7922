// The ideal low-pass filter of the graph of users and items: what remains of a history when only
// the smoothest directions of the catalogue are kept (Shen, Wu, Zhang, Shao, Letaief, Zhang, "How
// Powerful is Graph Convolution for Recommendation?", CIKM 2021, the second part of GF-CF; without
// the scaling it is PureSVD of Cremonesi, Koren, Turrin, RecSys 2010).
//
//   STARLING_ASSIGN_OR_RETURN(LowPassModel model, FitLowPass(train, {.factors = 256}));
//
//   N = D_u^-a X D_i^-b,    V: items x factors, its first right singular vectors
//   scores = x D_i^-b V V' D_i^b
//
// X: users x items, weighed (weighting.h); D_u and D_i hold what its rows and columns add up to; a
// is the user_exponent, b the item_exponent: with 1/2 and 1/2 the paper's. Good where the data is
// sparse, and beside EASE and ALS in a blend, since it errs elsewhere. It is linear, so a history
// is folded in by the formula.
//
// V by block power iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4) from a seeded start:
// with l = factors + 16, 4 l entries multiply-adds an iteration, and l^2 (users + items) to
// orthogonalise. Memory: 4 l bytes for each user and item, 12 an entry. The same data, options and
// thread count give the same bytes.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/model.h"

namespace starling::learning {

inline constexpr std::string_view kLowPassKind = "low_pass";

struct LowPassOptions {
  Weighting weighting;
  int64_t as_of = 0;           // unix seconds; 0: the latest time in the data
  int factors = 256;           // 1 to 1024; at most as many as there are users and items
  double user_exponent = 0.5;  // a, in [0, 1]
  double item_exponent = 0.5;  // b, in [0, 1]
  int iterations = 4;          // >= 1
  uint64_t seed = 1;
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

class LowPassModel final : public Model {
 public:
  static StatusOr<LowPassModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kLowPassKind; }
  size_t items() const override { return scales_.size(); }
  size_t dimension() const { return items() == 0 ? 0 : factors_.size() / items(); }
  std::span<const float> factors() const { return factors_; }  // V
  // History times dimension, and one pass over the factors.
  void Score(History history, int64_t now, std::span<float> scores) const override;
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

 private:
  friend StatusOr<LowPassModel> FitLowPass(const Interactions& data, const LowPassOptions& options,
                                           const Progress& progress);
  LowPassModel() = default;

  Weighting weighting_;
  Array<double> parameters_;
  Array<float> scales_;   // D_i^b; 1 for what nobody had
  Array<float> factors_;  // items x dimension, row-major
};

StatusOr<LowPassModel> FitLowPass(const Interactions& data, const LowPassOptions& options,
                                  const Progress& progress = {});
// Bytes that FitLowPass takes at its peak beside the data, the model included.
uint64_t LowPassMemory(const Interactions& data, const LowPassOptions& options);

}  // namespace starling::learning
