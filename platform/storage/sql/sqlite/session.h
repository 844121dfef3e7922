// One SQLite connection with its prepared statements: what the writer and each reader thread own.
//
// WAL mode, synchronous=FULL, foreign keys on, no automatic checkpoint (the writer does it after it
// has acknowledged). Used by one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/storage/sql/connection.h"
#include "platform/storage/sql/sql.h"
#include "platform/storage/sql/sqlite/statements.h"

struct sqlite3;
struct sqlite3_stmt;

namespace starling::sql {

class SqliteSession final : public Session {
 public:
  enum class Mode { kWrite, kRead };
  enum class CheckpointMode { kPassive, kTruncate };

  static StatusOr<std::unique_ptr<SqliteSession>> Open(const Options& options, Mode mode);
  ~SqliteSession() override;
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  // A caller's statement: refused outside a transaction, so that what follows an engine's own
  // rollback cannot commit.
  Status Run(std::string_view sql, std::span<const Argument> arguments,
             absl::FunctionRef<Status(const Row&)> each_row) override;
  int64_t changes() const override;

  // The adapter's own statement: BEGIN, COMMIT, PRAGMA. No time limit.
  Status Control(std::string_view sql);
  StatusOr<std::string> ControlText(std::string_view sql);
  // All statements of a migration file.
  Status RunScript(std::string_view script);

  bool InTransaction() const;
  // False while a deferred foreign key is broken: COMMIT would fail.
  bool ForeignKeysHold() const;
  // Pages in the log after the last commit.
  int64_t log_pages() const { return log_pages_; }
  Status Checkpoint(CheckpointMode mode);
  // The last error since BEGIN; it explains a rollback that the engine made on its own.
  const Status& last_error() const { return last_error_; }

 private:
  using Lease = SqliteStatements::Lease;
  SqliteSession(const Options& options, Mode mode);

  Status Prepare(std::string_view sql, sqlite3_stmt** statement, std::string_view* rest);
  StatusOr<Lease> Take(std::string_view sql);
  Status Bind(sqlite3_stmt* statement, std::span<const Argument> arguments);
  Status StepAll(sqlite3_stmt* statement, absl::FunctionRef<Status(const Row&)> each_row);
  Status Error(int code, std::string_view sql);
  static int Authorize(void* self, int action, const char* first, const char* second,
                       const char* database, const char* trigger);
  static int StopWhenLate(void* self);
  static int OnLogWritten(void* self, sqlite3* connection, const char* database, int pages);

  const std::string path_;
  const Mode mode_;
  const Duration statement_timeout_;
  sqlite3* connection_ = nullptr;
  // Apart, so that a caller's COMMIT is not found among the adapter's, where it is allowed.
  SqliteStatements callers_;
  SqliteStatements own_;
  Instant deadline_ = Instant::max();
  int64_t log_pages_ = 0;
  bool trusted_ = false;  // the adapter's own statement is being prepared or run
  std::string refused_;   // what Authorize refused
  Status last_error_;
};

}  // namespace starling::sql
