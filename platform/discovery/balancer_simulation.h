// Calls to endpoints whose latency and failures a test says, in simulated time: the same seed gives
// the same run.
#pragma once

#include <functional>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "platform/discovery/balancer.h"

namespace starling::discovery {

class Simulation {
 public:
  struct Server {
    Duration latency = std::chrono::milliseconds(1);
    bool fails = false;
    int fails_each = 0;  // each n-th call fails; 0: none
    int calls = 0;
  };

  explicit Simulation(BalancerOptions options = {}) : balancer(std::move(options), clock, 7) {}

  // Calls for `duration`, `per_second` of them at even distances.
  void Run(Duration duration, int per_second) {
    const Instant end = clock.MonotonicNow() + duration;
    const Duration gap = std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second;
    for (Instant next = clock.MonotonicNow(); next < end; next += gap) {
      AdvanceTo(next);
      Call();
    }
    AdvanceTo(end);
  }
  // What runs ends, each call at its time.
  void Finish() {
    while (!running_.empty()) AdvanceTo(running_.top().end);
  }
  void ForgetCalls() {
    for (auto& [address, server] : servers) server.calls = 0;
  }

  FakeClock clock{TimePoint()};
  Balancer balancer;
  std::map<std::string, Server> servers;  // by address

 private:
  struct Running {
    Instant end;
    std::shared_ptr<Pick> pick;
    bool fails;
    bool operator<(const Running& other) const { return end > other.end; }  // the first on top
  };

  void Call() {
    StatusOr<Pick> pick = balancer.Choose();
    if (!pick.ok()) return;
    Server& server = servers[pick->endpoint().address];
    ++server.calls;
    const bool fails =
        server.fails || (server.fails_each > 0 && server.calls % server.fails_each == 0);
    // From half to one and a half of it: real answers are never all alike.
    const Duration takes = server.latency / 2 + server.latency * (random_() % 1000) / 1000;
    running_.push({clock.MonotonicNow() + takes, std::make_shared<Pick>(*std::move(pick)), fails});
  }
  void AdvanceTo(Instant now) {
    while (!running_.empty() && running_.top().end <= now) {
      const Running ended = running_.top();
      running_.pop();
      clock.Advance(ended.end - clock.MonotonicNow());
      if (ended.fails) {
        ended.pick->Failed();
      } else {
        ended.pick->Succeeded();
      }
    }
    clock.Advance(now - clock.MonotonicNow());
  }

  std::priority_queue<Running> running_;
  std::minstd_rand random_{1};
};

inline std::vector<Endpoint> EndpointsIn(const std::map<std::string, std::string>& zones) {
  std::vector<Endpoint> endpoints;
  for (const auto& [address, zone] : zones)
    endpoints.push_back({.address = address, .zone = zone, .instance = {}, .contract = {}});
  return endpoints;
}

}  // namespace starling::discovery
