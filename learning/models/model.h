// A fitted model as who serves it sees it: a user's history in, a score for every item out.
//
//   STARLING_ASSIGN_OR_RETURN(LoadedModel loaded, OpenModel(bytes, mapping));
//   std::vector<float> scores(loaded.model->items());
//   loaded.model->Score(history, now, scores);
//   std::vector<ScoredItem> best = TopK(scores, {.k = 10, .excluded = known});
//
// No model knows users: the history is all there is of one, so a shopper's newest click counts in
// the very next answer and a new shopper needs no training. Which kinds there are, and when to take
// which: learning/README.md. Immutable and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learning/artifact.h"
#include "learning/id_table.h"
#include "platform/base/status.h"

namespace starling::learning {

// One event of a user, or several summed: raw, since the model weighs it itself (weighting.h).
struct HistoryItem {
  uint32_t item = 0;
  float weight = 1;  // > 0, finite
  int64_t time = 0;  // unix seconds
};
// In any order; an item may be there more than once. Items the model does not know are ignored.
using History = std::span<const HistoryItem>;

class Model {
 public:
  virtual ~Model() = default;

  // "popularity", "item_knn", "ease", "slim", "transitions", "content", "als", "low_pass",
  // "sampled_mf", "autoencoder", "next_basket" or "repeat"; the artifact's kind.
  virtual std::string_view kind() const = 0;
  virtual size_t items() const = 0;

  // Writes scores[i] for every item i; scores.size() == items(). Scores of one call compare with
  // each other and with nothing else. `now` is in unix seconds.
  virtual void Score(History history, int64_t now, std::span<float> scores) const = 0;

  // For each of `items`, the item of the history that added most to its score, so that a reason
  // can be told truly; nullopt when nothing there raised it, or the model does not look at history
  // that way.
  virtual std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                                       std::span<const uint32_t> items) const = 0;

  // Adds the model's sections; it must live until the writer's Finish.
  virtual void AddTo(ArtifactWriter& writer) const = 0;
};

struct LoadedModel {
  std::unique_ptr<const Model> model;
  IdTable ids;  // names of the items
};

// INVALID_ARGUMENT when there is not one name for each item.
StatusOr<std::string> SerializeModel(const Model& model, const IdTable& ids);

// The model serves from `bytes`, which `owner` keeps alive (artifact.h). Every index in them is
// checked, so no bytes make a later call read outside. DATA_LOSS when they contradict themselves or
// the kind is unknown.
StatusOr<LoadedModel> OpenModel(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                Checksums checksums = Checksums::kVerify);

}  // namespace starling::learning
