// How often each user has seen a product without caring: fed by events, asked before products are
// recommended again.
//
//   impressions.Seen("ada", "p-1");
//   impressions.Cared("ada", "p-1");                 // a click, a cart, a purchase: counted anew
//   for (const std::string& id : impressions.SeenTooOften("ada", 20)) ...
//
// Kept in memory alone, of the `users` that were active last and at most 256 products of each:
// after a restart products get a new chance, and each instance counts from its own start on.
// Thread-safe: one short lock of a sixteenth of the users.
#pragma once

#include <array>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace starling::recommendation {

class Impressions {
 public:
  explicit Impressions(size_t users) : users_per_shard_(users / 16 + 1) {}

  void Seen(const std::string& user_id, const std::string& product_id);
  void Cared(const std::string& user_id, const std::string& product_id);
  // The user's products that were seen at least `least` times.
  std::vector<std::string> SeenTooOften(const std::string& user_id, int least);

 private:
  static constexpr size_t kProducts = 256;
  struct User {
    std::string user_id;
    std::unordered_map<std::string, int> seen;
  };
  struct Shard {
    std::mutex mutex;
    std::list<User> users;  // active last, first
    std::unordered_map<std::string_view, std::list<User>::iterator> at;
  };
  Shard& ShardOf(std::string_view user_id) {
    return shards_[std::hash<std::string_view>()(user_id) % shards_.size()];
  }

  const size_t users_per_shard_;
  std::array<Shard, 16> shards_;
};

}  // namespace starling::recommendation
