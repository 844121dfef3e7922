// The embedded adapter: one writer thread, a pool of readers, migrations at the start.
#include "platform/storage/sql/sqlite/database.h"

#include <mutex>
#include <utility>
#include <vector>

#include "platform/async/blocking_pool.h"
#include "platform/storage/sql/migrations.h"
#include "platform/storage/sql/owner_thread.h"
#include "platform/storage/sql/sql.h"
#include "platform/storage/sql/sqlite/session.h"
#include "platform/storage/sql/sqlite/writer.h"

namespace starling::sql {
namespace {

Status ApplyOne(SqliteSession& session, Connection& connection, const Migration& migration) {
  STARLING_RETURN_IF_ERROR(session.RunScript(migration.sql));
  STARLING_ASSIGN_OR_RETURN(const std::string broken,
                            session.ControlText("PRAGMA foreign_key_check"));
  if (!broken.empty())
    return FailedPrecondition("table '{}' has rows whose foreign key does not hold", broken);
  return Record(connection, migration);
}

// One transaction: asks under the write lock what is missing, so that two processes that start do
// not both apply it. False when nothing was.
StatusOr<bool> ApplyNext(SqliteSession& session, std::span<const Migration> known,
                         std::string_view path) {
  STARLING_RETURN_IF_ERROR(session.Control("BEGIN IMMEDIATE"));
  const StatusOr<bool> applied = [&]() -> StatusOr<bool> {
    Connection connection(session);
    STARLING_RETURN_IF_ERROR(connection.Execute(kCreateMigrations));
    STARLING_ASSIGN_OR_RETURN(const std::vector<AppliedMigration> before, Applied(connection));
    STARLING_ASSIGN_OR_RETURN(const std::span<const Migration> missing,
                              MissingMigrations(known, before, path));
    if (missing.empty()) return false;
    STARLING_RETURN_IF_ERROR(
        Annotate(ApplyOne(session, connection, missing.front()),
                 fmt::format("migration {:04}_{} of '{}' is not applied", missing.front().version,
                             missing.front().name, path)));
    return true;
  }();
  const Status ended = session.Control(applied.ok() ? "COMMIT" : "ROLLBACK");
  if (!applied.ok()) return applied;
  if (!ended.ok()) return ended;
  return applied;
}

Status Migrate(SqliteSession& session, std::span<const EmbeddedFile> files, std::string_view path) {
  STARLING_ASSIGN_OR_RETURN(const std::vector<Migration> known, ParseMigrations(files));
  // A migration that rebuilds a table must drop the old one, to which others refer; the keys are
  // checked at its end.
  STARLING_RETURN_IF_ERROR(session.Control("PRAGMA foreign_keys=OFF"));
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const bool applied, ApplyNext(session, known, path));
    if (!applied) break;
  }
  return session.Control("PRAGMA foreign_keys=ON");
}

