// Which endpoint gets the next call. Pure: no I/O, no threads, no timers.
//
//   Balancer balancer({.zone = "a"}, clock, seed, [](const Endpoint& endpoint) {
//     return MakeConnection(endpoint.address);            // a shared_ptr; kept with the endpoint
//   });
//   balancer.SetEndpoints(endpoints);                     // from a Resolver's watch
//   StatusOr<Pick> pick = balancer.Choose(tried);         // tried: addresses, for a retry or hedge
//   Status status = co_await Call(pick->connection<Connection>(), request);
//   if (IsEndpointsFault(status)) pick->Failed(); else pick->Succeeded();
//
// Of two endpoints, drawn at random by their weights, the one with the lower cost is taken
// (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001):
// cost = (outstanding calls / weight + 1) * latency. Latency is the peak EWMA of Finagle: it jumps
// to a slow answer at once and decays over `latency_decay`, also while nobody calls, so that an
// endpoint that was slow is tried again. One that never answered gets one call at a time until it
// does.
//
// Zone: calls stay in the own zone while it has `min_zone_endpoints` healthy ones and the better of
// two there has fewer than `zone_outstanding` calls (times its weight) from this process; otherwise
// all healthy endpoints share.
//
// Ejection: an endpoint gets no calls after `consecutive_failures`, or when at the end of an
// `interval` its success rate is `success_rate_deviations` standard deviations, and
// `success_rate_gap`, below the mean of the others (of those with `success_rate_calls` calls).
// The n-th time in a row it is out for n * `ejection`, at most `max_ejection`; when it comes back
// it is tested: one call at a time until one has ended, and a failure before a success ejects it
// again. An interval without ejection forgets one. At most `max_ejected` of the endpoints are out
// at once. When endpoints leave and fewer than `panic` of the rest are healthy, all get calls: it
// is more likely that we are wrong about them than that all are bad.
//
// Leaving: an endpoint that SetEndpoints does not name any more gets no new calls; its state and
// connection live until its last Pick has ended. An endpoint is the same as before when address and
// instance are: a new instance at an old address starts anew.
//
// Thread-safe. Choose and the end of a Pick cost about 150 ns together (balancer_bench.cc), however
// many endpoints there are; `avoid` costs a pass over them. A Pick may outlive the Balancer, but
// not its clock.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/discovery/resolver.h"

namespace starling::discovery {

struct BalancerOptions {
  Duration latency_decay = std::chrono::seconds(10);

  std::string zone;  // where this process is; "": zones do not matter
  size_t min_zone_endpoints = 2;
  int zone_outstanding = 16;

  int consecutive_failures = 5;
  Duration interval = std::chrono::seconds(10);
  int success_rate_calls = 50;
  double success_rate_deviations = 1.9;
  double success_rate_gap = 0.1;
  Duration ejection = std::chrono::seconds(30);
  Duration max_ejection = std::chrono::minutes(5);
  double max_ejected = 0.5;  // of the endpoints, rounded down
  double panic = 0.4;        // of the endpoints
  // Told of each ejection, within the balancer: quick, and without a call of it.
  std::function<void(const Endpoint&)> on_ejection;
};

namespace balancer_internal {
struct Node;
struct State;
}  // namespace balancer_internal

// One call to one endpoint. Ended by Succeeded, Overloaded, Failed or Cancelled, once; destroyed
// without, it was cancelled. Movable; used by one thread at a time.
class [[nodiscard]] Pick {
 public:
  Pick(Pick&& other) noexcept
      : node_(std::move(other.node_)), state_(std::move(other.state_)), start_(other.start_) {}
  Pick& operator=(Pick&& other) noexcept;
  ~Pick();

  const Endpoint& endpoint() const;
  // What `open` made for the endpoint, which must have been a T. Good for as long as the Pick is
  // not destroyed, also after its end.
  template <typename T>
  T& connection() const {
    return *static_cast<T*>(Connection());
  }

  void Succeeded();
  // It is well but has too much to do, and refused the call: the others get more of the next ones,
  // as if it had taken four times as long as it does; at least 10 ms. No failure.
  void Overloaded();
  // The endpoint's fault: not reached, broken, too late. A call refused by the rules of the service
  // has succeeded. Gives whether the endpoint was ejected for it.
  bool Failed();
  // The caller gave up: says nothing of the endpoint, but that it was no quicker than this.
  void Cancelled();

 private:
  friend class Balancer;
  enum class Outcome { kSucceeded, kOverloaded, kFailed, kCancelled };
  Pick(std::shared_ptr<balancer_internal::Node> node,
       std::shared_ptr<balancer_internal::State> state, Instant start);
  bool End(Outcome outcome);  // whether it ejected the endpoint
  void* Connection() const;

  std::shared_ptr<balancer_internal::Node> node_;
  std::shared_ptr<balancer_internal::State> state_;  // none: it has ended
  Instant start_;
};

// What a Balancer knows of an endpoint, for metrics and the admin page.
struct EndpointHealth {
  Endpoint endpoint;
  int outstanding = 0;
  Duration latency{0};  // 0: not known
  bool ejected = false;
  Duration back_in{0};     // of one that is ejected: when it is tried again
  uint64_t ejections = 0;  // so far
};

class Balancer {
 public:
  using Options = BalancerOptions;
  // Makes what a call to the endpoint needs, once for each; called by SetEndpoints.
  using Open = std::function<std::shared_ptr<void>(const Endpoint&)>;

  Balancer(Options options, const Clock& clock, uint64_t seed, Open open = nullptr);
  ~Balancer();
  Balancer(const Balancer&) = delete;
  Balancer& operator=(const Balancer&) = delete;

  // The whole list. One that repeats an address and instance counts once.
  void SetEndpoints(std::vector<Endpoint> endpoints);

  // UNAVAILABLE when there is no endpoint. Addresses in `avoid` are taken only when there are no
  // others, even from another zone.
  StatusOr<Pick> Choose(std::span<const std::string_view> avoid = {});

  std::vector<EndpointHealth> Health() const;

 private:
  std::shared_ptr<balancer_internal::State> state_;
};

}  // namespace starling::discovery
