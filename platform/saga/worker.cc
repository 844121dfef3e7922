#include "platform/saga/worker.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "platform/async/asio_await.h"
#include "platform/rpc/idempotency.h"
#include "platform/telemetry/log.h"

namespace starling::saga {
namespace {

constexpr size_t kClaimBatch = 32;
constexpr int64_t kPruneBatch = 200;
constexpr Duration kUpkeepEvery = std::chrono::seconds(5);
constexpr Duration kGrace = std::chrono::seconds(1);
constexpr Duration kStopLimit = std::chrono::seconds(5);

}  // namespace

Worker::Worker(std::string service, sql::Database& database, Runtime& runtime,
               telemetry::Telemetry& telemetry, const Clock& clock, EngineOptions options)
    : service_(std::move(service)),
      owner_(NewId()),
      database_(database),
      runtime_(runtime),
      telemetry_(telemetry),
      clock_(clock),
      options_(std::move(options)),
      metrics_(telemetry.metrics(), service_),
      executor_(runtime.NextExecutor()),
      timer_(executor_) {}

Status Worker::Add(Definition definition) {
  STARLING_RETURN_IF_ERROR(Validate(definition));
  std::pair<std::string, int> key(definition.name, definition.version);
  if (definitions_.contains(key)) {
    return Internal("saga '{}' version {} was added twice", key.first, key.second);
  }
  definitions_.emplace(std::move(key), std::make_shared<const Definition>(std::move(definition)));
  return OkStatus();
}

std::shared_ptr<const Definition> Worker::Newest(std::string_view saga) const {
  std::shared_ptr<const Definition> newest;
  for (const auto& [key, definition] : definitions_) {
    if (key.first == saga) newest = definition;  // versions ascend
  }
  return newest;
}

std::shared_ptr<const Definition> Worker::Find(std::string_view saga, int version) const {
  const auto at = definitions_.find(std::pair(std::string(saga), version));
  return at == definitions_.end() ? nullptr : at->second;
}

void Worker::Start() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(started_, true)) return;
  }
  Spawn(executor_, [](std::shared_ptr<Worker> self) -> Task<void> {
    co_await self->Loop();
    const std::lock_guard lock(self->mutex_);
    self->loop_ended_ = true;
    self->changed_.notify_all();
  }(shared_from_this()));
}

void Worker::Stop() {
  std::unique_lock lock(mutex_);
  if (!started_ || std::exchange(stopping_, true)) return;
  for (const auto& [id, attempt] : held_) {
    if (attempt != nullptr) attempt->Cut(kGrace);
  }
  lock.unlock();
  Wake();
  lock.lock();
  if (!changed_.wait_for(lock, kStopLimit, [this] { return loop_ended_ && held_.empty(); })) {
    log::Error("saga", "{} runs of {} did not stop; their leases run out", held_.size(), service_);
  }
}

void Worker::Wake() {
  if (woken_.exchange(true)) return;
  boost::asio::post(executor_, [self = shared_from_this()] { self->timer_.cancel(); });
}

void Worker::Started(std::string_view saga) {
  ++open_;
  metrics_.Started(saga);
  Wake();
}

Task<void> Worker::Loop() {
  while (!stopping()) {
    co_await Renew();
    co_await Upkeep();
    const bool more = co_await ClaimDue();
    if (!more) co_await Sleep();
  }
}

Task<void> Worker::Renew() {
  const Instant now = std::chrono::steady_clock::now();
  if (now < renew_at_) co_return;
  renew_at_ = now + options_.lease / 3;
  std::vector<std::string> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, attempt] : held_) ids.push_back(id);
  }
  if (ids.empty()) co_return;
  const Status renewed = co_await database_.Write([&](sql::Transaction& transaction) {
    return store::Renew(transaction, ids, owner_, clock_.Now() + options_.lease);
  });
  if (!renewed.ok()) log::Warning("saga", "leases of {} are not renewed", service_).With(renewed);
}

