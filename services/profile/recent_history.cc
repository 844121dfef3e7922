#include "services/profile/recent_history.h"

#include <algorithm>

namespace starling::profile {

bool IsNewer(const google::protobuf::Timestamp& a, const google::protobuf::Timestamp* b) {
  return b == nullptr || std::pair(a.seconds(), a.nanos()) > std::pair(b->seconds(), b->nanos());
}

RecentHistory::RecentHistory(size_t users, int per_user)
    : users_per_shard_(users / std::tuple_size_v<decltype(shards_)>), per_user_(per_user) {}

RecentHistory::Load::Load(Load&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), user_id_(std::move(other.user_id_)) {}

RecentHistory::Load::~Load() {
  if (owner_ == nullptr) return;
  Shard& shard = owner_->ShardOf(user_id_);
  const std::lock_guard lock(shard.mutex);
  (void)Finish(shard, user_id_);
}

std::optional<v1::GetHistoryResponse> RecentHistory::Find(
    std::string_view user_id, int limit, const google::protobuf::Timestamp* after) {
  Shard& shard = ShardOf(user_id);
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.at.find(user_id);
  if (at == shard.at.end()) return std::nullopt;
  shard.users.splice(shard.users.begin(), shard.users, at->second);
  const auto& newest = at->second->newest;
  const auto end = std::find_if(newest.begin(), newest.end(), [&](const v1::Interaction& each) {
    return !IsNewer(each.occurred_at(), after);
  });
  // All that is held is newer, and what is not held may be so too.
  if (limit > per_user_ && end == newest.end() && newest.size() >= static_cast<size_t>(per_user_))
    return std::nullopt;
  const int count = std::min(limit, static_cast<int>(end - newest.begin()));
  v1::GetHistoryResponse response;
  response.mutable_interactions()->Reserve(count);
  for (int i = 0; i < count; ++i) *response.add_interactions() = newest[static_cast<size_t>(i)];
  return response;
}

RecentHistory::Load RecentHistory::Begin(std::string_view user_id) {
  Shard& shard = ShardOf(user_id);
  const std::lock_guard lock(shard.mutex);
  ++shard.loading.try_emplace(std::string(user_id)).first->second.loads;
  return {*this, std::string(user_id)};
}

bool RecentHistory::Finish(Shard& shard, std::string_view user_id) {
  const auto loading = shard.loading.find(user_id);
  const bool changed = loading->second.changed;
  if (--loading->second.loads == 0) shard.loading.erase(loading);
  return !changed;
}

void RecentHistory::End(Load load, const v1::GetHistoryResponse& newest) {
  Shard& shard = ShardOf(load.user_id_);
  const std::lock_guard lock(shard.mutex);
  load.owner_ = nullptr;
  if (!Finish(shard, load.user_id_) || users_per_shard_ == 0 || shard.at.contains(load.user_id_))
    return;
  if (shard.users.size() >= users_per_shard_) {
    shard.at.erase(shard.users.back().user_id);
    shard.users.pop_back();
  }
  const int count = std::min(per_user_, newest.interactions_size());
  User& user = shard.users.emplace_front(User{load.user_id_, {}});
  user.newest.assign(newest.interactions().begin(), newest.interactions().begin() + count);
  shard.at.emplace(load.user_id_, shard.users.begin());
}

void RecentHistory::Add(std::string_view user_id, const v1::Interaction& interaction) {
  Shard& shard = ShardOf(user_id);
  const std::lock_guard lock(shard.mutex);
  if (const auto loading = shard.loading.find(user_id); loading != shard.loading.end())
    loading->second.changed = true;
  const auto at = shard.at.find(user_id);
  if (at == shard.at.end()) return;
  auto& newest = at->second->newest;
  // Of one time in the order of the ids, as the database has them.
  const auto place = std::find_if(newest.begin(), newest.end(), [&](const v1::Interaction& other) {
    return !IsNewer(other.occurred_at(), &interaction.occurred_at()) &&
           (IsNewer(interaction.occurred_at(), &other.occurred_at()) ||
            other.event_id() < interaction.event_id());
  });
  newest.insert(place, interaction);
  if (newest.size() > static_cast<size_t>(per_user_)) newest.pop_back();
}

void RecentHistory::Remove(std::string_view user_id) {
  Shard& shard = ShardOf(user_id);
  const std::lock_guard lock(shard.mutex);
  if (const auto loading = shard.loading.find(user_id); loading != shard.loading.end())
    loading->second.changed = true;
  const auto at = shard.at.find(user_id);
  if (at == shard.at.end()) return;
  shard.users.erase(at->second);
  shard.at.erase(at);
}

}  // namespace starling::profile
