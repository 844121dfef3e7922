// What a training sees: every interaction of one state of the features service, and parts of it.
//
//   DatasetBuilder builder(config.weights.ByKind(), config.memory.count());
//   for each message: STARLING_RETURN_IF_ERROR(builder.Add(message));
//   STARLING_ASSIGN_OR_RETURN(Dataset data, std::move(builder).Finish());
//   STARLING_ASSIGN_OR_RETURN(Part older, MakePart(data, cut - 1, Goal::kPurchase));
//
// Of a user and a product only the strongest event and the last time count, so a page that is
// reloaded a hundred times says no more than one look; goals (purchases) are counted, those of one
// second once. 24 bytes an event. Pure.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "contracts/features/v1/features.pb.h"
#include "learning/baskets.h"
#include "learning/interactions.h"
#include "learning/item_terms.h"
#include "learning/ranking/item_attributes.h"
#include "learning/recommender/recommender_writer.h"

namespace starling::training {

struct Event {
  uint32_t user = 0;
  uint32_t item = 0;
  int64_t time = 0;  // unix seconds
  float weight = 0;  // > 0
  learning::EventKind kind = learning::EventKind::kOther;
};

struct Dataset {
  std::vector<Event> events;  // by user, item, time
  learning::IdTable users;
  learning::IdTable items;  // those with an event, then those that only the catalogue has
  size_t acted_on = 0;      // how many of them have an event
  int64_t oldest = 0;
  int64_t newest = 0;
  // Of all items; empty when the catalogue was not asked.
  learning::ItemAttributes attributes;
  learning::ItemTerms terms;
  uint64_t fingerprint = 0;  // the same interactions and weights have the same
};

// What the catalogue says of a product.
struct Described {
  std::string id, title, brand;
  std::vector<std::string> categories;  // the widest first
  double price = 0;                     // in any one currency; 0: not known
};
// Sets attributes and terms, and adds the products that nobody did anything with, in their order,
// as the last of the items.
Status Describe(std::span<const Described> products, Dataset& data);

class DatasetBuilder {
 public:
  DatasetBuilder(std::array<double, learning::kEventKinds> weights, uint64_t memory_limit)
      : weights_(weights), memory_limit_(memory_limit) {}
  // INVALID_ARGUMENT when the message's lists differ in length; RESOURCE_EXHAUSTED at the limit.
  Status Add(const features::v1::UserInteractions& user);
  // FAILED_PRECONDITION when there is nothing to train on.
  StatusOr<Dataset> Finish() &&;

 private:
  uint32_t ItemOf(const std::string& id);

  const std::array<double, learning::kEventKinds> weights_;
  const uint64_t memory_limit_;
  uint64_t bytes_ = 0;
  std::vector<std::string> users_;
  std::vector<std::string> items_;
  std::unordered_map<std::string, uint32_t> index_;
  std::vector<Event> events_;
  uint64_t fingerprint_ = 0;
};

// As it was at `cut`: without what was done then or later. FAILED_PRECONDITION when nothing is
// left.
StatusOr<Dataset> Before(const Dataset& data, int64_t cut);

// The interactions up to `until`, inclusive.
struct Part {
  int64_t until = 0;
  learning::Goal goal = learning::Goal::kPurchase;
  // users x acted_on: the strongest event with its last time, and how often there was a goal.
  learning::Interactions strengths;
  learning::Interactions goals;
  learning::Baskets baskets;  // of the goals
  // One an entry of `strengths`, in its order.
  std::vector<float> aged_goals;
  std::vector<learning::PairFacts> facts;
};
inline constexpr double kRepeatHalfLife = 60 * learning::kDay;

bool IsGoal(const Event& event, learning::Goal goal);
StatusOr<Part> MakePart(const Dataset& data, int64_t until, learning::Goal goal);
// What is known of each item at `until`: learning::FactsOfItems of the goals.
std::vector<float> ItemFactsOf(const Dataset& data, int64_t until, learning::Goal goal);
// What the users did as the recommender keeps it; with frequencies when `frequency` says how.
learning::UserHistory HistoryOf(const Part& part, double half_life,
                                const learning::FrequencyOptions* frequency = nullptr);

}  // namespace starling::training