Task<void> Worker::Upkeep() {
  const Instant now = std::chrono::steady_clock::now();
  if (now < upkeep_at_) co_return;
  upkeep_at_ = now + kUpkeepEvery;
  const auto counted = co_await database_.Read(
      [](sql::Connection& connection) { return store::CountOpen(connection); });
  if (counted.ok()) {
    std::map<std::string, std::pair<int64_t, int64_t>> by_saga;
    for (const auto& [key, definition] : definitions_) by_saga[key.first] = {0, 0};
    int64_t open = 0;
    int64_t unknown = 0;
    for (const store::OpenRuns& runs : *counted) {
      open += runs.open;
      by_saga[runs.saga].first += runs.open;
      by_saga[runs.saga].second += runs.stuck;
      if (Find(runs.saga, runs.version) != nullptr) continue;
      unknown += runs.open;
      log::Warning("saga", "{} open runs wait for version {} of '{}', which this process lacks",
                   runs.open, runs.version, runs.saga);
    }
    open_ = open;
    metrics_.Unknown(unknown);
    for (const auto& [saga, runs] : by_saga) metrics_.Open(saga, runs.first, runs.second);
  }
  const auto pruned = co_await database_.Write([this](sql::Transaction& transaction) {
    return store::Prune(transaction, clock_.Now() - options_.keep, options_.max_ended, kPruneBatch);
  });
  if (pruned.ok() && *pruned == kPruneBatch) upkeep_at_ = now;  // there is more
}

StatusOr<std::vector<std::string>> Worker::Due(sql::Connection& connection, size_t limit) {
  std::vector<std::string> ids;
  for (const auto& [key, definition] : definitions_) {
    STARLING_ASSIGN_OR_RETURN(
        std::vector<std::string> due,
        store::Due(connection, key.first, key.second, clock_.Now(), static_cast<int64_t>(limit)));
    ids.insert(ids.end(), std::make_move_iterator(due.begin()), std::make_move_iterator(due.end()));
  }
  return ids;
}

Task<bool> Worker::ClaimDue() {
  size_t room = 0;
  {
    const std::lock_guard lock(mutex_);
    due_.erase(due_.begin(), due_.upper_bound(clock_.Now()));
    room =
        std::min(kClaimBatch, options_.max_running - std::min(options_.max_running, held_.size()));
  }
  if (room == 0) co_return false;
  auto ids =
      co_await database_.Read([&](sql::Connection& connection) { return Due(connection, room); });
  if (!ids.ok()) {
    log::Warning("saga", "runs of {} are not found", service_).With(ids.status());
    co_return false;
  }
  {
    // A lease that ran out while its run is worked on here is no reason to work on it twice.
    const std::lock_guard lock(mutex_);
    std::erase_if(*ids, [this](const std::string& id) { return held_.contains(id); });
    if (ids->size() > room) ids->resize(room);
  }
  if (ids->empty()) co_return false;
  auto claimed = co_await database_.Write(
      [&](sql::Transaction& transaction) { return Claim(transaction, *ids); });
  if (!claimed.ok()) {
    log::Warning("saga", "runs of {} are not claimed", service_).With(claimed.status());
    co_return false;
  }
  for (Work& work : *claimed) {
    Tell(work);
    if (work.next != Next::kCall) continue;
    {
      const std::lock_guard lock(mutex_);
      held_.emplace(work.run.id, nullptr);
    }
    Spawn(runtime_.NextExecutor(), [](std::shared_ptr<Worker> self, Work work) -> Task<void> {
      const std::string id = work.run.id;
      co_await self->Drive(std::move(work));
      self->Release(id);
    }(shared_from_this(), std::move(work)));
  }
  co_return !claimed->empty();
}

Task<void> Worker::Sleep() {
  if (woken_.exchange(false)) co_return;
  Duration pause = std::min<Duration>(options_.poll, options_.lease / 3);
  {
    const std::lock_guard lock(mutex_);
    if (!due_.empty()) pause = std::min<Duration>(pause, *due_.begin() - clock_.Now());
  }
  timer_.expires_after(std::max<Duration>(pause, std::chrono::milliseconds(1)));
  boost::system::error_code woken;
  co_await timer_.async_wait(AsTask(woken));
  woken_ = false;
}

StatusOr<std::vector<Worker::Work>> Worker::Claim(sql::Transaction& transaction,
                                                  const std::vector<std::string>& ids) {
  std::vector<Work> all;
  const TimePoint now = clock_.Now();
  for (const std::string& id : ids) {
    STARLING_ASSIGN_OR_RETURN(std::optional<Run> run,
                              store::Claim(transaction, id, owner_, now, now + options_.lease));
    if (!run.has_value()) continue;
    Work work{.run = *std::move(run), .definition = nullptr};
    work.definition = Find(work.run.saga, work.run.version);
    work.was = work.run.phase;
    work.was_stuck = work.run.stuck;
    Machine machine = MachineOf(*work.definition, work.run);
    machine.Resume(now);
    STARLING_RETURN_IF_ERROR(Store(transaction, work));
    all.push_back(std::move(work));
  }
  return all;
}

