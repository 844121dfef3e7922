#include "services/features/interaction_table.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "platform/base/hash.h"

namespace starling::features {
namespace {

constexpr size_t kFewRows = 8;

// The rows whose ids the history does not have, each id once.
std::vector<Row> NotYetThere(const History& history, std::span<const Row> rows) {
  std::vector<Row> fresh;
  if (rows.size() <= kFewRows) {
    for (const Row& row : rows) {
      const bool again = std::any_of(fresh.begin(), fresh.end(),
                                     [&](const Row& earlier) { return earlier.id == row.id; });
      if (!again && !history.HasId(row.id)) fresh.push_back(row);
    }
    return fresh;
  }
  absl::flat_hash_set<uint64_t> wanted;
  for (const Row& row : rows) wanted.insert(row.id);
  for (const uint64_t id : history.ids()) wanted.erase(id);
  for (const Row& row : rows) {
    if (wanted.erase(row.id) > 0) fresh.push_back(row);
  }
  return fresh;
}

uint32_t CountImpressions(std::span<const Row> rows) {
  return static_cast<uint32_t>(std::count_if(
      rows.begin(), rows.end(), [](const Row& row) { return row.kind == Kind::kImpression; }));
}

// The products of some places from `begin` on, each once.
std::vector<uint32_t> ProductsOf(const std::vector<InteractionTable::Place>& places, size_t begin) {
  std::vector<uint32_t> products;
  for (size_t i = begin; i < places.size(); ++i) products.push_back(places[i].row.product);
  std::sort(products.begin(), products.end());
  products.erase(std::unique(products.begin(), products.end()), products.end());
  return products;
}

}  // namespace

uint32_t InteractionTable::InternUser(std::string_view user_id) {
  if (const auto known = user_names_.Find(user_id)) return *known;
  const std::lock_guard lock(mutex_);
  const uint32_t user = user_names_.Intern(user_id);
  if (user == users_.size()) users_.emplace_back();
  return user;
}

uint32_t InteractionTable::InternProduct(std::string_view product_id) {
  if (const auto known = product_names_.Find(product_id)) return *known;
  const std::lock_guard lock(mutex_);
  const uint32_t product = product_names_.Intern(product_id);
  if (product == products_.size()) products_.emplace_back();
  products_[product].key = Hash64(product_id);
  return product;
}

InteractionTable::Change InteractionTable::Plan(std::span<const Incoming> incoming, Source source) {
  struct Placed {
    uint32_t user;
    Row row;
  };
  Change change;
  std::vector<Placed> placed;
  placed.reserve(incoming.size());
  change.products_.reserve(incoming.size());
  std::string_view last_id;
  uint32_t user = 0;
  for (const Incoming& one : incoming) {
    if (placed.empty() || one.user_id != last_id) user = InternUser(one.user_id);
    last_id = one.user_id;
    Placed& place = placed.emplace_back(Placed{user, one.row});
    place.row.product = InternProduct(one.product_id);
    change.products_.push_back(place.row.product);
  }
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return a.user != b.user ? a.user < b.user : a.row.Before(b.row);
  });
  std::vector<Row> rows;
  for (size_t begin = 0; begin < placed.size();) {
    rows.clear();
    size_t end = begin;
    for (; end < placed.size() && placed[end].user == placed[begin].user; ++end)
      rows.push_back(placed[end].row);
    PlanUser(placed[begin].user, rows, source, change);
    begin = end;
  }
  return change;
}

void InteractionTable::PlanUser(uint32_t number, std::span<const Row> rows, Source source,
                                Change& change) {
  const User& user = users_[number];
  // What is on the disk is there once.
  std::vector<Row> fresh = source == kStored ? std::vector<Row>(rows.begin(), rows.end())
                                             : NotYetThere(user.history, rows);
  if (fresh.empty()) return;
  const size_t added = change.added_.size();
  const size_t removed = change.removed_.size();
  Change::User planned{.user = number};
  if (GoesBehind(user, fresh)) {
    Append(user, std::move(fresh), change, planned);
  } else {
    Merge(user, fresh, source, change, planned);
  }
  for (const uint32_t product : ProductsOf(change.added_, added)) {
    if (!user.history.HasProduct(product)) change.links_.push_back({product, true});
  }
  for (const uint32_t product : ProductsOf(change.removed_, removed)) {
    if (user.history.HasProduct(product) && !planned.history.HasProduct(product))
      change.links_.push_back({product, false});
    change.products_.push_back(product);
  }
  planned.added = change.added_.size();
  planned.removed = change.removed_.size();
  planned.links = change.links_.size();
  change.users_.push_back(std::move(planned));
}

// Whether the rows come after all that the user has, and no impression need go.
bool InteractionTable::GoesBehind(const User& user, const std::vector<Row>& rows) const {
  const History& history = user.history;
  return (history.empty() || history[history.size() - 1].Before(rows.front())) &&
         rows.size() <= bounds_.interactions &&
         user.impressions + CountImpressions(rows) <= bounds_.impressions;
}

