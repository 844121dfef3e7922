// The last value of each of the keys that were used last, at most `capacity` of them.
//
//   BoundedCache<std::vector<std::string>> answers(10'000);
//   answers.Put(user_id, ids);
//   if (auto last = answers.Get(user_id)) ...
//
// Thread-safe: one short lock. Values are shared, so that a Get copies a pointer.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace starling {

template <typename T>
class BoundedCache {
 public:
  explicit BoundedCache(size_t capacity) : capacity_(capacity) {}

  void Put(std::string_view key, std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    if (const auto at = at_.find(key); at != at_.end()) {
      at->second->value = std::move(value);
      entries_.splice(entries_.begin(), entries_, at->second);
      return;
    }
    if (entries_.size() >= capacity_) {
      at_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({std::string(key), std::move(value)});
    at_.emplace(entries_.front().key, entries_.begin());
  }

  // nullptr when it is not there. What was asked for counts as used.
  std::shared_ptr<const T> Get(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const auto at = at_.find(key);
    if (at == at_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, at->second);
    return at->second->value;
  }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const T> value;
  };
  const size_t capacity_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // used last, first
  std::unordered_map<std::string_view, typename std::list<Entry>::iterator> at_;
};

}  // namespace starling
