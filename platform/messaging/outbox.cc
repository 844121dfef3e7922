#include "platform/messaging/outbox.h"

#include <algorithm>
#include <mutex>

#include "platform/telemetry/log.h"

namespace starling::messaging {
namespace {

constexpr char kTable[] =
    "CREATE TABLE IF NOT EXISTS outbox ("
    "sequence INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, event BLOB NOT NULL)";
constexpr std::chrono::milliseconds kFirstPause(50);
constexpr std::chrono::seconds kLongestPause(2);
constexpr std::chrono::seconds kAtTheEnd(2);

}  // namespace

// Lives until its coroutine ends, which may be after the Outbox.
struct Outbox::Relay {
  sql::Database& database;
  EventLog& log;
  Runtime& runtime;
  const Options options;
  std::atomic<int64_t>& backlog;
  const std::unique_ptr<sql::Lock> turn;

  std::mutex mutex;
  bool work = true;  // there may be rows
  bool stopping = false;
  Completion<bool> waiting;
  bool started = false;
  std::promise<void> ended;

  void Wake(bool stop) {
    Completion<bool> waiter;
    {
      const std::lock_guard lock(mutex);
      work = true;
      stopping = stopping || stop;
      waiter = std::move(waiting);
    }
    if (waiter) waiter(true);
  }

  // False once stopping.
  Task<bool> Wait() {
    const bool woken = co_await Suspend<bool>([this](Completion<bool> completion) {
      std::unique_lock lock(mutex);
      if (!work && !stopping) {
        waiting = std::move(completion);
        return;
      }
      lock.unlock();
      completion(true);
    });
    (void)woken;
    const std::lock_guard lock(mutex);
    work = false;
    co_return !stopping;
  }

  // The events of one fetch and the numbers of their rows, in runs without a gap: a number that is
  // not among them may be of a transaction that commits later, so that "all up to the last" would
  // delete what nobody has moved.
  struct Rows {
    struct Span {
      int64_t first, last;
    };
    std::vector<Span> spans;
    int64_t count = 0;
    std::vector<std::pair<std::string, std::vector<Event>>> runs;  // by topic, in order
  };

  Task<StatusOr<Rows>> Fetch() {
    co_return co_await database.Read([this](sql::Connection& connection) -> StatusOr<Rows> {
      Rows rows;
      STARLING_RETURN_IF_ERROR(connection.Query(
          "SELECT sequence, topic, event FROM outbox ORDER BY sequence LIMIT ?1",
          [&](const sql::Row& row) -> Status {
            STARLING_ASSIGN_OR_RETURN(Event event, DecodeEvent(row.Bytes(2)));
            if (rows.runs.empty() || rows.runs.back().first != row.Text(1)) {
              rows.runs.push_back({std::string(row.Text(1)), {}});
            }
            rows.runs.back().second.push_back(std::move(event));
            const int64_t number = row.Int(0);
            if (rows.spans.empty() || rows.spans.back().last + 1 != number) {
              rows.spans.push_back({number, number});
            }
            rows.spans.back().last = number;
            ++rows.count;
            return OkStatus();
          },
          options.batch));
      return rows;
    });
  }

  // Moves one batch; how many rows it had.
  Task<StatusOr<int64_t>> Move() {
    StatusOr<Rows> rows = co_await Fetch();
    if (!rows.ok()) co_return rows.status();
    if (rows->count == 0) {
      backlog = 0;  // another process may have moved what this one has counted
      co_return 0;
    }
    for (auto& [topic, events] : rows->runs) {
      const auto appended = co_await log.AppendBatch(topic, std::move(events));
      if (!appended.ok()) co_return appended.status();
    }
    const std::vector<Rows::Span>& spans = rows->spans;
    const Status deleted = co_await database.Write([&](sql::Transaction& transaction) -> Status {
      for (const Rows::Span& span : spans) {
        STARLING_RETURN_IF_ERROR(transaction.Post(
            "DELETE FROM outbox WHERE sequence BETWEEN ?1 AND ?2", span.first, span.last));
      }
      return OkStatus();
    });
    if (!deleted.ok()) co_return deleted;
    backlog -= std::min<int64_t>(rows->count, backlog);
    co_return rows->count;
  }

