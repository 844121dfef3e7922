// Matrix factorisation for implicit feedback by alternating least squares (iALS).
//
//   STARLING_ASSIGN_OR_RETURN(AlsModel model, FitAls(train, {.factors = 64, .threads = 2}));
//   std::vector<float> user(model.dimension());
//   model.FoldIn(history, now, user);
//   RetrieveTopK({model.factors(), model.dimension()}, user, {.k = 10});   // or a RetrievalIndex
//
//   minimise  sum over interactions of c_ui (1 - w_u.h_i)^2 + a sum over all u, i of (w_u.h_i)^2
//           + sum_u r_u |w_u|^2 + sum_i r_i |h_i|^2
//   r_u = regularisation (sum_i c_ui + a items)^frequency_exponent,  r_i likewise with a users
//
// with c the weighed interaction and a the unobserved_weight (Hu, Koren, Volinsky 2008, as
// parameterised by Rendle, Krichene, Zhang, Koren, "Revisiting the Performance of iALS on Item
// Recommendation Benchmarks", RecSys 2022). For a user, with H the factors of their n items:
//
//   (a G + H'CH + r I) w = H'c,    G = the Gram matrix of all item factors
//
// Before each half-step the factors are rotated into the eigenbasis of G, which changes no score
// and makes a G + r I diagonal. Then a row with few entries is solved exactly as an n x n system
// (n^2 factors / 2 multiply-adds instead of factors^3 / 6), and a longer one by a few conjugate
// gradient steps of 2 n factors each (Takacs, Pilaszy, Tikk 2011), preconditioned by the diagonal
// and started from the row's last value. G is never multiplied with.
//
// For catalogues beyond EASE's reach; ranks by factors, so an index over them works. The defaults
// fit some thousand items; since r grows with the catalogue, a much larger one (65,000 items, 300
// of them a user) wants a regularisation of about 0.0005, or the ranking becomes that of
// popularity. Shapes: factors() is items x dimension, row-major. The same data, options and machine
// give the same bytes. Memory: 4 dimension bytes for each user and item, 12 an entry.
#pragma once

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/models/factor_model.h"

namespace starling::learning {

inline constexpr std::string_view kAlsKind = "als";

struct AlsOptions {
  Weighting weighting;
  int64_t as_of = 0;               // unix seconds; 0: the latest time in the data
  int factors = 64;                // 1 to 1024
  int iterations = 15;             // >= 1
  double unobserved_weight = 0.5;  // a > 0
  double regularisation = 0.003;   // > 0
  double frequency_exponent = 1;   // 0: the same for all, 1: in proportion
  int cg_steps = 3;                // for long rows; 0: every row exactly
  uint64_t seed = 1;
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // bytes beside the data
};

// What the solver of a row needs to know of the whole: r = regularisation (weight + base)^exponent.
struct AlsRegularisation {
  double regularisation = 0;
  double base = 0;
  double exponent = 0;
  double Of(double weight) const;
};

class AlsModel final : public FactorModel {
 public:
  static StatusOr<AlsModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kAlsKind; }
  size_t items() const override { return factors_.size() / dimension(); }
  size_t dimension() const override { return gram_.size(); }
  std::span<const float> factors() const override { return factors_; }

  // The vector that a fit with the items as they are would give this user, exactly; zeros for an
  // empty history. user.size() == dimension(). With 64 factors 50 events take about 15 us, 1,000
  // about 150 us.
  void FoldIn(History history, int64_t now, std::span<float> user) const override;
  // The share of each event in a score (Hu et al., section 5): c_i h_j' inv(A) h_i, A the matrix of
  // the user's system. One Cholesky decomposition, then dimension^2 a target.
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

 private:
  friend StatusOr<AlsModel> FitAls(const Interactions& data, const AlsOptions& options,
                                   const Progress& progress);
  struct UserSystem;
  AlsModel() = default;
  UserSystem SystemOf(History history, int64_t now) const;

  Weighting weighting_;
  AlsRegularisation regularisation_;
  Array<double> parameters_;
  Array<float> gram_;     // dimension: the diagonal of a G
  Array<float> factors_;  // items x dimension
};

StatusOr<AlsModel> FitAls(const Interactions& data, const AlsOptions& options,
                          const Progress& progress = {});
// Bytes that FitAls takes at its peak beside the data, the model included.
uint64_t AlsMemory(const Interactions& data, const AlsOptions& options);

}  // namespace starling::learning
