// Sparse weights from item to item: what item_knn, EASE, SLIM, transitions and content are once
// fitted.
//
//   score(j) = sum over the history of x_i W_ij,    x_i the weighed event (weighting.h)
//
// W is items x items in compressed rows, row i the items that i speaks for. Score writes every item
// once (0 for those nothing speaks for) and then adds one row for each event: about 1 ns a weight,
// so 50 events with 200 weights each take about 10 us; where items of a row follow each other, as
// when all weights are kept, it adds several at a time.
#pragma once

#include "learning/math/bump_rows.h"
#include "learning/models/model.h"
#include "learning/weighting.h"

namespace starling::learning {

inline constexpr std::string_view kItemKnnKind = "item_knn";
inline constexpr std::string_view kEaseKind = "ease";
inline constexpr std::string_view kSlimKind = "slim";
inline constexpr std::string_view kTransitionsKind = "transitions";
inline constexpr std::string_view kContentKind = "content";

class ItemToItemModel final : public Model {
 public:
  // A weight into one item.
  struct Source {
    uint32_t item;
    float weight;
  };

  // sources[j]: the weights into item j, by any order. kind: one of those above. unexplained: of
  // an EASE that may be relaxed, L_jj P_jj of each item.
  ItemToItemModel(std::string_view kind, const Weighting& weighting,
                  const BumpRows<Source>& sources, std::vector<float> unexplained = {});
  // What that takes beside the sources, the model included, and what those take.
  static uint64_t MemoryOf(size_t items, uint64_t weights) { return 16 * items + 8 * weights; }
  static uint64_t SourcesMemory(size_t items, uint64_t weights) { return 16 * items + 8 * weights; }
  static bool IsKind(std::string_view kind);
  static StatusOr<ItemToItemModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kind_; }
  size_t items() const override { return offsets_.size() - 1; }
  size_t weights() const { return targets_.size(); }
  void Score(History history, int64_t now, std::span<float> scores) const override;
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

  // Of a model that was fitted as EASE, unrelaxed: the same, relaxed (ease.h); shares all but the
  // weights. FAILED_PRECONDITION of any other, also of one that was opened.
  StatusOr<ItemToItemModel> Relaxed(double relaxation) const;

  // W_ij, from < items(); 0 when it was not kept. The logarithm of the row's length.
  float Weight(uint32_t from, uint32_t to) const;

 private:
  ItemToItemModel() = default;

  std::string_view kind_;
  Weighting weighting_;
  Array<double> parameters_;
  Array<uint64_t> offsets_;  // items + 1
  Array<uint32_t> targets_;  // ascending in each row
  Array<float> weights_;
  Array<float> unexplained_;  // items, or none
};

}  // namespace starling::learning