Status Worker::Store(sql::Transaction& transaction, Work& work) {
  const TimePoint now = clock_.Now();
  Machine machine = MachineOf(*work.definition, work.run);
  work.next = machine.Decide(now);
  // Who stops begins nothing: the run is due, and others may have it.
  if (work.next == Next::kCall && stopping()) work.next = Next::kWait;
  const bool keeps = work.next == Next::kCall;
  if (keeps) machine.Begin(now);
  return store::Save(transaction, work.run, owner_,
                     keeps ? std::optional(now + options_.lease) : std::nullopt);
}

Task<void> Worker::Drive(Work work) {
  while (work.next == Next::kCall) {
    At(Point::kBeforeCall, work.run);
    State state;
    const Status outcome = co_await Try(work, state);
    At(Point::kAfterCall, work.run);
    StatusOr<Work> after = co_await database_.Write(
        [&](sql::Transaction& transaction) { return Record(transaction, work, outcome, state); });
    if (!after.ok()) {
      // The lease runs out, and then the attempt is repeated, with its key.
      log::Warning("saga", "the outcome of {} is not written", work.run.id).With(after.status());
      co_return;
    }
    At(Point::kAfterSave, after->run);
    Tell(*after);
    work = *std::move(after);
  }
}

Task<Status> Worker::Try(const Work& work, State& state) {
  const telemetry::TraceContext parent =
      telemetry::TraceContext::Parse(work.run.trace).value_or(telemetry::TraceContext{});
  const Instant start = std::chrono::steady_clock::now();
  telemetry::Span span =
      telemetry_.tracer().StartAt("saga.step", telemetry::Span::kInternal, parent, start);
  const StepRecord& record = *work.run.Find(work.run.step, work.run.phase == Phase::kCompensating);
  if (span.recording()) {
    span.SetAttribute("saga", work.run.saga);
    span.SetAttribute("run", work.run.id);
    span.SetAttribute("step", record.name + (record.compensation ? "/c" : ""));
    span.SetAttribute("attempt", static_cast<int64_t>(record.attempts));
  }
  const Executor here = co_await CurrentExecutor();
  const auto attempt =
      std::make_shared<Attempt>(work.definition, service_, work.run, span.context(), here);
  {
    const std::lock_guard lock(mutex_);
    held_[work.run.id] = attempt;
    if (stopping_) attempt->Cut(kGrace);
  }
  Status outcome = co_await attempt->Wait();
  {
    const std::lock_guard lock(mutex_);
    held_[work.run.id] = nullptr;
  }
  state = std::move(attempt->state());
  const Instant end = std::chrono::steady_clock::now();
  span.EndAt(outcome, end);
  metrics_.Attempted(work.run.saga, record, outcome, end - start);
  co_return outcome;
}

StatusOr<Worker::Work> Worker::Record(sql::Transaction& transaction, const Work& before,
                                      const Status& outcome, const State& state) {
  Work after = before;
  after.was = before.run.phase;
  after.was_stuck = before.run.stuck;
  STARLING_ASSIGN_OR_RETURN(const bool holds, store::Holds(transaction, after.run, owner_));
  if (!holds) return Aborted("another process has taken the run over");
  Machine machine = MachineOf(*after.definition, after.run);
  if (!outcome.ok() && !rpc::IsFinal(outcome) && stopping()) {
    machine.Interrupt(clock_.Now());
  } else {
    if (outcome.ok()) after.run.state = state;
    machine.Finish(outcome, clock_.Now());
  }
  STARLING_RETURN_IF_ERROR(Store(transaction, after));
  return after;
}

void Worker::Tell(const Work& work) {
  const Run& run = work.run;
  if (work.next == Next::kWait) {
    const std::lock_guard lock(mutex_);
    due_.insert(run.due_at);
  }
  if (run.stuck && !work.was_stuck) {
    log::Error("saga", "run {} of {} is stuck at {}", run.id, run.saga,
               work.definition->steps[run.step].name)
        .With(run.Find(run.step, run.phase == Phase::kCompensating)->last);
  }
  if (run.phase != work.was && work.was == Phase::kForward && !run.failure.ok()) {
    log::Info("saga", "run {} of {} turns back", run.id, run.saga).With(run.failure);
  }
  if (work.next != Next::kEnd) return;
  --open_;
  metrics_.Ended(run);
  log::Debug("saga", "run {} of {} is {}", run.id, run.saga, Name(run.phase));
}

void Worker::Release(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    held_.erase(id);
    changed_.notify_all();
  }
  Wake();
}

}  // namespace starling::saga