  // Moves batches until none is left, while no other process does: two at once would deliver
  // everything twice. ABORTED when another has its turn.
  Task<Status> MoveAll(Instant until) {
    StatusOr<bool> mine = true;
    if (database.IsShared())
      mine = co_await runtime.blocking().Run([this] { return turn->TryAcquire(); });
    if (!mine.ok()) co_return mine.status();
    if (!*mine) co_return Aborted("another process moves what waits in the outbox");
    StatusOr<int64_t> moved = options.batch;
    while (moved.ok() && *moved == options.batch && std::chrono::steady_clock::now() < until)
      moved = co_await Move();
    if (database.IsShared()) {
      const Status given = co_await runtime.blocking().Run([this]() -> Status {
        turn->Release();
        return OkStatus();
      });
      (void)given;
    }
    co_return moved.status();
  }

  Task<void> Run() {
    Duration pause = kFirstPause;
    while (true) {
      const bool more = co_await Wait();
      if (!more) {
        co_await MoveAtTheEnd();
        co_return;
      }
      const Status moved = co_await MoveAll(Instant::max());
      if (moved.ok()) {
        pause = kFirstPause;
        continue;
      }
      if (!absl::IsAborted(moved)) log::Warning("messaging", "an outbox waits").With(moved);
      Wake(false);
      co_await SleepFor(pause);
      pause = std::min<Duration>(pause * 2, kLongestPause);
    }
  }

  // What was committed before the stop leaves with it, while the log takes it and for a moment
  // only.
  Task<void> MoveAtTheEnd() {
    const Instant until = std::chrono::steady_clock::now() + kAtTheEnd;
    while (std::chrono::steady_clock::now() < until) {
      const Status moved = co_await MoveAll(until);
      if (!absl::IsAborted(moved)) break;
      co_await SleepFor(kFirstPause);
    }
  }
};

Outbox::Outbox(sql::Database& database, EventLog& log, Runtime& runtime, Options options)
    : options_(options),
      relay_(new Relay{database,
                       log,
                       runtime,
                       options,
                       backlog_,
                       database.MakeLock("outbox"),
                       {},
                       true,
                       false,
                       {},
                       false,
                       {}}) {}

StatusOr<std::unique_ptr<Outbox>> Outbox::Open(sql::Database& database, EventLog& log,
                                               Runtime& runtime, Options options) {
  auto outbox = std::unique_ptr<Outbox>(new Outbox(database, log, runtime, options));
  STARLING_RETURN_IF_ERROR(database.WriteSync(
      [](sql::Transaction& transaction) { return transaction.Execute(kTable); }));
  STARLING_RETURN_IF_ERROR(database.ReadSync([&](sql::Connection& connection) {
    return connection.Query("SELECT COUNT(*) FROM outbox",
                            [&](const sql::Row& row) { outbox->backlog_ = row.Int(0); });
  }));
  return outbox;
}

Outbox::~Outbox() { Stop(); }

Status Outbox::Add(sql::Transaction& transaction, std::string_view topic, const Event& event) {
  STARLING_RETURN_IF_ERROR(Validate(event));
  if (backlog_ >= options_.backlog_limit) {
    return Overloaded(
        fmt::format("{} events wait in the outbox for the event log, its limit", backlog_.load()),
        std::chrono::seconds(2));
  }
  STARLING_RETURN_IF_ERROR(transaction.Post("INSERT INTO outbox (topic, event) VALUES (?1, ?2)",
                                            topic, sql::Blob{EncodeEvent(event)}));
  transaction.OnCommit([this] {
    ++backlog_;
    relay_->Wake(false);
  });
  return OkStatus();
}

void Outbox::Start() {
  {
    const std::lock_guard lock(relay_->mutex);
    if (std::exchange(relay_->started, true)) return;
  }
  Spawn(relay_->runtime.NextExecutor(), [](std::shared_ptr<Relay> relay) -> Task<void> {
    co_await relay->Run();
    relay->ended.set_value();
  }(relay_));
}

void Outbox::Stop() {
  {
    const std::lock_guard lock(relay_->mutex);
    if (!relay_->started || relay_->stopping) return;
  }
  relay_->Wake(true);
  relay_->ended.get_future().wait();
}

}  // namespace starling::messaging
