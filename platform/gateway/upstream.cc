#include "platform/gateway/upstream.h"

#include <absl/container/inlined_vector.h>

#include "platform/base/id.h"
#include "platform/discovery/address.h"
#include "platform/gateway/endpoint_health.h"
#include "platform/gateway/grpc.h"
#include "platform/gateway/h2_upstream.h"
#include "platform/gateway/request_head.h"
#include "platform/gateway/streamed_body.h"
#include "platform/gateway/upload.h"
#include "platform/gateway/upstream_connection.h"
#include "platform/gateway/upstream_members.h"
#include "platform/gateway/upstream_pool.h"
#include "platform/http/client_tls.h"
#include "platform/resilience/backoff.h"
#include "platform/telemetry/log.h"

namespace starling::gateway {
namespace {

constexpr Duration kLookAtFiles = std::chrono::seconds(1);
constexpr Duration kRetryPause = std::chrono::milliseconds(10);  // the longest first one
constexpr int kMostInterim = 32;                                 // answers before one answer

H2UpstreamOptions ConnectionOptions(const UpstreamOptions& options) {
  return {.connect_timeout = options.connect_timeout,
          .idle_timeout = options.idle_timeout,
          .keepalive = options.keepalive,
          .max_header_bytes = options.max_header_bytes,
          .tls = options.tls};
}

bool SaysTryAgain(int status) { return status == 502 || status == 503 || status == 504; }

}  // namespace

Task<void> Upstream::SweepIdle(std::weak_ptr<Pools> weak, size_t thread, Duration idle_timeout) {
  const Duration pause =
      std::clamp<Duration>(idle_timeout / 4, std::chrono::milliseconds(1), std::chrono::seconds(1));
  for (;;) {
    co_await SleepFor(pause);
    const std::shared_ptr<Pools> pools = weak.lock();
    if (pools == nullptr) co_return;
    for (const auto& [address, pool] : pools->Live()) pool->Sweep(thread, idle_timeout);
  }
}

// Certificates are made anew while we run.
Task<void> Upstream::WatchTls(std::weak_ptr<http::ClientTls> weak, std::string name,
                              BlockingPool& pool) {
  for (std::string said;;) {
    co_await SleepFor(kLookAtFiles);
    const std::shared_ptr<http::ClientTls> tls = weak.lock();
    if (tls == nullptr) co_return;
    const StatusOr<bool> taken = co_await pool.Run([&] { return tls->ReloadIfChanged(); });
    if (taken.ok() && *taken)
      log::Info("gateway", "new certificates are taken").With("upstream", name);
    // Once, not each second.
    std::string wrong(absl::IsInvalidArgument(taken.status()) ? taken.status().message() : "");
    if (!wrong.empty() && wrong != said) {
      log::Warning("gateway", "new certificates are not taken, the old ones stay")
          .With("upstream", name)
          .With(taken.status());
    }
    said = std::move(wrong);
  }
}

// Asks each endpoint whether it is well.
struct Upstream::Checks {
  struct State {
    bool healthy = true;
    int in_a_row = 0;  // answers that speak against `healthy`
  };
  HealthCheck check;
  std::string name;
  std::vector<discovery::Endpoint> endpoints;
  std::vector<State> states;
  std::shared_ptr<UpstreamMembers> members;
  EndpointCheck asked;  // of each, but for its address
  std::atomic<bool> stopped{false};