class AlwaysMine final : public Lock {
 public:
  StatusOr<bool> TryAcquire() override { return true; }
  void Release() override {}
};

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(const Options& options, std::unique_ptr<SqliteSession> writer,
                 std::vector<std::unique_ptr<SqliteSession>> readers)
      : options_(options),
        idle_(std::move(readers)),
        writer_(std::move(writer), options, this),
        readers_({.name = "sql-read",
                  .threads = static_cast<int>(idle_.size()),
                  .queue_limit = options.read_queue_limit}) {}

  Statistics statistics() const override {
    Statistics statistics;
    writer_.AddTo(statistics);
    statistics.reads = reads_;
    statistics.queued_reads = static_cast<int64_t>(readers_.Waiting());
    return statistics;
  }

  // One process has the file; within it a lock of the relay's name is asked for once.
  std::unique_ptr<Lock> MakeLock(std::string_view) override {
    return std::make_unique<AlwaysMine>();
  }
  bool IsShared() const override { return false; }

 protected:
  void SubmitWrite(std::unique_ptr<Call<Transaction>> call) override {
    writer_.Submit(std::move(call));
  }

  void SubmitRead(std::unique_ptr<Call<Connection>> call) override {
    std::shared_ptr<Call<Connection>> shared = std::move(call);
    const Status accepted = readers_.Submit([this, shared] {
      const OwnerThread mark(this);
      std::unique_ptr<SqliteSession> session = TakeIdle();
      Status status = ReadInSnapshot(*session, *shared);
      GiveIdle(std::move(session));
      ++reads_;
      shared->Finish(std::move(status));
    });
    if (!accepted.ok())
      shared->Finish(Annotate(accepted, fmt::format("'{}' is not read", options_.path.string())));
  }

  void SubmitUpkeep(Upkeep upkeep, std::function<void(Status)> done) override {
    if (upkeep == Upkeep::kCheckpoint) {
      writer_.SubmitCheckpoint(std::move(done));
      return;
    }
    const Status accepted = readers_.Submit([this, done] {
      const OwnerThread mark(this);
      std::unique_ptr<SqliteSession> session = TakeIdle();
      Status status = CheckStructure(*session);
      GiveIdle(std::move(session));
      done(std::move(status));
    });
    if (!accepted.ok()) done(accepted);
  }

  Status MayBlock() const override {
    if (!OwnerThread::Is(this)) return OkStatus();
    return FailedPrecondition(
        "a Read, a Write or an OnCommit hook of '{}' calls its WriteSync or ReadSync, and would "
        "wait for itself; use the Connection at hand",
        options_.path.string());
  }

 private:
  static Status ReadInSnapshot(SqliteSession& session, Call<Connection>& call) {
    STARLING_RETURN_IF_ERROR(session.Control("BEGIN"));
    Connection connection(session);
    Status status = call.Run(connection);
    // Nothing was written: an error of COMMIT takes nothing from the result.
    if (session.InTransaction() && !session.Control("COMMIT").ok())
      static_cast<void>(session.Control("ROLLBACK"));
    return status;
  }

  Status CheckStructure(SqliteSession& session) const {
    STARLING_ASSIGN_OR_RETURN(const std::string found,
                              session.ControlText("PRAGMA quick_check(10)"));
    if (found == "ok") return OkStatus();
    return DataLoss(
        "'{}' is damaged ({}); stop, keep a copy of the file with its -wal file, and restore the "
        "last backup",
        options_.path.string(), found);
  }

  // There are as many readers as threads, so that one is always idle here.
  std::unique_ptr<SqliteSession> TakeIdle() {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<SqliteSession> session = std::move(idle_.back());
    idle_.pop_back();
    return session;
  }
  void GiveIdle(std::unique_ptr<SqliteSession> session) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(session));
  }

  const Options options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<SqliteSession>> idle_;
  std::atomic<int64_t> reads_{0};
  SqliteWriter writer_;
  BlockingPool readers_;  // last: it finishes its calls while the rest exists
};

}  // namespace

StatusOr<std::unique_ptr<Database>> OpenSqlite(const Options& options,
                                               std::span<const EmbeddedFile> migrations) {
  STARLING_ASSIGN_OR_RETURN(std::unique_ptr<SqliteSession> writer,
                            SqliteSession::Open(options, SqliteSession::Mode::kWrite));
  STARLING_RETURN_IF_ERROR(Migrate(*writer, migrations, options.path.string()));
  std::vector<std::unique_ptr<SqliteSession>> readers;
  for (int i = 0; i < std::max(options.reader_threads, 1); ++i) {
    STARLING_ASSIGN_OR_RETURN(std::unique_ptr<SqliteSession> reader,
                              SqliteSession::Open(options, SqliteSession::Mode::kRead));
    readers.push_back(std::move(reader));
  }
  return std::make_unique<SqliteDatabase>(options, std::move(writer), std::move(readers));
}

}  // namespace starling::sql
