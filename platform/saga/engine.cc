#include "platform/saga/engine.h"

#include <algorithm>

#include "platform/saga/worker.h"

namespace starling::saga {
namespace {

Status Missing(std::string_view id) {
  return NotFound("there is no run '{}', or it ended long ago and is forgotten", id);
}

}  // namespace

StatusOr<std::unique_ptr<Engine>> Engine::Open(std::string service, sql::Database& database,
                                               Runtime& runtime, telemetry::Telemetry& telemetry,
                                               const Clock& clock, Options options) {
  STARLING_RETURN_IF_ERROR(store::Migrate(database));
  return std::unique_ptr<Engine>(new Engine(std::make_shared<Worker>(
      std::move(service), database, runtime, telemetry, clock, std::move(options))));
}

Engine::Engine(std::shared_ptr<Worker> worker) : worker_(std::move(worker)) {
  if (Directory* directory = worker_->options().directory) directory->Add(*this);
}

Engine::~Engine() {
  if (Directory* directory = worker_->options().directory) directory->Remove(*this);
  Stop();
}

Status Engine::Add(Definition definition) { return worker_->Add(std::move(definition)); }
void Engine::Work() { worker_->Start(); }
void Engine::Stop() { worker_->Stop(); }
const std::string& Engine::service() const { return worker_->service(); }

Status Engine::Start(sql::Transaction& transaction, std::string_view saga, std::string_view id,
                     State input, const telemetry::TraceContext& trace) {
  const std::shared_ptr<const Definition> definition = worker_->Newest(saga);
  if (definition == nullptr) return NotFound("no saga '{}' was added", saga);
  STARLING_RETURN_IF_ERROR(CheckRunId(id));
  if (input.bytes.size() > kMaxStateBytes) {
    return InvalidArgument("run '{}': an input of {} bytes; at most {} are taken", id,
                           input.bytes.size(), kMaxStateBytes);
  }
  if (worker_->open() >= worker_->options().max_open) {
    return Overloaded(fmt::format("{} runs of sagas are open, the limit", worker_->open()),
                      std::chrono::seconds(2));
  }
  saga::Run run{.id = std::string(id),
                .saga = definition->name,
                .version = definition->version,
                .state = std::move(input),
                .trace = trace.valid() ? trace.ToTraceparent() : ""};
  run.started_at = worker_->clock().Now();
  STARLING_ASSIGN_OR_RETURN(const bool inserted, store::Insert(transaction, run));
  if (!inserted) return AlreadyExists("there is a run '{}' already", id);
  transaction.OnCommit([worker = worker_, name = run.saga] { worker->Started(name); });
  return OkStatus();
}

Task<Status> Engine::Cancel(std::string id) {
  const Status status =
      co_await worker_->database().Write([&](sql::Transaction& transaction) -> Status {
        STARLING_ASSIGN_OR_RETURN(std::optional<saga::Run> run, store::Load(transaction, id));
        if (!run.has_value()) return Missing(id);
        const auto definition = worker_->Find(run->saga, run->version);
        if (Ended(run->phase)) {
          return FailedPrecondition("run '{}' has ended: it is {}", id, Name(run->phase));
        }
        if (run->phase == Phase::kCompensating) return OkStatus();
        if (definition == nullptr) {
          return FailedPrecondition("run '{}' is of version {} of '{}', which this process lacks",
                                    id, run->version, run->saga);
        }
        if (run->step > PivotOf(*definition)) {
          return FailedPrecondition("run '{}' is behind its pivot and can only go on", id);
        }
        return store::RequestCancel(transaction, id, worker_->clock().Now());
      });
  if (status.ok()) worker_->Wake();
  co_return status;
}

Task<StatusOr<saga::Run>> Engine::Get(std::string id) {
  auto run = co_await worker_->database().Read(
      [&](sql::Connection& connection) { return store::Load(connection, id); });
  if (!run.ok()) co_return run.status();
  if (!run->has_value()) co_return Missing(id);
  co_return **std::move(run);
}

Task<StatusOr<saga::Run>> Engine::Wait(std::string id, Duration limit) {
  const Instant until = std::chrono::steady_clock::now() + limit;
  Duration pause = std::chrono::milliseconds(5);
  while (true) {
    StatusOr<saga::Run> run = co_await Get(id);
    const Instant now = std::chrono::steady_clock::now();
    if (!run.ok() || Ended(run->phase) || now >= until) co_return run;
    co_await SleepFor(std::min<Duration>(pause, until - now));
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(200));
  }
}

Task<StatusOr<std::vector<saga::Run>>> Engine::List(store::Filter filter) {
  co_return co_await worker_->database().Read(
      [&](sql::Connection& connection) { return store::List(connection, filter); });
}

std::vector<std::string> Engine::StepsOf(std::string_view saga, int version) const {
  std::vector<std::string> names;
  if (const auto definition = worker_->Find(saga, version)) {
    for (const Step& step : definition->steps) names.push_back(step.name);
  }
  return names;
}

}  // namespace starling::saga
