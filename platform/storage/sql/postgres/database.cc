// The adapter for PostgreSQL: some threads that write and some that read, a connection each, and
// migrations at the start.
#include "platform/storage/sql/postgres/database.h"

#include <atomic>
#include <thread>

#include "platform/async/blocking_pool.h"
#include "platform/base/hash.h"
#include "platform/storage/sql/migrations.h"
#include "platform/storage/sql/owner_thread.h"
#include "platform/storage/sql/postgres/sessions.h"
#include "platform/storage/sql/postgres/writers.h"

namespace starling::sql {
namespace {

using Mode = PostgresSession::Mode;

constexpr std::chrono::milliseconds kConnectPause(100);

// A number for the server's advisory locks, of which all schemas of a database share one space.
int64_t LockNumber(const Target& target, std::string_view name) {
  return static_cast<int64_t>(Hash64(fmt::format("starling {} {}", target.schema, name)));
}

// See Database::MakeLock: an advisory lock, which the server drops with the connection.
class PostgresLock final : public Lock {
 public:
  PostgresLock(const Target& target, const Options& options, std::string_view name)
      : target_(target), options_(options), number_(LockNumber(target, name)) {}

  StatusOr<bool> TryAcquire() override {
    if (session_ == nullptr || !session_->Alive()) {
      STARLING_ASSIGN_OR_RETURN(session_, PostgresSession::Connect(target_, options_));
    }
    STARLING_ASSIGN_OR_RETURN(
        const int64_t acquired,
        session_->Control(fmt::format("SELECT pg_try_advisory_lock({})", number_)));
    return acquired != 0;
  }
  void Release() override {
    if (session_ == nullptr) return;
    const Status released =
        session_->Control(fmt::format("SELECT pg_advisory_unlock({})", number_)).status();
    if (!released.ok()) session_ = nullptr;  // which releases it
  }

 private:
  const Target& target_;
  const Options& options_;
  const int64_t number_;
  std::unique_ptr<PostgresSession> session_;
};

class PostgresDatabase final : public Database {
 public:
  PostgresDatabase(const Options& options, Target target)
      : options_(options),
        sessions_(std::move(target), options_),
        writers_(sessions_, options_, this),
        readers_({.name = "sql-read",
                  .threads = std::max(options.reader_threads, 1),
                  .queue_limit = options.read_queue_limit}) {}

  Status Migrate(std::span<const EmbeddedFile> files) {
    STARLING_ASSIGN_OR_RETURN(const std::vector<Migration> known, ParseMigrations(files));
    const Instant until = SystemClock().MonotonicNow() + options_.connect_timeout;
    while (true) {
      auto lease = sessions_.Take();
      if (!lease.ok() && SystemClock().MonotonicNow() < until) {
        std::this_thread::sleep_for(kConnectPause);
        continue;
      }
      if (!lease.ok()) return lease.status();
      STARLING_ASSIGN_OR_RETURN(const bool applied, ApplyNext(**lease, known));
      if (!applied) return OkStatus();
    }
  }

  Statistics statistics() const override {
    Statistics statistics;
    writers_.AddTo(statistics);
    statistics.reads = reads_;
    statistics.queued_reads = static_cast<int64_t>(readers_.Waiting());
    return statistics;
  }

  std::unique_ptr<Lock> MakeLock(std::string_view name) override {
    return std::make_unique<PostgresLock>(sessions_.target(), options_, name);
  }
  bool IsShared() const override { return true; }

 protected:
  void SubmitWrite(std::unique_ptr<Call<Transaction>> call) override {
    writers_.Submit(std::move(call));
  }

  void SubmitRead(std::unique_ptr<Call<Connection>> call) override {
    std::shared_ptr<Call<Connection>> shared = std::move(call);
    const Status accepted = readers_.Submit([this, shared] {
      const OwnerThread mark(this);
      Read(*shared);
    });
    if (!accepted.ok()) shared->Finish(Annotate(accepted, fmt::format("{} is not read", shown())));
  }

