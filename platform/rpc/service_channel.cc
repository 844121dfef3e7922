#include "platform/rpc/service_channel.h"

#include <fmt/format.h>

#include <algorithm>

#include "platform/base/id.h"
#include "platform/rpc/service_channel_parts.h"
#include "platform/telemetry/log.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {
namespace {

using discovery::Pick;
using resilience::CircuitBreaker;
using service_channel_internal::AddEvent;
using service_channel_internal::Broken;
using service_channel_internal::Now;

constexpr Duration kConnectPoll = std::chrono::milliseconds(5);

// A sink that tells of its first message.
class FirstMessage final : public ByteSink {
 public:
  FirstMessage(ByteSink& out, std::function<void()> tell) : out_(out), tell_(std::move(tell)) {}
  Task<Status> Write(std::string bytes) override {
    if (!std::exchange(heard_, true)) tell_();
    co_return co_await out_.Write(std::move(bytes));
  }
  bool heard() const { return heard_; }

 private:
  ByteSink& out_;
  const std::function<void()> tell_;
  bool heard_ = false;
};

}  // namespace

// A place within the bulkhead.
class ServiceChannel::Room {
 public:
  explicit Room(ServiceChannel& channel)
      : channel_(channel),
        taken_(channel.in_flight_.fetch_add(1, std::memory_order_relaxed) <
               channel.options_.max_in_flight) {
    if (!taken_) channel_.counters_->bulkhead_refused.Add();
  }
  ~Room() { channel_.in_flight_.fetch_sub(1, std::memory_order_relaxed); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  Status status() const {
    if (taken_) return OkStatus();
    return Overloaded(fmt::format("{}: {} calls of this process are in flight, its bound",
                                  channel_.options_.service, channel_.options_.max_in_flight),
                      std::chrono::milliseconds(100));
  }

 private:
  ServiceChannel& channel_;
  const bool taken_;
};

ServiceChannel::ServiceChannel(ServiceChannelOptions options, telemetry::Telemetry& telemetry)
    : options_(std::move(options)),
      metrics_(telemetry.metrics()),
      tracer_(telemetry.tracer()),
      counters_(std::make_unique<Counters>(telemetry.metrics(), options_.service)),
      policies_(std::make_shared<const Policies>()),
      balancer_(
          TellingOfEjections(), SystemClock(), FastRandom(),
          [open = options_.open](const discovery::Endpoint& endpoint) -> std::shared_ptr<void> {
            std::shared_ptr<Channel> channel = open(endpoint);
            (void)channel->Usable();  // connects before the first call
            return channel;
          }),
      budget_(options_.retries),
      breaker_(options_.breaker) {}

ServiceChannel::~ServiceChannel() = default;

discovery::BalancerOptions ServiceChannel::TellingOfEjections() {
  discovery::BalancerOptions options = options_.balancer;
  options.on_ejection = [this](const discovery::Endpoint& endpoint) {
    counters_->ejections.Add();
    log::Warning("rpc", "{} at {} keeps failing and is left out for a while", options_.service,
                 endpoint.address);
  };
  return options;
}

StatusOr<std::shared_ptr<ServiceChannel>> ServiceChannel::Open(ServiceChannelOptions options,
                                                               discovery::Resolver& resolver,
                                                               telemetry::Telemetry& telemetry) {
  std::shared_ptr<ServiceChannel> channel(new ServiceChannel(std::move(options), telemetry));
  STARLING_ASSIGN_OR_RETURN(
      channel->watch_,
      resolver.Watch(channel->options_.service, [to = channel.get()](
                                                    std::vector<discovery::Endpoint> endpoints) {
        log::Info("rpc", "{} is at {} now", to->options_.service,
                  endpoints.empty() ? "no place" : fmt::format("{} places", endpoints.size()));
        to->balancer_.SetEndpoints(std::move(endpoints));
      }));
  return channel;
}

void ServiceChannel::SetPolicies(Policies policies) {
  policies_.store(std::make_shared<const Policies>(std::move(policies)));
}

CallPolicy ServiceChannel::PolicyOf(const MethodDescriptor& method) const {
  const auto policies = policies_.load();
  const auto own = policies->find(method.name);
  return own == policies->end() ? options_.policy : own->second;
}

bool ServiceChannel::Usable() {
  std::vector<std::string> seen;
  std::vector<std::string_view> avoid;
  for (const discovery::EndpointHealth& health : balancer_.Health()) {
    (void)health;
    StatusOr<Pick> pick = balancer_.Choose(avoid);
    if (!pick.ok()) return false;
    if (pick->connection<Channel>().Usable()) return true;
    seen.push_back(pick->endpoint().address);
    avoid.assign(seen.begin(), seen.end());
  }
  return false;
}

Task<StatusOr<Pick>> ServiceChannel::Choose(const CallContext& context,
                                            const std::vector<std::string>& tried,
                                            telemetry::Span* span) {
  while (true) {
    Status refusal;  // of one that is there and is never called
    size_t refused = 0;
    // First those that were not tried yet, then any; never one that is not connected.
    std::vector<std::string> unconnected;
    for (const bool fresh : {true, false}) {
      if (fresh && tried.empty()) continue;
      while (true) {
        std::vector<std::string_view> avoid(unconnected.begin(), unconnected.end());
        if (fresh) avoid.insert(avoid.end(), tried.begin(), tried.end());
        StatusOr<Pick> pick = balancer_.Choose(avoid);
        if (!pick.ok()) break;
        const std::string& address = pick->endpoint().address;
        if (std::find(avoid.begin(), avoid.end(), address) != avoid.end()) break;
        if (pick->connection<Channel>().Usable()) {
          missing_since_.store(0, std::memory_order_relaxed);
          co_return std::move(pick);
        }
        if (Status own = pick->connection<Channel>().Refusal(); !own.ok()) {
          refusal = std::move(own);
          ++refused;
        }
        unconnected.push_back(address);
      }
    }
    if (refused > 0 && refused == unconnected.size()) {
      counters_->unreachable.Add();
      AddEvent(span, "contract refused");
      co_return Annotate(refusal, options_.service);
    }
    const Instant now = Now();
    Instant::rep since = 0;
    if (missing_since_.compare_exchange_strong(since, now.time_since_epoch().count()))
      since = now.time_since_epoch().count();
    const Instant missing(Instant::duration{since});
    if (now >= missing + options_.connect_patience || context.Remaining() <= kConnectPoll ||
        context.Cancelled()) {
      counters_->unreachable.Add();
      AddEvent(span, "nobody connected");
      co_return Unavailable(
          "{}: no process that runs it can be reached{}", options_.service,
          unconnected.empty() ? "" : fmt::format(" at {}", fmt::join(unconnected, ", ")));
    }
    co_await SleepFor(kConnectPoll);
  }
}

bool ServiceChannel::HadTime(const MethodDescriptor& method, Duration try_timeout, Duration given) {
  Duration enough = Duration::max();
  if (method.deadline > Duration(0)) enough = method.deadline;
  if (try_timeout > Duration(0)) enough = std::min(enough, try_timeout);
  const std::lock_guard lock(usual_mutex_);
  return given >= std::min(enough, usual_[method.full_name].Longest());
}

void ServiceChannel::Record(const Outcome& outcome, const Status& status, Pick& pick,
                            telemetry::Span* span) {
  const bool late = status.code() == StatusCode::kDeadlineExceeded ||
                    (outcome.context.Cancelled() && outcome.context.Remaining() == Duration(0));
  if (late) {
    counters_->deadline_cut.Add();
    AddEvent(span, "deadline cut");
  }
  if (late ? !HadTime(outcome.method, outcome.try_timeout, outcome.given)
           : outcome.context.Cancelled()) {
    pick.Cancelled();
    breaker_.Abandon(outcome.permit);
    return;
  }
  const bool overloaded = !late && service_channel_internal::Overloaded(status);
  const bool broken = late || (Broken(status) && !overloaded);
  if (overloaded) {
    pick.Overloaded();
    counters_->overloaded.Add();
    AddEvent(span, "overloaded");
  } else if (broken) {
    if (pick.Failed()) AddEvent(span, "endpoint ejected");
  } else {
    pick.Succeeded();
    const std::lock_guard lock(usual_mutex_);
    usual_[outcome.method.full_name].Observe(Now() - outcome.start);
  }
  const auto change = breaker_.Record(outcome.permit, !broken, Now());
  if (change == CircuitBreaker::State::kOpen) {
    counters_->breaker_opened.Add();
    AddEvent(span, "circuit breaker opened");
    log::Warning("rpc", "calls to {} are refused for a while: most fail", options_.service)
        .With(status);
  } else if (change == CircuitBreaker::State::kClosed) {
    counters_->breaker_closed.Add();
    AddEvent(span, "circuit breaker closed");
    log::Info("rpc", "calls to {} go through again", options_.service);
  }
}

StatusOr<CircuitBreaker::Permit> ServiceChannel::Admit(telemetry::Span* span) {
  const Instant now = Now();
  const auto permit = breaker_.Allow(now);
  if (permit) {
    if (permit->probe) {
      counters_->breaker_probes.Add();
      AddEvent(span, "circuit breaker probe");
    }
    return *permit;
  }
  counters_->breaker_refused.Add();
  AddEvent(span, "refused by the circuit breaker");
  const Status refused =
      Unavailable("{}: most calls failed lately, so none is made for a while", options_.service);
  return WithRetryAfter(
      refused, std::max(std::chrono::milliseconds(1),
                        std::chrono::ceil<std::chrono::milliseconds>(breaker_.RetryAfter(now))));
}

Task<StatusOr<std::string>> ServiceChannel::CallOnce(const MethodDescriptor& method,
                                                     CallContext& context, std::string request,
                                                     Try& attempt) {
  const auto permit = Admit(attempt.span);
  if (!permit.ok()) {
    attempt.refused_by_breaker = true;
    co_return permit.status();
  }
  StatusOr<Pick> pick = co_await Choose(context, attempt.tried, attempt.span);
  if (!pick.ok()) {
    breaker_.Abandon(*permit);
    co_return pick.status();
  }
  attempt.tried.push_back(pick->endpoint().address);
  attempt.sent = true;
  const Instant start = Now();
  if (attempt.timeout > Duration(0))
    context.deadline = std::min(context.deadline, start + attempt.timeout);
  const Outcome outcome{.method = method,
                        .context = context,
                        .permit = *permit,
                        .start = start,
                        .given = context.deadline - start,
                        .try_timeout = attempt.timeout};
  StatusOr<std::string> answer =
      co_await pick->connection<Channel>().Call(method, context, std::move(request));
  Record(outcome, answer.status(), *pick, attempt.span);
  co_return answer;
}

Task<StatusOr<std::string>> ServiceChannel::Call(const MethodDescriptor& method,
                                                 CallContext& context, std::string request) {
  telemetry::Span span = tracer_.Start(method.full_name, telemetry::Span::kClient, context.trace);
  const CallPolicy policy = PolicyOf(method);
  const bool reads = method.idempotency == Idempotency::kNoSideEffects;
  const FallbackPolicy fallback = reads ? policy.fallback : FallbackPolicy();
  const bool last_good = fallback.kind == Fallback::kLastGood && options_.answers != nullptr;
  std::string key;
  CallContext own = context;  // its deadline may be shorter
  if (fallback.kind != Fallback::kNone) {
    if (last_good) key = FallbackKey(method, context, request);
    const Duration remaining = context.Remaining();
    own.deadline = std::min(own.deadline, Now() + (remaining - remaining / 10));
  }
  StatusOr<std::string> answer = co_await CallTried(method, own, std::move(request), policy, span);
  const Status status = answer.status();
  context.AddDegraded(own.degraded);
  if (status.ok()) {
    if (last_good && own.degraded.empty()) options_.answers->Keep(std::move(key), *answer, Now());
  } else if (fallback.kind != Fallback::kNone && FallsBack(status) && !context.Cancelled()) {
    std::optional<std::string> instead;
    if (fallback.kind == Fallback::kDefault) instead = "";
    if (last_good) instead = options_.answers->Find(key, fallback.age, Now());
    if (instead) {
      TellFallback(metrics_, span, context, options_.service, method.name, fallback.kind);
      answer = *std::move(instead);
    }
  }
  span.End(status);
  co_return answer;
}

Task<StatusOr<std::string>> ServiceChannel::CallTried(const MethodDescriptor& method,
                                                      CallContext& context, std::string request,
                                                      const CallPolicy& policy,
                                                      telemetry::Span& span) {
  const Room room(*this);
  if (const Status status = room.status(); !status.ok()) {
    span.AddEvent("bulkhead refused");
    co_return status;
  }
  budget_.OnCall();
  const bool harmless =
      method.idempotency != Idempotency::kUnknown || !context.idempotency_key.empty();
  Try attempt{.timeout = policy.try_timeout, .span = &span};
  for (int tries = 1;; ++tries) {
    CallContext own = context;  // its deadline may be shorter
    own.trace = span.context();
    attempt.sent = attempt.refused_by_breaker = false;
    const bool hedge =
        policy.hedge_after > Duration(0) && method.idempotency == Idempotency::kNoSideEffects;
    StatusOr<std::string> answer;
    if (hedge) {
      answer = co_await CallHedged(method, own, request, policy.hedge_after, attempt, span);
    } else {
      answer = co_await CallOnce(method, own, request, attempt);
    }
    const Status& status = answer.status();
    if (status.ok()) {
      context.AddDegraded(own.degraded);
      co_return answer;
    }
    const bool overloaded = service_channel_internal::Overloaded(status);
    const bool may = !attempt.refused_by_breaker && Broken(status) &&
                     Reason(status) != kContractMismatch &&
                     (!attempt.sent || harmless || overloaded) &&
                     !(overloaded && context.priority == resilience::Priority::kSheddable);
    Duration pause = resilience::BackoffPause(options_.backoff, tries - 1, FastRandom());
    const bool elsewhere = overloaded && attempt.tried.size() < balancer_.Health().size();
    if (const auto asked = RetryAfter(status); asked && !elsewhere)
      pause = std::max(pause, Duration(*asked));
    if (!may || tries >= policy.attempts || context.Cancelled() || context.Remaining() <= pause)
      co_return answer;
    if (!budget_.TakeRetry()) {
      counters_->retries_refused.Add();
      span.AddEvent("retry refused by the budget");
      co_return answer;
    }
    counters_->retries.Add();
    span.AddEvent("retry");
    co_await SleepFor(pause);
  }
}

Task<Status> ServiceChannel::CallStream(const MethodDescriptor& method, CallContext& context,
                                        std::string request, ByteSink& sink) {
  telemetry::Span span = tracer_.Start(method.full_name, telemetry::Span::kClient, context.trace);
  Status status;
  {
    const Room room(*this);
    status = room.status();
    if (status.ok()) {
      status = co_await StreamOnce(method, context, std::move(request), sink, span);
    } else {
      span.AddEvent("bulkhead refused");
    }
  }
  span.End(status);
  co_return status;
}

Task<Status> ServiceChannel::StreamOnce(const MethodDescriptor& method, CallContext& context,
                                        std::string request, ByteSink& sink,
                                        telemetry::Span& span) {
  const auto permit = Admit(&span);
  if (!permit.ok()) co_return permit.status();
  StatusOr<Pick> pick = co_await Choose(context, {}, &span);
  if (!pick.ok()) {
    breaker_.Abandon(*permit);
    co_return pick.status();
  }
  const Instant start = Now();
  const Outcome outcome{.method = method,
                        .context = context,
                        .permit = *permit,
                        .start = start,
                        .given = context.deadline - start};
  // A stream may live for a day: its first message says that the endpoint serves.
  FirstMessage first(sink, [&] { Record(outcome, OkStatus(), *pick, &span); });
  const Status status =
      co_await pick->connection<Channel>().CallStream(method, context, std::move(request), first);
  if (!first.heard()) Record(outcome, status, *pick, &span);
  co_return status;
}

}  // namespace starling::rpc
