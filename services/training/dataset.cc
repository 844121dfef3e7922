#include "services/training/dataset.h"

#include <algorithm>
#include <unordered_set>

#include "learning/ranking/item_facts.h"
#include "learning/recommender/packed_rows.h"
#include "platform/base/clock.h"
#include "platform/base/hash.h"

namespace starling::training {
namespace {

// Of an event in the two parts that are made of the events.
constexpr uint64_t kBytesOfParts = 130;

using learning::EventKind;
using learning::Goal;

EventKind KindOf(features::v1::InteractionType type) {
  switch (type) {
    case features::v1::INTERACTION_TYPE_VIEW:
      return EventKind::kView;
    case features::v1::INTERACTION_TYPE_CLICK:
      return EventKind::kClick;
    case features::v1::INTERACTION_TYPE_CART:
      return EventKind::kCart;
    case features::v1::INTERACTION_TYPE_PURCHASE:
      return EventKind::kPurchase;
    case features::v1::INTERACTION_TYPE_RATE:
      return EventKind::kRate;
    case features::v1::INTERACTION_TYPE_IMPRESSION:
      return EventKind::kImpression;
    default:
      return EventKind::kOther;
  }
}

uint64_t Mix(uint64_t seed, uint64_t value) {
  return Hash64({reinterpret_cast<const char*>(&value), sizeof value}, seed);
}

// Of strings in the maps and vectors, beside their own bytes.
constexpr uint64_t kBytesPerName = 150;

}  // namespace

uint32_t DatasetBuilder::ItemOf(const std::string& id) {
  const auto [at, is_new] = index_.try_emplace(id, static_cast<uint32_t>(items_.size()));
  if (is_new) {
    items_.push_back(id);
    bytes_ += kBytesPerName + 2 * id.size();
  }
  return at->second;
}

Status DatasetBuilder::Add(const features::v1::UserInteractions& user) {
  const int count = user.product_ids_size();
  if (user.types_size() != count || user.occurred_at_size() != count) {
    return InvalidArgument(
        "the interactions of user '{}' have {} products, {} types and {} times; features must send "
        "one of each",
        user.user_id(), count, user.types_size(), user.occurred_at_size());
  }
  const size_t first = events_.size();
  const auto index = static_cast<uint32_t>(users_.size());
  for (int i = 0; i < count; ++i) {
    const EventKind kind = KindOf(user.types(i));
    const auto weight = static_cast<float>(weights_[static_cast<size_t>(kind)]);
    if (weight <= 0 || user.product_ids(i).empty()) continue;
    events_.push_back({index, ItemOf(user.product_ids(i)), user.occurred_at(i), weight, kind});
  }
  if (events_.size() == first) return OkStatus();
  std::sort(events_.begin() + static_cast<ptrdiff_t>(first), events_.end(),
            [](const Event& a, const Event& b) {
              return a.item != b.item ? a.item < b.item : a.time < b.time;
            });
  users_.push_back(user.user_id());
  bytes_ += kBytesPerName + user.user_id().size();
  fingerprint_ = Hash64(user.user_id(), fingerprint_);
  for (size_t i = first; i < events_.size(); ++i) {
    const Event& event = events_[i];
    fingerprint_ = Hash64(items_[event.item], fingerprint_);
    fingerprint_ = Mix(fingerprint_, static_cast<uint64_t>(event.time));
    fingerprint_ =
        Mix(fingerprint_, static_cast<uint64_t>(event.weight * 1e6F) * learning::kEventKinds +
                              static_cast<uint64_t>(event.kind));
  }
  // Events, and the two parts that are made of them.
  if (const uint64_t need = bytes_ + events_.size() * (sizeof(Event) + kBytesOfParts);
      need > memory_limit_) {
    return ResourceExhausted(
        "{} interactions take more than the {} MB that training.memory allows; raise it, or keep "
        "fewer interactions",
        events_.size(), memory_limit_ / 1'000'000);
  }
  return OkStatus();
}

StatusOr<Dataset> DatasetBuilder::Finish() && {
  if (events_.empty()) {
    return FailedPrecondition(
        "there is nothing to train on: no user did anything that counts; send events to POST "
        "/v1/events, or import them");
  }
  index_.clear();
  Dataset data;
  STARLING_ASSIGN_OR_RETURN(data.users, learning::IdTable::Make(users_));
  STARLING_ASSIGN_OR_RETURN(data.items, learning::IdTable::Make(items_));
  data.acted_on = data.items.size();
  data.events = std::move(events_);
  data.fingerprint = fingerprint_;
  const auto [oldest, newest] =
      std::minmax_element(data.events.begin(), data.events.end(),
                          [](const Event& a, const Event& b) { return a.time < b.time; });
  data.oldest = oldest->time;
  data.newest = newest->time;
  return data;
}

Status Describe(std::span<const Described> products, Dataset& data) {
  using learning::ItemAttributes;
  std::vector<std::string> names;
  std::unordered_set<std::string_view> added;
  for (uint32_t item = 0; item < data.acted_on; ++item) names.emplace_back(data.items.Id(item));
  for (const Described& product : products) {
    if (names.size() == learning::kMostItems) break;
    if (!data.items.Find(product.id).has_value() && added.insert(product.id).second)
      names.push_back(product.id);
  }
  STARLING_ASSIGN_OR_RETURN(data.items, learning::IdTable::Make(names));
  data.attributes = ItemAttributes(names.size());
  data.terms = learning::ItemTerms(names.size());
  const auto describe = [&](const Described& product, uint32_t item) {
    const auto& categories = product.categories;
    if (!categories.empty()) {
      data.attributes.SetGroup(item, ItemAttributes::kWidest, categories.front());
      data.attributes.SetGroup(item, ItemAttributes::kNext,
                               categories[std::min<size_t>(1, categories.size() - 1)]);
      data.attributes.SetGroup(item, ItemAttributes::kNarrowest, categories.back());
    }
    data.attributes.SetGroup(item, ItemAttributes::kBrand, product.brand);
    data.attributes.SetPrice(item, product.price);
    data.terms.AddText(item, product.title);
    for (const std::string& category : categories) data.terms.AddLabel(item, category);
    data.terms.AddLabel(item, product.brand);
  };
  // New products last, so that groups are numbered, and ties broken, as without them.
  for (const bool is_new : {false, true}) {
    for (const Described& product : products) {
      const std::optional<uint32_t> item = data.items.Find(product.id);
      if (item.has_value() && (*item >= data.acted_on) == is_new) describe(product, *item);
    }
  }
  return OkStatus();
}

StatusOr<Dataset> Before(const Dataset& data, int64_t cut) {
  Dataset before{.events = {},
                 .users = data.users,
                 .items = data.items,
                 .acted_on = data.acted_on,
                 .attributes = data.attributes,
                 .terms = data.terms};
  std::copy_if(data.events.begin(), data.events.end(), std::back_inserter(before.events),
               [&](const Event& event) { return event.time < cut; });
  if (before.events.empty()) {
    return FailedPrecondition("nobody did anything before {}; the oldest event is of {}",
                              FormatRfc3339(TimePoint(std::chrono::seconds(cut))),
                              FormatRfc3339(TimePoint(std::chrono::seconds(data.oldest))));
  }
  before.oldest = data.oldest;
  before.newest = std::max_element(before.events.begin(), before.events.end(),
                                   [](const Event& a, const Event& b) { return a.time < b.time; })
                      ->time;
  before.fingerprint = data.fingerprint ^ static_cast<uint64_t>(cut);
  return before;
}

bool IsGoal(const Event& event, Goal goal) {
  return goal == Goal::kAnything || event.kind == EventKind::kPurchase;
}

StatusOr<Part> MakePart(const Dataset& data, int64_t until, Goal goal) {
  Part part{.until = until, .goal = goal};
  std::vector<learning::Interaction> strengths;
  std::vector<learning::Interaction> goals;
  std::vector<learning::Interaction> each_goal;
  for (size_t i = 0; i < data.events.size();) {
    const Event& first = data.events[i];
    learning::Interaction pair{first.user, first.item, 0, 0};
    float count = 0;
    double aged = 0;
    double lately = 0;
    int64_t last_goal = -1;
    int64_t first_goal = -1;
    for (; i < data.events.size() && data.events[i].user == first.user &&
           data.events[i].item == first.item;
         ++i) {
      const Event& event = data.events[i];
      if (event.time > until) continue;
      pair.weight = std::max(pair.weight, event.weight);
      pair.time = std::max(pair.time, event.time);
      if (IsGoal(event, goal) && event.time != last_goal) {
        ++count;
        aged += learning::Decay(kRepeatHalfLife, event.time, until);
        lately += learning::Decay(learning::kLatelyHalfLife, event.time, until);
        each_goal.push_back({event.user, event.item, 1, event.time});
        last_goal = event.time;
        if (first_goal < 0) first_goal = event.time;
      }
    }
    if (pair.weight <= 0) continue;
    strengths.push_back(pair);
    // What happened long ago still happened.
    part.aged_goals.push_back(count > 0 ? std::max(static_cast<float>(aged), 1e-30F) : 0);
    const auto days = [&](int64_t time) {
      return static_cast<float>(static_cast<double>(until - time) / learning::kDay);
    };
    part.facts.push_back(count > 0 ? learning::PairFacts{count, days(first_goal), days(last_goal),
                                                         static_cast<float>(lately)}
                                   : learning::PairFacts());
    if (count > 0) goals.push_back({pair.user, pair.item, count, pair.time});
  }
  STARLING_ASSIGN_OR_RETURN(
      part.strengths, learning::MakeInteractions(strengths, data.users.size(), data.acted_on));
  STARLING_ASSIGN_OR_RETURN(part.goals,
                            learning::MakeInteractions(goals, data.users.size(), data.acted_on));
  STARLING_ASSIGN_OR_RETURN(part.baskets,
                            learning::MakeBaskets(each_goal, data.users.size(), data.acted_on));
  return part;
}

std::vector<float> ItemFactsOf(const Dataset& data, int64_t until, Goal goal) {
  std::vector<learning::GoalEvent> goals;
  for (const Event& event : data.events) {
    if (event.time <= until && IsGoal(event, goal))
      goals.push_back({event.user, event.item, event.time});
  }
  std::vector<float> facts = learning::FactsOfItems(goals, data.items.size(), until);
  if (!data.attributes.empty()) learning::AddAttributes(data.attributes, facts);
  return facts;
}

namespace {

// One an entry of the user's row, which has every item of its baskets; both ascend.
void AddFrequencies(const learning::Baskets& baskets, size_t user,
                    const learning::Interactions::Row& row,
                    const learning::FrequencyOptions& options, learning::UserHistory& history) {
  const size_t begin = baskets.begin(user);
  const size_t end = baskets.end(user);
  const std::vector<learning::FrequencyEntry> own =
      learning::Frequencies(baskets, begin, end, options);
  size_t at = 0;
  for (const uint32_t item : row.items) {
    const bool has = at < own.size() && own[at].item == item;
    history.frequency.push_back(has ? own[at++].weight : 0);
  }
  history.baskets.push_back(static_cast<uint32_t>(end - begin));
}

}  // namespace

learning::UserHistory HistoryOf(const Part& part, double half_life,
                                const learning::FrequencyOptions* frequency) {
  learning::UserHistory history;
  history.goals = part.aged_goals;
  history.facts = part.facts;
  history.offsets.push_back(0);
  for (size_t user = 0; user < part.strengths.users(); ++user) {
    const learning::Interactions::Row row = part.strengths.row(user);
    if (frequency != nullptr) AddFrequencies(part.baskets, user, row, *frequency, history);
    for (size_t i = 0; i < row.size(); ++i) {
      history.items.push_back(row.items[i]);
      history.weights.push_back(row.weights[i]);
      history.x.push_back(row.weights[i] *
                          static_cast<float>(learning::Decay(half_life, row.times[i], part.until)));
    }
    history.offsets.push_back(history.items.size());
  }
  return history;
}

}  // namespace starling::training
