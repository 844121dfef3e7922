// Fetches under way, so that concurrent misses of one key ask the origin once (RFC 9111, 4).
//
//   Flights::Joined joined = flights.Join(key, hash, Flights::kWait);
//   if (joined.lease) {                      // it is ours to fetch
//     ...
//     joined.lease.Land({Flights::Ended::kLanded, stored});      // to all who wait
//   } else if (joined.flight) {              // somebody fetches it
//     const Flights::Outcome outcome = co_await flights.Wait(joined.flight, limit, cancellation);
//   }
//
// Only who has the lease may store the answer, by Lease::StoreIfCurrent: an invalidation of the key
// while the fetch is under way takes that right away, so that an answer of before a change does not
// outlive it.
//
// Bounds: `max_waiters` a flight, each for a limited time. A lease that is dropped lands with
// nothing. Thread-safe; those who wait go on, each on its own executor. The Flights must outlive
// leases and waits.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/async/cancellation.h"
#include "platform/async/task.h"
#include "platform/gateway/cache/stored_response.h"

namespace starling::gateway {

class Flights {
 public:
  explicit Flights(size_t max_waiters) : max_waiters_(max_waiters) {}

  enum class Ended : uint8_t { kLanded, kFailed, kTimedOut, kCancelled };
  struct Outcome {
    Ended ended = Ended::kLanded;
    // kLanded: what was fetched; nullptr: nothing that others may use. kFailed: the origin gave an
    // error, and this stale answer may stand in for it, or nullptr.
    StoredPtr response;
  };

  class Flight;
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { Land({}); }
    explicit operator bool() const { return flight_ != nullptr; }

    // Calls `store` unless the key was invalidated meanwhile; no invalidation comes between.
    bool StoreIfCurrent(const std::function<void()>& store);
    void Land(Outcome outcome);  // once; later ones do nothing

   private:
    friend class Flights;
    Lease(Flights* flights, std::shared_ptr<Flight> flight);
    Flights* flights_ = nullptr;
    std::shared_ptr<Flight> flight_;
  };

  struct Joined {
    Lease lease;
    std::shared_ptr<Flight> flight;
  };
  // Neither when another fetches it and waiting is not wanted, or as many wait as may.
  enum WhenTaken : uint8_t { kWait, kDoNotWait };
  Joined Join(const std::string& key, uint64_t hash, WhenTaken when_taken);
  Task<Outcome> Wait(std::shared_ptr<Flight> flight, Duration limit,
                     CancellationToken cancellation);

  // What is fetched now may not be stored, and nobody joins it any more; who waits still gets it.
  void Invalidate(const std::string& key, uint64_t hash);
  void InvalidatePrefix(std::string_view prefix);  // O(flights)

  size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kShards = 16;
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::shared_ptr<Flight>> flights;
  };
  struct Waiter;

  const size_t max_waiters_;
  std::atomic<size_t> waiting_{0};
  Shard shards_[kShards];
};

}  // namespace starling::gateway
