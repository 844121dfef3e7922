// The sessions that are open, in memory: whose a token is, without touching the disk.
//
// A hash table by token hash in 64 parts with a lock each: a look-up costs about 60 ns. At most
// `limit` sessions; one more is RESOURCE_EXHAUSTED, so that signing in cannot take all memory.
// Thread-safe.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/security/token.h"

namespace starling::profile {

class SessionTable {
 public:
  struct Session {
    std::string user_id;
    TimePoint expires_at;
  };
  explicit SessionTable(size_t limit) : limit_(limit) {}

  Status CheckRoom() const;
  void Add(const security::TokenHash& hash, Session session);
  std::optional<Session> Find(const security::TokenHash& hash, TimePoint now) const;
  void Remove(const security::TokenHash& hash);
  void RemoveUser(std::string_view user_id);
  void RemoveExpired(TimePoint now);
  size_t size() const { return size_; }

 private:
  struct Part {
    mutable std::mutex mutex;
    std::unordered_map<security::TokenHash, Session, security::TokenHashHasher> sessions;
  };
  Part& PartOf(const security::TokenHash& hash) { return parts_[hash.bytes[31] % parts_.size()]; }
  const Part& PartOf(const security::TokenHash& hash) const {
    return parts_[hash.bytes[31] % parts_.size()];
  }
  template <typename Gone>
  void RemoveIf(Gone gone);

  const size_t limit_;
  std::atomic<size_t> size_{0};
  std::array<Part, 64> parts_;
};

}  // namespace starling::profile
