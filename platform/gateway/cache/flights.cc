#include "platform/gateway/cache/flights.h"

#include <boost/asio/steady_timer.hpp>

namespace starling::gateway {

// One who waits: whoever comes first, the landing, the timer or the cancellation, resumes it.
struct Flights::Waiter {
  std::mutex mutex;
  Completion<Outcome> completion;

  void Resume(Outcome outcome) {
    Completion<Outcome> taken;
    {
      const std::lock_guard lock(mutex);
      taken = std::move(completion);
    }
    if (taken) taken(std::move(outcome));
  }
};

// Guarded by its shard's mutex.
class Flights::Flight {
 public:
  Flight(Shard& shard, std::string key) : shard(shard), key(std::move(key)) {}

  Shard& shard;
  const std::string key;
  bool current = true;  // no invalidation since it began
  bool landed = false;
  Outcome outcome;
  std::vector<std::shared_ptr<Waiter>> waiters;
};

Flights::Lease::Lease(Flights* flights, std::shared_ptr<Flight> flight)
    : flights_(flights), flight_(std::move(flight)) {}

Flights::Lease::Lease(Lease&& other) noexcept
    : flights_(other.flights_), flight_(std::exchange(other.flight_, nullptr)) {}

Flights::Lease& Flights::Lease::operator=(Lease&& other) noexcept {
  std::swap(flights_, other.flights_);
  std::swap(flight_, other.flight_);
  return *this;
}

bool Flights::Lease::StoreIfCurrent(const std::function<void()>& store) {
  if (flight_ == nullptr) return false;
  const std::lock_guard lock(flight_->shard.mutex);
  if (!flight_->current) return false;
  store();
  return true;
}

void Flights::Lease::Land(Outcome outcome) {
  const std::shared_ptr<Flight> flight = std::exchange(flight_, nullptr);
  if (flight == nullptr) return;
  std::vector<std::shared_ptr<Waiter>> waiters;
  {
    const std::lock_guard lock(flight->shard.mutex);
    flight->landed = true;
    flight->outcome = outcome;
    if (flight->current) flight->shard.flights.erase(flight->key);
    waiters.swap(flight->waiters);
  }
  for (const auto& waiter : waiters) waiter->Resume(outcome);
}

Flights::Joined Flights::Join(const std::string& key, uint64_t hash, WhenTaken when_taken) {
  Shard& shard = shards_[hash % kShards];
  const std::lock_guard lock(shard.mutex);
  std::shared_ptr<Flight>& flight = shard.flights[key];
  if (flight == nullptr) {
    flight = std::make_shared<Flight>(shard, key);
    return {.lease = Lease(this, flight)};
  }
  if (when_taken == kDoNotWait || flight->waiters.size() >= max_waiters_) return {};
  return {.flight = flight};
}

Task<Flights::Outcome> Flights::Wait(std::shared_ptr<Flight> flight, Duration limit,
                                     CancellationToken cancellation) {
  const Executor executor = co_await CurrentExecutor();
  const auto waiter = std::make_shared<Waiter>();
  boost::asio::steady_timer timer(executor, limit);
  CancellationToken::Registration registration;
  struct Waiting {
    explicit Waiting(std::atomic<size_t>& count) : count(count) { ++count; }
    ~Waiting() { --count; }
    std::atomic<size_t>& count;
  };
  const Waiting waiting(waiting_);
  Outcome outcome = co_await Suspend<Outcome>([&](Completion<Outcome> completion) {
    waiter->completion = std::move(completion);
    {
      const std::lock_guard lock(flight->shard.mutex);
      if (!flight->landed && flight->waiters.size() < max_waiters_) {
        flight->waiters.push_back(waiter);
      } else {
        waiter->Resume(flight->outcome);
        return;
      }
    }
    timer.async_wait([waiter](const boost::system::error_code& error) {
      if (!error) waiter->Resume({Ended::kTimedOut, nullptr});
    });
    registration = cancellation.OnCancel([waiter] {
      waiter->Resume({Ended::kCancelled, nullptr});
    });
  });
  registration.Release();
  if (outcome.ended == Ended::kTimedOut || outcome.ended == Ended::kCancelled) {
    const std::lock_guard lock(flight->shard.mutex);
    std::erase(flight->waiters, waiter);
  }
  co_return outcome;
}

void Flights::Invalidate(const std::string& key, uint64_t hash) {
  Shard& shard = shards_[hash % kShards];
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.flights.find(key);
  if (at == shard.flights.end()) return;
  at->second->current = false;
  shard.flights.erase(at);
}

void Flights::InvalidatePrefix(std::string_view prefix) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    std::erase_if(shard.flights, [&](auto& flight) {
      if (!flight.first.starts_with(prefix)) return false;
      flight.second->current = false;
      return true;
    });
  }
}

}  // namespace starling::gateway
