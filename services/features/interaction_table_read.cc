// What is read from the table, from any thread: never more than kAtOnce entries under one lock, so
// that nobody waits long for it.
#include <algorithm>

#include "services/features/interaction_table.h"

namespace starling::features {
namespace {

constexpr size_t kAtOnce = 4'096;

// Calls f(begin, end) with the lock held, for parts that cover [0, size).
template <typename F>
void InParts(std::mutex& mutex, size_t size, F f) {
  for (size_t begin = 0; begin < size; begin += kAtOnce) {
    const std::lock_guard lock(mutex);
    f(begin, std::min(size, begin + kAtOnce));
  }
}

}  // namespace

History InteractionTable::Find(std::string_view user_id) const {
  const std::lock_guard lock(mutex_);
  const auto user = user_names_.Find(user_id);
  return user ? users_[*user].history : History();
}

InteractionTable::Keyed InteractionTable::FindKeyed(std::string_view user_id) const {
  const auto pin = Pin();  // so that the numbers in the history stay those of its products
  Keyed keyed{.history = Find(user_id)};
  const std::span<const uint32_t> products = keyed.history.products();
  keyed.product_keys.resize(products.size());
  InParts(mutex_, products.size(), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) keyed.product_keys[i] = products_[products[i]].key;
  });
  return keyed;
}

InteractionTable::Owners InteractionTable::FindOwners(
    std::span<const std::string* const> product_ids) const {
  Owners owners;
  std::vector<uint32_t> users;
  std::vector<bool> listed;
  for (const std::string* id : product_ids) {
    const std::lock_guard lock(mutex_);
    const auto product = product_names_.Find(*id);
    owners.products.push_back(product);
    if (!product) continue;
    const std::vector<uint32_t>& its = products_[*product].users;
    if (product_ids.size() == 1) {
      users = its;
      continue;
    }
    listed.resize(users_.size());
    for (const uint32_t user : its) {
      if (listed[user]) continue;
      listed[user] = true;
      users.push_back(user);
    }
  }
  owners.users.reserve(users.size());
  InParts(mutex_, users.size(), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      owners.users.emplace_back(users[i], users_[users[i]].history);
      owners.rows += owners.users.back().second.size();
    }
  });
  return owners;
}

InteractionTable::Statistics InteractionTable::Count() const {
  const std::lock_guard lock(mutex_);
  if (counted_.interactions == 0) return {};
  if (!oldest_known_) {
    counted_.oldest = counted_.newest;
    for (const User& user : users_) {
      if (!user.history.empty())
        counted_.oldest = std::min<int64_t>(counted_.oldest, user.history[0].time);
    }
    oldest_known_ = true;
  }
  return counted_;
}

std::vector<InteractionTable::Popular> InteractionTable::MostPopular(int64_t at,
                                                                     size_t limit) const {
  struct Ranked {
    double score;
    const std::string* id;
  };
  const auto pin = Pin();
  size_t size;
  {
    const std::lock_guard lock(mutex_);
    size = products_.size();
  }
  std::vector<Ranked> ranked;
  ranked.reserve(size);
  InParts(mutex_, size, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const double score = products_[i].popularity.At(at, bounds_.half_life);
      if (score > 0) ranked.push_back({score, product_names_.Name(static_cast<uint32_t>(i))});
    }
  });
  const auto end = ranked.begin() + static_cast<ptrdiff_t>(std::min(limit, ranked.size()));
  std::partial_sort(ranked.begin(), end, ranked.end(), [](const Ranked& a, const Ranked& b) {
    return a.score != b.score ? a.score > b.score : *a.id < *b.id;
  });
  std::vector<Popular> popular;
  for (auto one = ranked.begin(); one != end; ++one) popular.push_back({*one->id, one->score});
  return popular;
}

InteractionTable::Snapshot InteractionTable::Copy() const {
  const std::lock_guard whole(whole_);
  Snapshot snapshot;
  snapshot.pin_ = Pin();
  size_t users, products;
  {
    const std::lock_guard lock(mutex_);
    users = users_.size();
    products = products_.size();
  }
  snapshot.users_.reserve(users);
  InParts(mutex_, users, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (users_[i].history.empty()) continue;
      snapshot.users_.push_back({user_names_.Name(static_cast<uint32_t>(i)), users_[i].history});
    }
  });
  snapshot.products_.reserve(products);
  InParts(mutex_, products, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      snapshot.products_.push_back(product_names_.Name(static_cast<uint32_t>(i)));
  });
  std::sort(snapshot.users_.begin(), snapshot.users_.end(),
            [](const Snapshot::User& a, const Snapshot::User& b) { return *a.id < *b.id; });
  return snapshot;
}

std::shared_ptr<const void> InteractionTable::Pin() const {
  const std::lock_guard lock(mutex_);
  ++pins_;
  return {&pins_, [this](const void*) {
            const std::lock_guard release(mutex_);
            --pins_;
          }};
}

}  // namespace starling::features
