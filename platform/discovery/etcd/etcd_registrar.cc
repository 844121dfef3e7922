#include "platform/discovery/etcd/etcd_registrar.h"

#include <algorithm>

#include "platform/discovery/address.h"
#include "platform/discovery/etcd/backoff.h"
#include "platform/telemetry/log.h"

namespace starling::discovery {
namespace {

constexpr size_t kMaxServices = 100;  // etcd takes 128 operations in a transaction

StatusOr<etcd::Values> ValuesOf(std::string_view prefix, const Instance& instance) {
  STARLING_RETURN_IF_ERROR(Annotate(CheckServiceName(instance.id), "the instance's id"));
  STARLING_RETURN_IF_ERROR(CheckAddress(instance.address));
  if (instance.contracts.empty() || instance.contracts.size() > kMaxServices)
    return InvalidArgument("an instance serves 1 to {} services, not {}", kMaxServices,
                           instance.contracts.size());
  if (instance.weight < 1 || instance.weight > kMaxWeight)
    return InvalidArgument("a weight is from 1 to {}, not {}", kMaxWeight, instance.weight);
  etcd::Values values;
  for (const auto& [service, contract] : instance.contracts) {
    STARLING_RETURN_IF_ERROR(CheckServiceName(service));
    values[fmt::format("{}{}/{}", prefix, service, instance.id)] =
        etcd::WriteRegistered({.address = instance.address,
                               .zone = instance.zone,
                               .contract = contract,
                               .weight = instance.weight,
                               .admin = instance.admin});
  }
  return values;
}

}  // namespace

// All that follows `executor` is touched on it alone, by one coroutine between its waits.
struct EtcdRegistrar::State {
  State(Runtime& runtime, EtcdRegistrarOptions o)
      : options(std::move(o)),
        client(runtime, {.urls = options.urls, .timeout = options.timeout}),
        executor(runtime.NextExecutor()) {}

  const EtcdRegistrarOptions options;
  etcd::Client client;
  std::atomic<bool> destroyed{false};
  std::atomic<uint64_t> registrations{0};

  const Executor executor;
  etcd::Values values;      // empty: not registered
  uint64_t generation = 0;  // of `values`: what keeps an earlier one ends
  int64_t lease = 0;        // 0: none that lives
  bool putting = false;

  bool Kept(uint64_t of) const { return !destroyed && generation == of && !values.empty(); }
};

EtcdRegistrar::EtcdRegistrar(Runtime& runtime, EtcdRegistrarOptions options)
    : state_(std::make_shared<State>(runtime, std::move(options))) {}

EtcdRegistrar::~EtcdRegistrar() { state_->destroyed = true; }

uint64_t EtcdRegistrar::registrations() const { return state_->registrations; }

Task<Status> EtcdRegistrar::Register(Instance instance) {
  const std::shared_ptr<State> state = state_;
  CO_RETURN_IF_ERROR(etcd::CheckUrls(state->options.urls));
  CO_ASSIGN_OR_RETURN(etcd::Values values, ValuesOf(state->options.prefix, instance));
  co_return co_await RunOn(state->executor, Begin(state, std::move(values)));
}

Task<Status> EtcdRegistrar::Deregister() {
  const std::shared_ptr<State> state = state_;
  co_return co_await RunOn(state->executor, End(state));
}

Task<Status> EtcdRegistrar::Begin(std::shared_ptr<State> state, etcd::Values values) {
  if (!state->values.empty()) co_return FailedPrecondition("this process is registered already");
  state->values = std::move(values);
  const uint64_t generation = ++state->generation;
  const Status put = co_await Put(state);
  if (state->Kept(generation)) Spawn(state->executor, Keep(state, generation));
  co_return put;
}

// Takes a lease and puts all on it. When it was ended meanwhile nothing stays.
Task<Status> EtcdRegistrar::Put(std::shared_ptr<State> state) {
  const uint64_t generation = state->generation;
  state->putting = true;
  StatusOr<int64_t> lease = co_await state->client.Grant(state->options.ttl);
  Status status = lease.status();
  if (status.ok() && state->Kept(generation)) {
    Status put = co_await state->client.Put(state->values, *lease);
    status = std::move(put);
  }
  if (lease.ok() && (!status.ok() || !state->Kept(generation))) {
    const Status revoked = co_await state->client.Revoke(*lease);
    if (status.ok()) status = revoked;
  } else if (lease.ok()) {
    state->lease = *lease;
    ++state->registrations;
  }
  state->putting = false;
  co_return status;
}

Task<void> EtcdRegistrar::Keep(std::shared_ptr<State> state, uint64_t generation) {
  const Duration third = state->options.ttl / 3;
  etcd::Backoff backoff(std::min<Duration>(std::chrono::milliseconds(200), third), third);
  bool away = state->lease == 0;
  while (true) {
    co_await SleepFor(away ? backoff.Next() : third);
    if (!state->Kept(generation)) co_return;
    Status status;
    if (state->lease != 0) {
      const StatusOr<bool> alive = co_await state->client.KeepAlive(state->lease);
      status = alive.status();
      if (!state->Kept(generation)) co_return;
      if (status.code() == StatusCode::kNotFound || (alive.ok() && !*alive)) {
        log::Warning("discovery", "etcd has forgotten this process; it is registered again");
        state->lease = 0;
      }
    }
    if (state->lease == 0) {
      Status put = co_await Put(state);
      status = std::move(put);
      if (!state->Kept(generation)) co_return;
    }
    if (!status.ok() && !away) log::Warning("discovery", "not kept in etcd now").With(status);
    if (status.ok() && away) log::Info("discovery", "registered in etcd");
    away = !status.ok();
    if (!away) backoff.Reset();
  }
}

Task<Status> EtcdRegistrar::End(std::shared_ptr<State> state) {
  state->values.clear();
  ++state->generation;
  // A put that is under way sees that it came too late, and takes back what it has put.
  while (state->putting) co_await SleepFor(std::chrono::milliseconds(2));
  const int64_t lease = std::exchange(state->lease, 0);
  if (lease == 0) co_return OkStatus();
  const Status revoked = co_await state->client.Revoke(lease);
  co_return revoked.code() == StatusCode::kNotFound ? OkStatus() : revoked;
}

}  // namespace starling::discovery
