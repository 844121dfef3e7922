#include "services/profile/heard_lately.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "services/profile/recent_history.h"

namespace starling::profile {

void HeardLately::Add(const std::string& user_id, v1::Interaction interaction, Instant now) {
  const std::lock_guard lock(mutex_);
  while (!order_.empty() && (order_.size() >= limit_ || now - order_.front().at > age_))
    DropOldest();
  order_.push_back({user_id, now});
  by_user_[user_id].push_back(std::move(interaction));
}

void HeardLately::DropOldest() {
  const auto user = by_user_.find(order_.front().user_id);
  user->second.pop_front();
  if (user->second.empty()) by_user_.erase(user);
  order_.pop_front();
}

std::vector<v1::Interaction> HeardLately::Of(const std::string& user_id) const {
  const std::lock_guard lock(mutex_);
  const auto user = by_user_.find(user_id);
  if (user == by_user_.end()) return {};
  return {user->second.begin(), user->second.end()};
}

void Merge(const std::vector<v1::Interaction>& news, const google::protobuf::Timestamp* after,
           int64_t forgotten_at, int limit, v1::GetHistoryResponse& history) {
  auto& interactions = *history.mutable_interactions();
  std::unordered_set<std::string_view> known;
  for (const v1::Interaction& each : interactions) known.insert(each.event_id());
  std::vector<const v1::Interaction*> added;
  for (const v1::Interaction& each : news) {
    const auto& at = each.occurred_at();
    if (at.seconds() * 1'000'000'000 + at.nanos() > forgotten_at && IsNewer(at, after) &&
        known.insert(each.event_id()).second) {
      added.push_back(&each);
    }
  }
  for (const v1::Interaction* each : added) *interactions.Add() = *each;
  const auto key = [](const v1::Interaction& each) {
    return std::tuple(each.occurred_at().seconds(), each.occurred_at().nanos(),
                      std::string_view(each.event_id()));
  };
  if (!added.empty()) {
    std::sort(interactions.begin(), interactions.end(),
              [&](const auto& a, const auto& b) { return key(a) > key(b); });
  }
  if (interactions.size() > limit) interactions.DeleteSubrange(limit, interactions.size() - limit);
}

}  // namespace starling::profile