void InteractionTable::Append(const User& user, std::vector<Row> rows, Change& change,
                              Change::User& planned) const {
  const size_t total = user.history.size() + rows.size();
  const auto drop =
      static_cast<uint32_t>(total > bounds_.interactions ? total - bounds_.interactions : 0);
  planned.impressions = user.impressions + CountImpressions(rows);
  for (uint32_t i = 0; i < drop; ++i) {
    const Row row = user.history[i];
    planned.impressions -= row.kind == Kind::kImpression ? 1 : 0;
    change.removed_.push_back({planned.user, row, true});
  }
  planned.history = user.history.Append(drop, rows);
  for (const Row& row : rows) change.added_.push_back({planned.user, row, false});
}

void InteractionTable::Merge(const User& user, const std::vector<Row>& rows, Source source,
                             Change& change, Change::User& planned) const {
  std::vector<Place> all;
  all.reserve(user.history.size() + rows.size());
  for (uint32_t i = 0; i < user.history.size(); ++i)
    all.push_back({planned.user, user.history[i], true});
  const auto middle = static_cast<ptrdiff_t>(all.size());
  for (const Row& row : rows) all.push_back({planned.user, row, false});
  std::inplace_merge(all.begin(), all.begin() + middle, all.end(),
                     [](const Place& a, const Place& b) { return a.row.Before(b.row); });

  size_t impressions = user.impressions + CountImpressions(rows);
  size_t impressions_to_drop =
      impressions > bounds_.impressions ? impressions - bounds_.impressions : 0;
  const size_t left = all.size() - impressions_to_drop;
  size_t to_drop = left > bounds_.interactions ? left - bounds_.interactions : 0;
  std::vector<Row> kept;
  kept.reserve(left - to_drop);
  for (const Place& place : all) {
    const bool impression = place.row.kind == Kind::kImpression;
    const bool too_many = impression && impressions_to_drop > 0;
    if (!too_many && to_drop == 0) {
      kept.push_back(place.row);
      if (!place.was_there) change.added_.push_back(place);
      continue;
    }
    --(too_many ? impressions_to_drop : to_drop);
    impressions -= impression ? 1 : 0;
    if (place.was_there || source == kStored) change.removed_.push_back(place);
  }
  planned.impressions = static_cast<uint32_t>(impressions);
  planned.history = History::Of(kept);
}

void InteractionTable::Publish(Change change) {
  const std::lock_guard whole(whole_);
  Change::User none;
  const Change::User* before = &none;
  for (Change::User& planned : change.users_) {
    Apply(change, *before, planned);
    before = &planned;
  }
  ReleaseUnused(change.products_);
}

// Leaves the old history in `planned`, so that it is freed without the lock.
void InteractionTable::Apply(Change& change, const Change::User& before, Change::User& planned) {
  const std::lock_guard lock(mutex_);
  User& user = users_[planned.user];
  std::swap(user.history, planned.history);
  user.impressions = planned.impressions;
  counted_.users +=
      static_cast<int64_t>(!user.history.empty()) - static_cast<int64_t>(!planned.history.empty());
  for (size_t i = before.added; i < planned.added; ++i) {
    const Row& row = change.added_[i].row;
    Product& product = products_[row.product];
    if (product.interactions++ == 0) ++counted_.products;
    const double weight = PopularityWeight(row.kind);
    if (weight > 0) product.popularity.Add(weight, row.time, bounds_.half_life);
    const bool first = counted_.interactions++ == 0;
    counted_.oldest = first ? row.time : std::min<int64_t>(counted_.oldest, row.time);
    counted_.newest = first ? row.time : std::max<int64_t>(counted_.newest, row.time);
  }
  for (size_t i = before.removed; i < planned.removed; ++i) {
    if (!change.removed_[i].was_there) continue;
    const Row& row = change.removed_[i].row;
    Product& product = products_[row.product];
    if (--product.interactions == 0) --counted_.products;
    const double weight = PopularityWeight(row.kind);
    if (weight > 0) product.popularity.Subtract(weight, row.time, bounds_.half_life);
    --counted_.interactions;
    if (row.time == counted_.oldest) oldest_known_ = false;
  }
  for (size_t i = before.links; i < planned.links; ++i) Link(planned.user, change.links_[i]);
}

void InteractionTable::Link(uint32_t user, const Change::Link& link) {
  std::vector<uint32_t>& users = products_[link.product].users;
  if (link.there) {
    users.push_back(user);
    return;
  }
  const auto at = std::find(users.begin(), users.end(), user);
  if (at == users.end()) return;
  *at = users.back();
  users.pop_back();
}

void InteractionTable::ReleaseUnused(const std::vector<uint32_t>& products) {
  const std::lock_guard lock(mutex_);
  for (const uint32_t product : products) {
    if (products_[product].interactions == 0) unused_.push_back(product);
  }
  if (pins_ > 0 || unused_.empty()) return;
  std::sort(unused_.begin(), unused_.end());
  unused_.erase(std::unique(unused_.begin(), unused_.end()), unused_.end());
  for (const uint32_t product : unused_) {
    if (products_[product].interactions > 0) continue;  // it came back
    products_[product] = Product();
    product_names_.Release(product);
  }
  unused_.clear();
}

}  // namespace starling::features
