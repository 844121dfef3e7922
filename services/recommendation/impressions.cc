#include "services/recommendation/impressions.h"

#include <algorithm>
#include <vector>

namespace starling::recommendation {

void Impressions::Seen(const std::string& user_id, const std::string& product_id) {
  Shard& shard = ShardOf(user_id);
  const std::lock_guard lock(shard.mutex);
  auto at = shard.at.find(user_id);
  if (at == shard.at.end()) {
    if (shard.users.size() >= users_per_shard_) {
      shard.at.erase(shard.users.back().user_id);
      shard.users.pop_back();
    }
    shard.users.push_front({user_id, {}});
    at = shard.at.emplace(shard.users.front().user_id, shard.users.begin()).first;
  } else {
    shard.users.splice(shard.users.begin(), shard.users, at->second);
  }
  auto& seen = at->second->seen;
  if (seen.size() >= kProducts && !seen.contains(product_id)) {
    seen.erase(std::min_element(seen.begin(), seen.end(),
                                [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  ++seen[product_id];
}

void Impressions::Cared(const std::string& user_id, const std::string& product_id) {
  Shard& shard = ShardOf(user_id);
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.at.find(user_id);
  if (at != shard.at.end()) at->second->seen.erase(product_id);
}

std::vector<std::string> Impressions::SeenTooOften(const std::string& user_id, int least) {
  std::vector<std::string> often;
  Shard& shard = ShardOf(user_id);
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.at.find(user_id);
  if (at == shard.at.end()) return often;
  for (const auto& [product_id, count] : at->second->seen) {
    if (count >= least) often.push_back(product_id);
  }
  return often;
}

}  // namespace starling::recommendation
