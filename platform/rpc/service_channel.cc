#include "platform/rpc/service_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "platform/base/id.h"
#include "platform/telemetry/log.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {
namespace {

using discovery::Pick;
using resilience::CircuitBreaker;

constexpr Duration kConnectPoll = std::chrono::milliseconds(5);

Instant Now() { return std::chrono::steady_clock::now(); }

// The endpoint's fault, or that of the way to it; what its service decided is not.
bool Broken(const Status& status) {
  return status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kUnknown ||
         status.code() == StatusCode::kDeadlineExceeded;
}

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

// One or two tries that count as one attempt.
struct ServiceChannel::Try {
  Duration timeout{0};
  std::vector<std::string> tried;  // addresses
  bool sent = false;               // the request may have been seen
  bool refused_by_breaker = false;
};

struct ServiceChannel::Counters {
  Counters(telemetry::Metrics& metrics, const std::string& service)
      : retries(Add(metrics, service, "retries", "Calls that were tried again")),
        retries_refused(Add(metrics, service, "retries_refused",
                            "Retries and hedges that the retry budget refused")),
        hedges(Add(metrics, service, "hedges", "Calls that were asked of a second endpoint")),
        hedges_won(Add(metrics, service, "hedges_won", "Hedges that answered first")),
        breaker_opened(
            Add(metrics, service, "breaker_opened", "Times that the circuit breaker opened")),
        breaker_refused(
            Add(metrics, service, "breaker_refused", "Calls that an open circuit breaker refused")),
        bulkhead_refused(Add(metrics, service, "bulkhead_refused",
                             "Calls that were refused since too many were in flight")),
        unreachable(Add(metrics, service, "unreachable", "Calls that found nobody connected")) {}

  static telemetry::Counter& Add(telemetry::Metrics& metrics, const std::string& service,
                                 std::string_view name, std::string_view help) {
    return metrics.AddCounter(fmt::format("starling_client_{}_total", name), help,
                              {{"service", service}});
  }
  telemetry::Counter &retries, &retries_refused, &hedges, &hedges_won, &breaker_opened,
      &breaker_refused, &bulkhead_refused, &unreachable;
};

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
      tracer_(telemetry.tracer()),
      counters_(std::make_unique<Counters>(telemetry.metrics(), options_.service)),
      policies_(std::make_shared<const Policies>()),
      balancer_(
          options_.balancer, SystemClock(), FastRandom(),
          [open = options_.open](const discovery::Endpoint& endpoint) -> std::shared_ptr<void> {
            std::shared_ptr<Channel> channel = open(endpoint);
            (void)channel->Usable();  // connects before the first call
            return channel;
          }),
      budget_(options_.retries),
      breaker_(options_.breaker) {}

ServiceChannel::~ServiceChannel() = default;

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
                                            const std::vector<std::string>& tried) {
  while (true) {
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
        unconnected.push_back(address);
      }
    }
    const Instant now = Now();
    Instant::rep since = 0;
    if (missing_since_.compare_exchange_strong(since, now.time_since_epoch().count()))
      since = now.time_since_epoch().count();
    const Instant missing(Instant::duration{since});
    if (now >= missing + options_.connect_patience || context.Remaining() <= kConnectPoll ||
        context.Cancelled()) {
      counters_->unreachable.Add();
      co_return Unavailable(
          "{}: no process that runs it can be reached{}", options_.service,
          unconnected.empty() ? "" : fmt::format(" at {}", fmt::join(unconnected, ", ")));
    }
    co_await SleepFor(kConnectPoll);
  }
}

void ServiceChannel::Record(const Status& status, bool cancelled, Pick& pick) {
  if (cancelled) {
    pick.Cancelled();
    breaker_.Abandon();
    return;
  }
  const bool broken = Broken(status);
  if (broken) {
    pick.Failed();
  } else {
    pick.Succeeded();
  }
  const auto change = breaker_.Record(!broken, Now());
  if (change == CircuitBreaker::State::kOpen) {
    counters_->breaker_opened.Add();
    log::Warning("rpc", "calls to {} are refused for a while: most fail", options_.service)
        .With(status);
  } else if (change == CircuitBreaker::State::kClosed) {
    log::Info("rpc", "calls to {} go through again", options_.service);
  }
}

Task<StatusOr<std::string>> ServiceChannel::CallOnce(const MethodDescriptor& method,
                                                     CallContext& context, std::string request,
                                                     Try& attempt) {
  const Instant start = Now();
  if (!breaker_.Allow(start)) {
    attempt.refused_by_breaker = true;
    counters_->breaker_refused.Add();
    const Status refused =
        Unavailable("{}: most calls failed lately, so none is made for a while", options_.service);
    co_return WithRetryAfter(
        refused,
        std::max(std::chrono::milliseconds(1),
                 std::chrono::ceil<std::chrono::milliseconds>(breaker_.RetryAfter(start))));
  }
  StatusOr<Pick> pick = co_await Choose(context, attempt.tried);
  if (!pick.ok()) {
    breaker_.Abandon();
    co_return pick.status();
  }
  attempt.tried.push_back(pick->endpoint().address);
  attempt.sent = true;
  if (attempt.timeout > Duration(0))
    context.deadline = std::min(context.deadline, Now() + attempt.timeout);
  StatusOr<std::string> answer =
      co_await pick->connection<Channel>().Call(method, context, std::move(request));
  Record(answer.status(), context.Cancelled(), *pick);
  co_return answer;
}

