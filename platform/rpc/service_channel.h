// A channel to a service that any number of other processes run, with what keeps one's trouble from
// becoming everyone's.
//
//   auto channel = ServiceChannel::Open({.service = "catalog", .open = ConnectByGrpc}, resolver,
//   telemetry); std::shared_ptr<Catalog> catalog = Catalog::Connect(*channel);
//   (*channel)->SetPolicies({{"GetProduct", {.hedge_after = 20ms}}});
//
// A call passes these, in this order; each decision is counted (starling_client_*) and an event of
// the call's span:
//
//   bulkhead     above max_in_flight calls to this service: OVERLOADED
//   breaker      while most calls fail, refused at once with UNAVAILABLE and a delay
//   endpoint     power of two choices, zone, ejection: platform/discovery/balancer.h. Only one that
//                is connected; when none is, the call waits, until the service has been away for
//                connect_patience. One whose contract is another is never called
//   deadline     the caller's; a try's own is try_timeout, when that ends sooner
//   hedge        a method that only reads, when hedge_after has passed: asked of another endpoint
//   too, and
//                the first answer counts
//   retry        up to `attempts` tries, after a jittered pause, while the retry budget lasts: a
//   try that was
//                never sent, or was refused as OVERLOADED, for any method; one that broke
//                (UNAVAILABLE, or its try_timeout) only where a second one does no harm: a method
//                that is idempotent, or a call that has an idempotency key
//   fallback     fallback.h, when the method has one; a tenth of the time is left for it
//
// Who refuses a call as OVERLOADED is well: breaker and ejection do not count it, but the next
// calls go elsewhere, and at once where somebody was not asked yet. A sheddable call is not tried
// again.
//
// A try that its caller cut short says nothing of the endpoint: DEADLINE_EXCEEDED counts against
// endpoint and breaker when the try had what the contract or try_timeout gives, or longer than
// answers of the method usually take (platform/resilience/usual_time.h).
//
// Thread-safe. Costs about a microsecond a call beside the call itself.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/base/snapshot.h"
#include "platform/discovery/balancer.h"
#include "platform/discovery/resolver.h"
#include "platform/resilience/backoff.h"
#include "platform/resilience/circuit_breaker.h"
#include "platform/resilience/retry_budget.h"
#include "platform/resilience/usual_time.h"
#include "platform/rpc/channel.h"
#include "platform/rpc/fallback.h"
#include "platform/telemetry/metrics.h"
#include "platform/telemetry/span.h"

namespace starling::telemetry {
class Telemetry;
}

namespace starling::rpc {

// How one method is called.
struct CallPolicy {
  int attempts = 3;         // 1: no retries
  Duration try_timeout{0};  // 0: the call's deadline alone
  Duration hedge_after{0};  // 0: never
  FallbackPolicy fallback;  // of a method that only reads
};

struct ServiceChannelOptions {
  std::string service;  // "catalog"
  // Connects to an endpoint; called once for each.
  std::function<std::shared_ptr<Channel>(const discovery::Endpoint&)> open;
  CallPolicy policy;  // of methods that have none of their own
  discovery::BalancerOptions balancer;
  resilience::RetryBudget::Options retries;
  resilience::CircuitBreaker::Options breaker;
  resilience::Backoff backoff;
  int max_in_flight = 1'000;
  Duration connect_patience = std::chrono::seconds(1);
  LastGoodAnswers* answers = nullptr;  // of fallbacks; outlives the channel
};

class ServiceChannel final : public Channel, public std::enable_shared_from_this<ServiceChannel> {
 public:
  using Policies = std::map<std::string, CallPolicy, std::less<>>;  // by method's name

  // What the resolver says of the service's name.
  static StatusOr<std::shared_ptr<ServiceChannel>> Open(ServiceChannelOptions options,
                                                        discovery::Resolver& resolver,
                                                        telemetry::Telemetry& telemetry);
  ~ServiceChannel() override;

  Task<StatusOr<std::string>> Call(const MethodDescriptor& method, CallContext& context,
                                   std::string request) override;
  // Chooses, waits and refuses as Call does; a stream that has begun is not begun again.
  Task<Status> CallStream(const MethodDescriptor& method, CallContext& context, std::string request,
                          ByteSink& sink) override;
  bool Usable() override;
  std::string_view target() const override { return options_.service; }

  void SetPolicies(Policies policies);
  std::vector<discovery::EndpointHealth> Health() const { return balancer_.Health(); }

 private:
  struct Counters;
  struct Outcome;
  struct Race;
  struct Try;
  class Room;
  ServiceChannel(ServiceChannelOptions options, telemetry::Telemetry& telemetry);
  discovery::BalancerOptions TellingOfEjections();
  CallPolicy PolicyOf(const MethodDescriptor& method) const;
  Task<StatusOr<discovery::Pick>> Choose(const CallContext& context,
                                         const std::vector<std::string>& tried,
                                         telemetry::Span* span);
  Task<StatusOr<std::string>> CallTried(const MethodDescriptor& method, CallContext& context,
                                        std::string request, const CallPolicy& policy,
                                        telemetry::Span& span);
  Task<StatusOr<std::string>> CallOnce(const MethodDescriptor& method, CallContext& context,
                                       std::string request, Try& attempt);
  Task<Status> StreamOnce(const MethodDescriptor& method, CallContext& context, std::string request,
                          ByteSink& sink, telemetry::Span& span);
  Task<StatusOr<std::string>> CallHedged(const MethodDescriptor& method, CallContext& context,
                                         const std::string& request, Duration hedge_after,
                                         Try& attempt, telemetry::Span& span);
  static Task<void> Run(std::shared_ptr<Race> race, int lane);
  // The breaker's permit, or how it refuses.
  StatusOr<resilience::CircuitBreaker::Permit> Admit(telemetry::Span* span);
  // Tells endpoint and breaker how a try ended.
  void Record(const Outcome& outcome, const Status& status, discovery::Pick& pick,
              telemetry::Span* span);
  // Whether a try of `given` that did not end in time had time enough.
  bool HadTime(const MethodDescriptor& method, Duration try_timeout, Duration given);

  const ServiceChannelOptions options_;
  telemetry::Metrics& metrics_;
  telemetry::Tracer& tracer_;
  const std::unique_ptr<Counters> counters_;
  Snapshot<Policies> policies_;
  discovery::Balancer balancer_;
  resilience::RetryBudget budget_;
  resilience::CircuitBreaker breaker_;
  std::mutex usual_mutex_;
  std::map<std::string_view, resilience::UsualTime> usual_;  // of answers, by method
  std::atomic<int> in_flight_{0};
  std::atomic<Instant::rep> missing_since_{
      0};                                    // when a call first found nobody; 0: somebody is there
  std::unique_ptr<discovery::Watch> watch_;  // last: it calls into the others
};

}  // namespace starling::rpc
