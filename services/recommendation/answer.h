// A recommendation on its way: what is asked for, and what is known so far. Each step of
// RecommendationService (answer_steps.cc) adds to the answer; one coroutine at a time works on it.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <deque>

#include "services/recommendation/recommendation_service.h"

namespace starling::recommendation {

using catalog::v1::Product;
using inference::v1::ScoredProduct;

struct RecommendationService::Ask {
  std::string user_id;
  size_t limit = 10;
  Placement placement = Placement::kHome;
  std::vector<std::string> seeds;  // the product looked at, or what is in the cart
  std::shared_ptr<const RecommendationConfig> config;

  bool repeats() const {
    return std::find(config->repeats_in.begin(), config->repeats_in.end(), Name(placement)) !=
           config->repeats_in.end();
  }
  // Whether the user is one of those who are shown the experiment's version.
  bool in_experiment() const;
  // So that an answer is full whatever the rules leave out.
  size_t wanted() const { return limit + limit / 2; }
};

struct RecommendationService::Answer {
  // Up to then, in unix seconds, the model knows what the user did, so that `history` goes back but
  // a day further.
  std::optional<int64_t> after;
  profile::v1::GetHistoryResponse history;
  std::vector<std::string> seen_too_often;
  bool shows_seen = false;                         // these too, behind the rest
  absl::flat_hash_set<std::string_view> excluded;  // of config, ask, history and seen_too_often
  Ranked ranked;
  inference::v1::ListNearestResponse nearest;
  std::deque<ScoredProduct> popular;             // behind those
  std::vector<const ScoredProduct*> candidates;  // best first
  // What is shown, and the candidates that these are: nullptr for what the shop has pinned.
  struct Item {
    std::shared_ptr<const Product> card;
    const ScoredProduct* scored = nullptr;
  };
  std::vector<Item> items;
  Cards because;      // of each item, what counted most; nullptr when nothing or it is not known
  bool gone = false;  // the product that is looked at is not in the catalogue
  bool model_ranked = false;  // now, not for an earlier answer
  std::vector<std::string> degraded;
};

}  // namespace starling::recommendation