  // The server moves its log and checks its pages itself: both ask whether it answers.
  void SubmitUpkeep(Upkeep, std::function<void(Status)> done) override {
    const Status accepted = readers_.Submit([this, done] {
      const OwnerThread mark(this);
      auto lease = sessions_.Take();
      done(lease.ok() ? (*lease)->Control("SELECT count(*) FROM schema_migrations").status()
                      : lease.status());
    });
    if (!accepted.ok()) done(accepted);
  }

  Status MayBlock() const override {
    if (!OwnerThread::Is(this)) return OkStatus();
    return FailedPrecondition(
        "a Read, a Write or an OnCommit hook of {} calls its WriteSync or ReadSync, and would wait "
        "for itself; use the Connection at hand",
        shown());
  }

 private:
  const std::string& shown() const { return sessions_.target().shown; }

  void Read(Call<Connection>& call) {
    auto lease = sessions_.Take();
    if (!lease.ok()) {
      call.Finish(lease.status());
      return;
    }
    PostgresSession& session = **lease;
    session.Begin(Mode::kRead);
    Connection connection(session);
    Status status = call.Run(connection);
    if (status.ok()) status = session.failed();
    ++reads_;
    call.Finish(std::move(status));
    // Nothing was written: the end is nobody's to wait for.
    session.Rollback();
  }

  // One transaction: asks under a lock what is missing, so that two processes that start do not
  // both apply it. False when nothing was.
  StatusOr<bool> ApplyNext(PostgresSession& session, std::span<const Migration> known) {
    session.Begin(Mode::kMigrate);
    const StatusOr<bool> applied = [&]() -> StatusOr<bool> {
      Connection connection(session);
      STARLING_RETURN_IF_ERROR(connection.Execute("SELECT pg_advisory_xact_lock(?1)::text",
                                                  LockNumber(sessions_.target(), "migrations")));
      STARLING_RETURN_IF_ERROR(MakeSchema(session, connection));
      STARLING_RETURN_IF_ERROR(connection.Execute(kCreateMigrations));
      STARLING_ASSIGN_OR_RETURN(const std::vector<AppliedMigration> before, Applied(connection));
      STARLING_ASSIGN_OR_RETURN(const std::span<const Migration> missing,
                                MissingMigrations(known, before, shown()));
      if (missing.empty()) return false;
      const Status status = ApplyOne(session, connection, missing.front());
      STARLING_RETURN_IF_ERROR(
          Annotate(status, fmt::format("migration {:04}_{} of {} is not applied",
                                       missing.front().version, missing.front().name, shown())));
      return true;
    }();
    if (!applied.ok()) {
      session.Rollback();
      return applied;
    }
    STARLING_RETURN_IF_ERROR(session.Commit());
    return applied;
  }

  // Asked for first, since who may use a schema need not be who may make one.
  Status MakeSchema(PostgresSession& session, Connection& connection) {
    const std::string& schema = sessions_.target().schema;
    bool there = false;
    STARLING_RETURN_IF_ERROR(connection.Query(
        "SELECT 1 FROM pg_namespace WHERE nspname = ?1", [&](const Row&) { there = true; },
        schema));
    if (there) return OkStatus();
    return session.RunTranslated({.text = fmt::format("CREATE SCHEMA \"{}\"", schema)});
  }

  static Status ApplyOne(PostgresSession& session, Connection& connection,
                         const Migration& migration) {
    STARLING_ASSIGN_OR_RETURN(const std::vector<PostgresStatement> statements,
                              TranslateScript(migration.sql));
    for (const PostgresStatement& statement : statements)
      STARLING_RETURN_IF_ERROR(session.RunTranslated(statement));
    return Record(connection, migration);
  }

  const Options options_;
  Sessions sessions_;
  std::atomic<int64_t> reads_{0};
  PostgresWriters writers_;  // these two last: they finish their calls while the rest exists
  BlockingPool readers_;
};

}  // namespace

StatusOr<std::unique_ptr<Database>> OpenPostgres(const Options& options,
                                                 std::span<const EmbeddedFile> migrations) {
  STARLING_ASSIGN_OR_RETURN(Target target, ParseTarget(options));
  auto database = std::make_unique<PostgresDatabase>(options, std::move(target));
  STARLING_RETURN_IF_ERROR(database->Migrate(migrations));
  return database;
}

}  // namespace starling::sql
