// What users did in the last minute, as this instance heard it from the log: another instance may
// have yet to write it to the table that all share.
//
//   heard.Add("ada", interaction, now);
//   std::vector<v1::Interaction> news = heard.Of("ada");     // before the table is read
//   Merge(news, after, forgotten_at, limit, response);       // what the table lacks
//
// Holds at most `limit` interactions, about 200 bytes each; the oldest go. Thread-safe: one short
// lock.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "contracts/profile/v1/profile.pb.h"
#include "platform/base/clock.h"

namespace starling::profile {

class HeardLately {
 public:
  explicit HeardLately(size_t limit, Duration age = std::chrono::minutes(1))
      : limit_(limit), age_(age) {}

  void Add(const std::string& user_id, v1::Interaction interaction, Instant now);
  // In the order they came.
  std::vector<v1::Interaction> Of(const std::string& user_id) const;

 private:
  struct Heard {
    std::string user_id;
    Instant at;
  };
  void DropOldest();

  const size_t limit_;
  const Duration age_;
  mutable std::mutex mutex_;
  std::deque<Heard> order_;  // as they came; each the first of its user's
  std::unordered_map<std::string, std::deque<v1::Interaction>> by_user_;
};

// Adds to a history, newest first, what it lacks of `news` and what is after `*after` (nullptr:
// all) and after `forgotten_at` (nanoseconds since 1970), and cuts it to `limit`.
void Merge(const std::vector<v1::Interaction>& news, const google::protobuf::Timestamp* after,
           int64_t forgotten_at, int limit, v1::GetHistoryResponse& history);

}  // namespace starling::profile