// The first answer of two lanes. Everything here runs on one io thread.
struct ServiceChannel::Race {
  std::shared_ptr<ServiceChannel> channel;
  const MethodDescriptor& method;
  std::string request;
  CallContext contexts[2];
  Try tries[2];
  CancellationSource cancel[2];
  Completion<StatusOr<std::string>> done;
  int running = 0;
  int winner = -1;
  bool hedged = false;

  Race(std::shared_ptr<ServiceChannel> to, const MethodDescriptor& which, std::string bytes,
       const CallContext& context, const Try& attempt)
      : channel(std::move(to)),
        method(which),
        request(std::move(bytes)),
        contexts{context, context},
        tries{attempt, attempt} {
    for (int lane = 0; lane < 2; ++lane) contexts[lane].cancellation = cancel[lane].token();
  }
};

Task<void> ServiceChannel::Run(std::shared_ptr<Race> race, int lane) {
  ++race->running;
  StatusOr<std::string> answer = co_await race->channel->CallOnce(
      race->method, race->contexts[lane], race->request, race->tries[lane]);
  --race->running;
  if (!race->done) co_return;
  // A failure waits for the other lane, which may yet do better.
  if (!answer.ok() && Broken(answer.status()) && race->running > 0) co_return;
  race->winner = lane;
  race->cancel[1 - lane].Cancel();
  Completion<StatusOr<std::string>> done = std::move(race->done);
  done(std::move(answer));
}

Task<StatusOr<std::string>> ServiceChannel::CallHedged(const MethodDescriptor& method,
                                                       CallContext& context,
                                                       const std::string& request,
                                                       Duration hedge_after, Try& attempt,
                                                       telemetry::Span& span) {
  const Executor here = co_await CurrentExecutor();
  const auto race = std::make_shared<Race>(shared_from_this(), method, request, context, attempt);
  const auto on_cancel = context.cancellation.OnCancel([race] {
    race->cancel[0].Cancel();
    race->cancel[1].Cancel();
  });
  const auto timer = std::make_shared<boost::asio::steady_timer>(here, hedge_after);
  StatusOr<std::string> answer =
      co_await Suspend<StatusOr<std::string>>([&](Completion<StatusOr<std::string>> completion) {
        race->done = std::move(completion);
        Spawn(here, Run(race, 0));
        timer->async_wait([race, timer, here](const boost::system::error_code& error) {
          if (error || !race->done) return;
          if (!race->channel->budget_.TakeRetry()) {
            race->channel->counters_->retries_refused.Add();
            return;
          }
          race->hedged = true;
          race->channel->counters_->hedges.Add();
          race->tries[1].tried = race->tries[0].tried;
          Spawn(here, Run(race, 1));
        });
      });
  timer->cancel();
  if (race->hedged) span.AddEvent("hedge");
  if (race->winner == 1) race->channel->counters_->hedges_won.Add();
  attempt = race->tries[std::max(0, race->winner)];
  attempt.sent = race->tries[0].sent || race->tries[1].sent;
  co_return answer;
}

Task<StatusOr<std::string>> ServiceChannel::Call(const MethodDescriptor& method,
                                                 CallContext& context, std::string request) {
  const Room room(*this);
  CO_RETURN_IF_ERROR(room.status());
  budget_.OnCall();
  const CallPolicy policy = PolicyOf(method);
  telemetry::Span span = tracer_.Start(method.full_name, telemetry::Span::kClient, context.trace);
  const bool harmless =
      method.idempotency != Idempotency::kUnknown || !context.idempotency_key.empty();
  Try attempt{.timeout = policy.try_timeout};
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
    const bool may = !status.ok() && !attempt.refused_by_breaker && Broken(status) &&
                     (!attempt.sent || harmless || Reason(status) == reason::kOverloaded);
    Duration pause = resilience::BackoffPause(options_.backoff, tries - 1, FastRandom());
    if (const auto asked = RetryAfter(status)) pause = std::max(pause, Duration(*asked));
    if (!may || tries >= policy.attempts || context.Cancelled() || context.Remaining() <= pause) {
      if (attempt.refused_by_breaker) span.AddEvent("refused by the circuit breaker");
      span.End(status);
      co_return answer;
    }
    if (!budget_.TakeRetry()) {
      counters_->retries_refused.Add();
      span.AddEvent("retry refused by the budget");
      span.End(status);
      co_return answer;
    }
    counters_->retries.Add();
    span.AddEvent("retry");
    co_await SleepFor(pause);
  }
}

Task<Status> ServiceChannel::CallStream(const MethodDescriptor& method, CallContext& context,
                                        std::string request, ByteSink& sink) {
  const Room room(*this);
  CO_RETURN_IF_ERROR(room.status());
  if (!breaker_.Allow(Now())) {
    counters_->breaker_refused.Add();
    co_return Unavailable("{}: most calls failed lately, so none is made for a while",
                          options_.service);
  }
  StatusOr<Pick> pick = co_await Choose(context, {});
  if (!pick.ok()) {
    breaker_.Abandon();
    co_return pick.status();
  }
  // A stream may live for a day: its first message says that the endpoint serves.
  FirstMessage first(sink, [&] { Record(OkStatus(), false, *pick); });
  const Status status =
      co_await pick->connection<Channel>().CallStream(method, context, std::move(request), first);
  if (!first.heard()) Record(status, context.Cancelled(), *pick);
  co_return status;
}

}  // namespace starling::rpc
