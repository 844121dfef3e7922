// The newest interactions of users who are seen often, in memory: what a recommendation asks for.
//
//   if (auto known = recent.Find(user_id, limit, after)) co_return *known;
//   RecentHistory::Load load = recent.Begin(user_id);      // before the database is read
//   ... read ...
//   recent.End(std::move(load), response);                 // kept, unless the user did something
//   since
//
//   recent.Add(user_id, interaction);                      // as each is committed
//
// Holds `per_user` interactions of at most `users` users, the ones asked for last; about 150 bytes
// an interaction. Thread-safe: one short lock of a sixteenth of the users.
#pragma once

#include <array>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "contracts/profile/v1/profile.pb.h"

namespace starling::profile {

// Whether a is after b; everything is after nullptr.
bool IsNewer(const google::protobuf::Timestamp& a, const google::protobuf::Timestamp* b);

class RecentHistory {
 public:
  RecentHistory(size_t users, int per_user);

  // A user whose history is being read, from before the reading on. Dropped without End, nothing is
  // kept.
  class Load {
   public:
    Load(Load&& other) noexcept;
    Load& operator=(Load&&) = delete;
    ~Load();

   private:
    friend class RecentHistory;
    Load(RecentHistory& owner, std::string user_id)
        : owner_(&owner), user_id_(std::move(user_id)) {}
    RecentHistory* owner_;
    std::string user_id_;
  };

  // The newest `limit` of what was done after `*after` (nullptr: ever), newest first; nothing when
  // the user is not held, or more may be in the database than is held.
  std::optional<v1::GetHistoryResponse> Find(std::string_view user_id, int limit,
                                             const google::protobuf::Timestamp* after = nullptr);
  Load Begin(std::string_view user_id);
  // `newest` is what the database had, newest first, at least per_user of it when there is so much.
  void End(Load load, const v1::GetHistoryResponse& newest);

  void Add(std::string_view user_id, const v1::Interaction& interaction);
  void Remove(std::string_view user_id);
  int per_user() const { return per_user_; }

 private:
  struct User {
    std::string user_id;
    std::vector<v1::Interaction> newest;  // newest first
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  template <typename T>
  using ByUser = std::unordered_map<std::string, T, Hash, std::equal_to<>>;
  struct Loading {
    int loads = 0;
    bool changed = false;
  };
  struct Shard {
    std::mutex mutex;
    std::list<User> users;  // asked for last, first
    ByUser<std::list<User>::iterator> at;
    ByUser<Loading> loading;
  };
  Shard& ShardOf(std::string_view user_id) { return shards_[Hash()(user_id) % shards_.size()]; }
  // Ends a load; whether what it read is still all there is.
  static bool Finish(Shard& shard, std::string_view user_id);

  const size_t users_per_shard_;
  const int per_user_;
  std::array<Shard, 16> shards_;
};

}  // namespace starling::profile
