// A model whose scores are inner products: a user's history becomes a vector, and an item's score
// is that vector times the item's own. So the best items can be searched for by an index
// (retrieval/retrieval_index.h) instead of scoring all of them.
//
//   STARLING_ASSIGN_OR_RETURN(std::shared_ptr<const FactorModel> model, OpenFactorModel(artifact));
//   std::vector<float> user(model->dimension());
//   model->FoldIn(history, now, user);
//   RetrieveTopK({model->factors(), model->dimension()}, user, {.k = 10});
//
// Immutable and thread-safe, as every model.
#pragma once

#include <memory>
#include <span>

#include "learning/models/model.h"

namespace starling::learning {

class FactorModel : public Model {
 public:
  virtual size_t dimension() const = 0;
  // items x dimension, row-major.
  virtual std::span<const float> factors() const = 0;
  // The user's vector; zeros for an empty history. user.size() == dimension().
  virtual void FoldIn(History history, int64_t now, std::span<float> user) const = 0;
  // FoldIn and one pass over the factors.
  void Score(History history, int64_t now, std::span<float> scores) const override;
};

// By the artifact's kind. DATA_LOSS says what is wrong with it, or that it has no factors.
StatusOr<std::shared_ptr<const FactorModel>> OpenFactorModel(const Artifact& artifact);

}  // namespace starling::learning