  static Task<void> Run(std::shared_ptr<Checks> self) {
    while (!self->stopped) {
      for (size_t i = 0; i < self->endpoints.size() && !self->stopped; ++i) {
        EndpointCheck asked = self->asked;
        asked.address = self->endpoints[i].address;
        const bool well = co_await IsWell(std::move(asked));
        State& state = self->states[i];
        state.in_a_row = well == state.healthy ? 0 : state.in_a_row + 1;
        if (state.in_a_row < (well ? self->check.successes : self->check.failures)) continue;
        if (state.in_a_row == 0) continue;
        state = {.healthy = well, .in_a_row = 0};
        self->members->SetHealthy(i, well);
      }
      co_await SleepFor(self->check.interval);
    }
  }
};

StatusOr<std::shared_ptr<Upstream>> Upstream::Make(UpstreamOptions options, Runtime& runtime,
                                                   telemetry::Metrics& metrics) {
  if (options.endpoints.empty())
    return InvalidArgument("upstream '{}' has no endpoints", options.name);
  for (const discovery::Endpoint& endpoint : options.endpoints) {
    STARLING_RETURN_IF_ERROR(Annotate(discovery::CheckAddress(endpoint.address),
                                      fmt::format("upstream '{}'", options.name)));
  }
  return std::shared_ptr<Upstream>(new Upstream(std::move(options), runtime, metrics));
}

Upstream::Upstream(UpstreamOptions options, Runtime& runtime, telemetry::Metrics& metrics)
    : options_(std::move(options)),
      budget_(options_.retries),
      retries_(metrics.AddCounter("starling_upstream_retries_total",
                                  "Tries beyond the first of requests to an upstream",
                                  {{"upstream", options_.name}})),
      failures_(metrics.AddCounter("starling_upstream_failures_total",
                                   "Tries that an upstream did not answer",
                                   {{"upstream", options_.name}})),
      pools_(std::make_shared<Pools>()) {
  for (int i = 0; i < runtime.io_threads(); ++i)
    threads_.push_back(std::make_shared<ProxyThread>(runtime.context(i)));
  balancer_ = std::make_shared<discovery::Balancer>(
      discovery::BalancerOptions{}, SystemClock(), FastRandom(),
      [threads = threads_, pools = pools_,
       h2 = options_.protocol == Protocol::kH2
                ? std::optional(ConnectionOptions(options_))
                : std::nullopt](const discovery::Endpoint& endpoint) {
        std::shared_ptr<Pool> pool = OpenPool(endpoint, threads, h2);
        pools->Add(endpoint.address, pool);
        return pool;
      });
  members_ = std::make_shared<UpstreamMembers>(options_.endpoints, balancer_);
  for (size_t i = 0; i < threads_.size(); ++i) {
    Spawn(runtime.executor(static_cast<int>(i)),
          SweepIdle(std::weak_ptr<Pools>(pools_), i, options_.idle_timeout));
  }
  if (options_.tls != nullptr) {
    Spawn(threads_[0]->context().get_executor(),
          WatchTls(options_.tls, options_.name, runtime.background()));
  }
  if (!options_.health) return;
  checks_ = std::make_shared<Checks>();
  checks_->check = *options_.health;
  checks_->name = options_.name;
  checks_->endpoints = options_.endpoints;
  checks_->states.resize(options_.endpoints.size());
  checks_->members = members_;
  checks_->asked = {.options = ConnectionOptions(options_),
                    .h2 = options_.protocol == Protocol::kH2,
                    .thread = threads_[0],
                    .path = options_.health->path,
                    .timeout = options_.health->timeout};
  Spawn(threads_[0]->context().get_executor(), Checks::Run(checks_));
}

Upstream::~Upstream() {
  if (checks_ != nullptr) checks_->stopped = true;
}

std::shared_ptr<Upstream::Pool> Upstream::OpenPool(const discovery::Endpoint& endpoint,
                                                   const Threads& threads,
                                                   const std::optional<H2UpstreamOptions>& h2) {
  auto pool = std::make_shared<Pool>();
  std::tie(pool->host, pool->port) = HostAndPort(endpoint.address);
  pool->threads = threads;
  pool->idle.resize(threads.size());
  if (h2) {
    for (const auto& thread : threads) pool->h2.emplace_back(thread, *h2, pool->host, pool->port);
  }
  return pool;
}

std::vector<EndpointState> Upstream::Endpoints() const {
  const auto pools = pools_->Live();
  const std::vector<discovery::EndpointHealth> health = balancer_->Health();
  std::vector<EndpointState> states;
  for (const UpstreamMembers::Member& member : members_->List()) {
    EndpointState state{
        .address = member.endpoint.address, .healthy = member.healthy, .drained = member.drained};
    for (const auto& [address, pool] : pools) {
      if (address != state.address) continue;
      state.in_flight += pool->in_flight.load(std::memory_order_relaxed);
      state.idle += pool->idle_count.load(std::memory_order_relaxed);
    }
    for (const discovery::EndpointHealth& known : health) {
      if (known.endpoint.address != state.address) continue;
      state.latency = known.latency;
      state.ejected = known.ejected;
      state.back_in = known.back_in;
      state.ejections = known.ejections;
    }
    states.push_back(std::move(state));
  }
  return states;
}

Status Upstream::SetDrained(std::string_view address, bool drained) {
  return Annotate(members_->SetDrained(address, drained),
                  fmt::format("upstream '{}'", options_.name));
}

Task<Status> Upstream::Forward(const http::Request& request, http::Exchange& exchange,
                               Forwarding how) {
  if (options_.protocol == Protocol::kH2 && exchange.body_streams())
    return ForwardBody(request, exchange, how);
  return ForwardTries(request, exchange, how, nullptr);
}

Task<Status> Upstream::ForwardTries(const http::Request& request, http::Exchange& exchange,
                                    Forwarding how, StreamedBody* body) {
  const Instant deadline =
      std::min(how.call_deadline, std::chrono::steady_clock::now() + how.policy.timeout);
  const bool idempotent = IsIdempotent(request.verb) && !exchange.body_streams();
  absl::InlinedVector<std::string, 2> tried;
  absl::InlinedVector<std::string_view, 2> avoid;
  budget_.OnCall();
  for (int retry = 0;; ++retry) {
    StatusOr<discovery::Pick> pick = balancer_->Choose(avoid);
    if (!pick.ok()) co_return pick.status();
    const bool last = retry >= how.policy.retries;
    Task<Attempt> trying =
        options_.protocol == Protocol::kH2
            ? TryH2(request, exchange, how, *pick, deadline, last || !idempotent || body, body)
            : Try(request, exchange, how, *pick, deadline, last || !idempotent);
    const Attempt attempt = co_await std::move(trying);
    if (attempt.status.ok()) {
      if (attempt.answer == 101) {
        pick->Cancelled();  // how long it was open says nothing of how busy it is
      } else if (attempt.answer == 503) {
        pick->Overloaded();
      } else if (SaysTryAgain(attempt.answer)) {
        pick->Failed();
      } else {
        pick->Succeeded();
      }
      co_return OkStatus();
    }
    if (absl::IsCancelled(attempt.status) || attempt.clients) {
      pick->Cancelled();
      co_return attempt.status;
    }
    if (attempt.answer == 503) {
      pick->Overloaded();
    } else {
      pick->Failed();
    }
    failures_.Add();
    const Status said = Annotate(
        attempt.status, fmt::format("upstream '{}', {}", options_.name, pick->endpoint().address));
    if (last || exchange.streaming() || (attempt.may_repeat ? false : !idempotent) ||
        (body != nullptr && !body->replayable()) || std::chrono::steady_clock::now() >= deadline ||
        !budget_.TakeRetry()) {
      co_return said;
    }
    retries_.Add();
    exchange.response.Clear();
    tried.push_back(pick->endpoint().address);
    avoid.assign(tried.begin(), tried.end());
    co_await SleepFor(resilience::BackoffPause({.base = kRetryPause}, retry, FastRandom()));
  }
}

Task<Upstream::Attempt> Upstream::Try(const http::Request& request, http::Exchange& exchange,
                                      const Forwarding& how, discovery::Pick& pick,
                                      Instant deadline, bool last) {
  Pool& pool = pick.connection<Pool>();
  const UnderWay under_way(pool.in_flight);
  const auto thread = static_cast<size_t>(request.thread_index);
  const bool streams = exchange.body_streams();
  const bool idempotent = IsIdempotent(request.verb) && !streams;
  if (how.policy.try_timeout > Duration(0))
    deadline = std::min(deadline, std::chrono::steady_clock::now() + how.policy.try_timeout);
  std::unique_ptr<UpstreamConnection> connection = pool.Take(thread, options_.idle_timeout);
  for (;;) {
    // What cannot be sent twice is not sent where it may be lost.
    while (connection != nullptr && !idempotent && connection->IsStale())
      connection = pool.Take(thread, options_.idle_timeout);
    const bool reused = connection != nullptr;
    if (!reused) {
      connection =
          std::make_unique<UpstreamConnection>(*threads_[thread], options_.max_header_bytes);
      connection->Use(
          request, exchange,
          std::min(deadline, std::chrono::steady_clock::now() + options_.connect_timeout));
      Status connected = co_await connection->Connect(pool.host, pool.port, options_.tls.get());
      if (!connected.ok()) co_return Attempt{.status = std::move(connected), .may_repeat = true};
      connection->SetDeadline(deadline);
    } else {
      connection->Use(request, exchange, deadline);
    }
    // Nobody else uses it before Send has sent it, or copied what is left.
    thread_local std::string head;
    head.clear();
    AppendRequestHead(request, how, pick.endpoint().address, head, streams);
    connection->ExpectUpgrade(how.upgrade);
    const Status sent =
        co_await connection->Send(head, request.body, request.verb == http::Verb::kHead);
    // A server may answer and close before it has read all: its answer is worth more than our
    // error.
    Attempt attempt;
    if (streams && sent.ok()) {
      attempt = co_await ReadWhileSending(request, exchange, how, *connection);
    } else {
      attempt = co_await Read(request, exchange, how, *connection, last);
    }
    if (!attempt.status.ok()) {
      const bool unanswered = !connection->parser().begun() && absl::IsUnavailable(attempt.status);
      connection.reset();
      if (reused && unanswered && idempotent) continue;  // on a new one: none of the pool is taken
      attempt.may_repeat = false;
      co_return attempt;
    }
    const bool reusable = sent.ok() && connection->reusable();
    connection->Release();
    if (reusable) {
      pool.GiveBack(thread, std::move(connection), options_.max_idle);
    }
    co_return attempt;
  }
}

Task<Upstream::Attempt> Upstream::ReadWhileSending(const http::Request& request,
                                                   http::Exchange& exchange, const Forwarding& how,
                                                   UpstreamConnection& connection) {
  Upload upload(exchange, connection, how.policy,
                ContentLengthOf(request) ? Upload::Framing::kAsItIs : Upload::Framing::kChunks);
  const auto thread = static_cast<size_t>(request.thread_index);
  upload.Start(threads_[thread]->context().get_executor());
  const auto on_head = [&](http::Response& response) {
    upload.AnswerBegan();
    return how.on_head(response);
  };
  const Forwarding with_upload{.policy = how.policy,
                               .target = how.target,
                               .headers = how.headers,
                               .on_head = on_head,
                               .on_stream = how.on_stream,
                               .trusted_peer = how.trusted_peer,
                               .upgrade = {}};
  Attempt attempt = co_await Read(request, exchange, with_upload, connection, /*last=*/true);
  co_await upload.End();
  if (const Status client = upload.client_error(); !client.ok() && !attempt.status.ok()) {
    attempt.status = client;
    attempt.clients = true;
  }
  // What it answered before it had all may still come to want the rest.
  if (!upload.sent_all()) connection.Stop(Cancelled("the request was not sent whole"));
  co_return attempt;
}

Task<Upstream::Attempt> Upstream::Read(const http::Request& request, http::Exchange& exchange,
                                       const Forwarding& how, UpstreamAnswer& connection,
                                       bool last) {
  using Step = UpstreamAnswer::Step;
  http::Response& response = exchange.response;
  response.Clear();
  Step step = co_await connection.Next(response);
  for (int interim = 0; step == Step::kInterim; ++interim) {
    if (interim == kMostInterim) {
      co_return Attempt{.status =
                            Unavailable("it gave more than {} interim answers", kMostInterim)};
    }
    Status passed = co_await exchange.SendInterim(response);
    if (!passed.ok()) co_return Attempt{.status = std::move(passed)};
    response.Clear();
    step = co_await connection.Next(response);
  }
  if (step == Step::kError) co_return Attempt{.status = connection.error()};
  Attempt attempt{.answer = how.grpc ? HttpStatusOfGrpc(response) : response.status};
  if (!last && SaysTryAgain(attempt.answer)) {
    attempt.status = Unavailable("it answered {}", attempt.answer);
    co_return attempt;
  }
  const Forwarding::Gather gather = how.on_head(response);
  if (attempt.answer == 101 && options_.protocol == Protocol::kHttp1) {
    attempt.status = co_await Tunnel(exchange, how, static_cast<UpstreamConnection&>(connection));
    co_return attempt;
  }
  const std::optional<uint64_t> length = connection.content_length();
  if (request.verb == http::Verb::kHead) {
    response.length = length;
    co_return attempt;
  }
  const bool wait = length ? *length <= gather.most : gather.whole;
  Instant whole_by = Instant::max();  // read from the clock only where there is a wait
  while (!connection.complete()) {
    step = connection.NextRead(response);
    if (step == Step::kNeedMore || response.body.size() > gather.most) {
      if (!wait || response.body.size() > gather.most) {
        if (step == Step::kBody) response.body.append(connection.piece());
        attempt.status = co_await Stream(exchange, how, connection);
        co_return attempt;
      }
      const Instant now = std::chrono::steady_clock::now();
      if (whole_by == Instant::max()) whole_by = now + how.policy.timeout;
      connection.SetDeadline(
          std::min({whole_by, now + how.policy.quiet_timeout, how.call_deadline}));
      step = co_await connection.Next(response);
    }
    if (step == Step::kBody) {
      response.body.append(connection.piece());
    } else if (step == Step::kError) {
      attempt.status = connection.error();
      co_return attempt;
    }
  }
  co_return attempt;
}

Task<Status> Upstream::Tunnel(http::Exchange& exchange, const Forwarding& how,
                              UpstreamConnection& connection) {
  using Step = UpstreamConnection::Step;
  http::Response& response = exchange.response;
  response.headers.Set("Upgrade", how.upgrade);
  http::ResponseStream* const stream = exchange.StartTunnel();
  if (stream == nullptr) co_return Cancelled("the client is gone");
  how.on_stream();
  const auto thread = static_cast<size_t>(exchange.request.thread_index);
  Upload upload(exchange, connection, how.policy, Upload::Framing::kTunnel);
  upload.Start(threads_[thread]->context().get_executor());
  const auto quiet_from_now = [&] {
    connection.SetDeadline(std::chrono::steady_clock::now() + how.policy.quiet_timeout);
  };
  quiet_from_now();
  Status passed = co_await stream->Write("");
  while (passed.ok()) {
    const Step step = co_await connection.Next(response);
    if (step == Step::kComplete) break;
    if (step == Step::kError) {
      passed = connection.error();
      break;
    }
    passed = co_await stream->Write(connection.piece());
    quiet_from_now();
  }
  co_await upload.End();
  // Whoever left first: that is how tunnels end.
  co_return OkStatus();
}

Task<Status> Upstream::Stream(http::Exchange& exchange, const Forwarding& how,
                              UpstreamAnswer& connection) {
  using Step = UpstreamAnswer::Step;
  http::Response& response = exchange.response;
  const std::string begun = std::move(response.body);
  response.body.clear();
  response.length = connection.content_length();
  http::ResponseStream& stream = exchange.StartStream();
  how.on_stream();
  // A client that reads slowly has the server's patience, not the upstream's.
  connection.SetDeadline(Instant::max());
  Status written = co_await stream.Write(begun);
  while (written.ok()) {
    connection.SetDeadline(
        std::min(how.call_deadline, std::chrono::steady_clock::now() + how.policy.quiet_timeout));
    const Step step = co_await connection.Next(response);
    connection.SetDeadline(Instant::max());
    if (step == Step::kComplete) co_return OkStatus();
    if (step == Step::kError) {
      Status error = connection.error();
      if (how.grpc) {
        SetGrpcStatus(error, response.trailers);  // its way to say that an answer broke
      } else {
        stream.Abort();
      }
      co_return error;
    }
    written = co_await stream.Write(connection.piece());
  }
  co_return written;
}

}  // namespace starling::gateway
