// Makes the bytes of a recommender from fitted models.
//
//   StatusOr<std::string> bytes = WriteRecommender({.items = items, .users = users,
//                                                   .history = history, .similar = &ease, ...});
#pragma once

#include <string>
#include <vector>

#include "learning/models/factor_model.h"
#include "learning/models/item_to_item.h"
#include "learning/models/popularity.h"
#include "learning/models/repeat.h"
#include "learning/ranking/item_facts.h"
#include "learning/recommender/recommender.h"

namespace starling::learning {

// What the users did: entries offsets[u] to offsets[u + 1] are of user u. One entry an item.
struct UserHistory {
  std::vector<uint64_t> offsets;  // users + 1
  std::vector<uint32_t> items;
  std::vector<float> weights;    // the strength of the strongest event
  std::vector<float> x;          // the same, aged by settings.half_life until settings.until
  std::vector<float> goals;      // goals, each aged by settings.repeat_half_life
  std::vector<PairFacts> facts;  // empty: no second stage
  // With a next_basket: its v of each entry (0 where it has none), and each user's baskets.
  std::vector<float> frequency;
  std::vector<uint32_t> baskets;
};

struct RecommenderParts {
  const IdTable& items;  // the models may know only the first of them; the others nobody had
  const IdTable& users;
  const UserHistory& history;
  RecommenderSettings settings;
  std::string algorithm;
  const PopularityModel& popularity;
  // At most one of these two; models that weigh nothing themselves (linear, no half-life), since
  // the history is weighed already.
  const ItemToItemModel* similar = nullptr;
  const FactorModel* factors = nullptr;
  // Of the factors: what serving need not build (retrieval/hnsw.h).
  const HnswGraph* graph = nullptr;
  const RepeatModel* repeat = nullptr;
  // The main model when there is neither of those; else told to the trees.
  const NextBasketModel* next_basket = nullptr;
  // Of all items.
  const ItemToItemModel* content = nullptr;
  // Of the first items, `vector_dimension` values each (models/item_vectors.h).
  std::span<const float> vectors = {};
  size_t vector_dimension = 0;
  // For a second stage: FactsOfItems at settings.until, what the catalogue says when that is known,
  // and trees over the first of kRankFeatures.
  std::span<const float> item_facts = {};
  const ItemAttributes* attributes = nullptr;
  const BoostedTrees* trees = nullptr;
  size_t neighbours = 100;  // of each item's weights, the largest by magnitude are kept
};

// Takes about twice the artifact's size. INVALID_ARGUMENT when sizes contradict each other.
StatusOr<std::string> WriteRecommender(const RecommenderParts& parts);

}  // namespace starling::learning
