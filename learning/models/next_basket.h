// What a user's next basket holds: what the user takes again and again, with what people take who
// are alike. TIFU-kNN (Hu, He, Gao, Zhang, "Modeling personalized item frequency information for
// next-basket recommendation", SIGIR 2020).
//
//   STARLING_ASSIGN_OR_RETURN(NextBasketModel model, FitNextBasket(baskets, {.neighbours = 300}));
//
// A user's n baskets are cut into groups of `group`, counted from the newest. With p the place of a
// basket in its group and g that of its group, both from 0 for the newest,
//
//   v_i = sum over the baskets with i of within_decay^p across_decay^g / n,
//   score(i) = own_share v_i + (1 - own_share) mean over the neighbours of their v_i,
//
// the neighbours being the users whose v has the largest cosine with it (the paper takes the
// nearest; of vectors of one length that is the same). The paper takes the mean within each group
// first, by which the few baskets of a small oldest group would count more than newer ones. A
// half_life also halves a basket by its age, counted from the user's newest.
//
// The model holds the vectors of those it was fitted to, the `history_cap` largest entries of each,
// without names: any history is folded in, and a user that is among them is a neighbour of itself,
// which changes each mean by 1 / neighbours. A call adds up the users of each item of the history,
// of which at most kMostUsersOfItem with the largest weights are kept, then the vectors of the
// neighbours: some 100 us with 4,000 users and 60 items each. 16 bytes an entry.
#pragma once

#include "learning/baskets.h"
#include "learning/math/parallel.h"
#include "learning/models/model.h"

namespace starling::learning {

inline constexpr std::string_view kNextBasketKind = "next_basket";

// How a history becomes a vector.
struct FrequencyOptions {
  int group = 7;              // baskets, >= 1
  double within_decay = 0.9;  // in (0, 1]
  double across_decay = 0.7;  // in (0, 1]
  double half_life = 0;       // seconds; 0: none
};

struct NextBasketOptions {
  FrequencyOptions frequency;
  int neighbours = 300;      // >= 1
  double own_share = 0.7;    // in [0, 1]
  size_t history_cap = 500;  // entries of a user, >= 1
  size_t memory_limit = size_t{4} << 30;
};

struct FrequencyEntry {
  uint32_t item;
  float weight;  // > 0
};
// v of baskets `begin` to `end`, all of one user; by ascending item.
std::vector<FrequencyEntry> Frequencies(const Baskets& baskets, size_t begin, size_t end,
                                        const FrequencyOptions& options);

// Adds newer baskets to a v of `before` older ones, without looking at these again: each is moved
// back as a whole, by across_decay each `group` baskets, where the definition moves it in steps. So
// it is exact for before == 0, and near it else. `entries` has no item twice, nor afterwards.
void FoldIn(const Baskets& newer, size_t before, const FrequencyOptions& options,
            std::vector<FrequencyEntry>& entries);

// Buffers of one thread, for models of any size: 4 bytes a user.
struct NeighbourScratch {
  std::vector<float> dots;  // all 0 between calls
  std::vector<uint32_t> alike;
};

class NextBasketModel final : public Model {
 public:
  static constexpr size_t kMostUsersOfItem = 2'000;

  static StatusOr<NextBasketModel> Open(const Artifact& artifact);

  std::string_view kind() const override { return kNextBasketKind; }
  size_t items() const override { return item_offsets_.size() - 1; }
  const FrequencyOptions& frequency() const { return frequency_; }
  float own_share() const { return own_share_; }
  size_t users() const { return offsets_.size() - 1; }
  void Score(History history, int64_t now, std::span<float> scores) const override;
  // The item itself, when it is in the history.
  std::vector<std::optional<uint32_t>> Explain(History history, int64_t now,
                                               std::span<const uint32_t> items) const override;
  void AddTo(ArtifactWriter& writer) const override;

  // Adds `scale` times the mean over the neighbours of their v to `scores`, as many as items().
  // `own` has no item twice, and none beyond items().
  void AddNeighbours(std::span<const FrequencyEntry> own, float scale, NeighbourScratch& scratch,
                     std::span<float> scores) const;

 private:
  friend StatusOr<NextBasketModel> FitNextBasket(const Baskets& baskets,
                                                 const NextBasketOptions& options,
                                                 const Progress& progress);
  NextBasketModel() = default;
  void ReadParameters();

  Array<double> parameters_;  // group, within, across, half_life, neighbours, own_share
  FrequencyOptions frequency_;
  size_t neighbours_ = 0;
  float own_share_ = 0;
  Array<uint64_t> offsets_;  // users + 1
  Array<uint32_t> entry_items_;
  Array<float> weights_;
  Array<uint64_t> item_offsets_;  // items + 1
  Array<uint32_t> item_users_;
  Array<float> item_weights_;  // of a vector of length 1
};

StatusOr<NextBasketModel> FitNextBasket(const Baskets& baskets, const NextBasketOptions& options,
                                        const Progress& progress = {});
// Bytes that it takes at most beside the baskets, the model included.
uint64_t NextBasketMemory(const Baskets& baskets, const NextBasketOptions& options);

}  // namespace starling::learning
