// A SQL database: functions that read, functions that write, each one transaction, off the io
// threads.
//
//   auto database = sql::Database::Open({.path = folder / "catalog.db"}, kMigrations).value();
//   // or {.url = "postgresql://shop:secret@db:5432/shop", .schema = "catalog"}
//
//   StatusOr<int64_t> changed = co_await database->Write(
//       [&](sql::Transaction& transaction) -> StatusOr<int64_t> {
//         STARLING_RETURN_IF_ERROR(
//             transaction.Execute("UPDATE stock SET left = left - 1 WHERE sku = ?1", sku));
//         return transaction.changes();
//       });
//   StatusOr<std::vector<std::string>> skus = co_await database->Read([&](sql::Connection&
//   connection) {
//     return connection.QueryAll("SELECT sku FROM stock WHERE left = 0 LIMIT ?1",
//                                [](const sql::Row& row) { return std::string(row.Text(0)); },
//                                limit);
//   });
//
// Write: as if writes ran one after the other (SERIALIZABLE). A function that returns an error is
// rolled back alone. OK is returned only once the transaction is durable. Writes that wait together
// are committed together, by one fsync (group commit), so many concurrent writers are as cheap as a
// few. The embedded engine has one thread for them, which takes them in the order of acceptance.
// PostgreSQL has `writer_threads` side by side, and a function whose transaction clashed with
// another's runs AGAIN: it must have no effects but its transaction's and what it returns (a list
// outside of it that it appends to would get everything twice). What is to happen once is an
// OnCommit hook (connection.h).
// Read: runs on one of `reader_threads`, once, sees one consistent snapshot, which holds every
// Write that was acknowledged before it began, and never waits for writers. A function runs on
// another thread than its caller, but never concurrently with it: the caller waits, so capturing by
// reference is safe. It must not throw. Keep it short: others wait for it.
//
// The SQL that runs on every engine, in migrations and statements:
//   types      INTEGER (64 bits), REAL, TEXT, BLOB, BIGINT; TEXT sorts by bytes, and holds UTF-8
//              without NUL (PostgreSQL refuses it with INVALID_ARGUMENT)
//   keys       INTEGER PRIMARY KEY [AUTOINCREMENT] draws numbers, with gaps, and in no order that
//              commits have; do not mix drawn and own ones in a table; RETURNING says what was
//              drawn
//   hints      WITHOUT ROWID and STRICT, which other engines leave out
//   parameters ?1, ?2, ...; bind what the column is: no text for a number, no text for bytes
//   upserts    INSERT ... ON CONFLICT (key) DO NOTHING | DO UPDATE SET a = excluded.a, n = t.n + 1
//              (columns of the row that is there by their table's name); no INSERT OR REPLACE
//   and not    rowid, iif (CASE), LIMIT -1, datetime(), CAST, blob literals, a table dropped that
//              others refer to, unquoted words of SQL as names
// A table made outside of migrations (CREATE TABLE IF NOT EXISTS in a Write) is fine.
//
// Errors beside the function's own (connection.h has those of statements):
//   UNAVAILABLE, OVERLOADED  the queue is at its limit, nothing was done; it carries a retry delay
//   RESOURCE_EXHAUSTED       the disk is full; nothing was acknowledged
//   UNAVAILABLE              I/O failed, another process holds the lock, or the server cannot be
//                            reached (it names host and port); nothing was acknowledged
//   ABORTED                  a write clashed with others however often it ran
//   FAILED_PRECONDITION      the file or its folder cannot be written, the server refuses the user
//   DATA_LOSS                the file is damaged; the message names it and what to do
// When a commit fails, every write of its group is refused. As with any database, a refused write
// may still be found after a crash that follows at once (the failed fsync may have reached the
// disk), or when the connection is lost before the answer to COMMIT: retry with a key that makes
// the write idempotent.
//
// Thread-safe. Destruction runs what was accepted, then joins: destroy the database before the
// io_contexts of its callers. A Write costs about one fsync, shared; a Read about 15 us (embedded),
// of which the hop there and back is 10, or a round trip to the server a statement. Memory: at most
// `cache_kib` a connection (embedded), one connection a thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "platform/async/task.h"
#include "platform/base/embedded_file.h"
#include "platform/base/status.h"
#include "platform/storage/sql/call.h"
#include "platform/storage/sql/connection.h"

namespace starling::sql {

struct Options {
  std::filesystem::path path;  // the database file; its folder must exist
  std::string url;             // postgresql://user:password@host:5432/database, not `path`
  std::string schema =
      "starling";          // the one of that database that all tables are in; made if need be
  int reader_threads = 2;  // connections that read, one thread each
  int writer_threads = 4;  // connections that write; the embedded engine has one
  size_t write_queue_limit = 1024;  // writes that wait
  size_t write_group_limit = 256;   // writes that share a commit
  size_t read_queue_limit = 1024;   // reads that wait
  size_t statement_cache = 64;  // prepared statements a connection keeps, least recently used out
  int cache_kib = 2048;         // page cache of a connection
  Duration connect_timeout = std::chrono::seconds(5);     // Open waits for a server so long
  Duration lock_timeout = std::chrono::seconds(5);        // wait for another process's lock
  Duration statement_timeout = std::chrono::seconds(30);  // a longer statement is stopped
  int64_t log_limit_pages = 1000;  // of 4 KiB; a longer write-ahead log is moved into the file
};

// Counted since the database was opened, for metrics and tests.
struct Statistics {
  int64_t commits = 0;         // that were durable
  int64_t writes = 0;          // in those commits
  int64_t refused_writes = 0;  // at the queue's limit, or in a commit that failed
  int64_t reads = 0;
  int64_t queued_writes = 0;  // waiting now
  int64_t queued_reads = 0;
};

// A name that one holder at a time has, among all processes that share a database. Each call blocks
// for a round trip; used by one thread at a time; the database must outlive it.
class Lock {
 public:
  virtual ~Lock() = default;
  // False when another has it. What is acquired is held until Release, or until the connection to
  // the server is lost: so it keeps others out as a rule, and is no fence.
  virtual StatusOr<bool> TryAcquire() = 0;
  virtual void Release() = 0;
};

class Database {
 public:
  // Opens or creates the database and applies the migrations that it lacks, in order, each in one
  // transaction. Blocks: for start-up.
  //
  // Migrations are files "0001_products.sql", "0002_...": numbered from 1 without a gap, never
  // changed once released. A changed one, a gap, or a database with migrations that this program
  // does not know is refused with FAILED_PRECONDITION and a message that says what to do.
  static StatusOr<std::unique_ptr<Database>> Open(Options options,
                                                  std::span<const EmbeddedFile> migrations);

  virtual ~Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // f(Transaction&) returns Status or StatusOr<T>; so does Write.
  template <typename F>
  Task<std::invoke_result_t<F&, Transaction&>> Write(F f) {
    using Result = std::invoke_result_t<F&, Transaction&>;
    using WriteCall = internal::FunctionCall<Transaction, F, Completion<Result>>;
    co_return co_await Suspend<Result>([this, &f](Completion<Result> completion) {
      SubmitWrite(std::make_unique<WriteCall>(f, std::move(completion)));
    });
  }

  // f(Connection&) returns Status or StatusOr<T>; so does Read.
  template <typename F>
  Task<std::invoke_result_t<F&, Connection&>> Read(F f) {
    using Result = std::invoke_result_t<F&, Connection&>;
    using ReadCall = internal::FunctionCall<Connection, F, Completion<Result>>;
    co_return co_await Suspend<Result>([this, &f](Completion<Result> completion) {
      SubmitRead(std::make_unique<ReadCall>(f, std::move(completion)));
    });
  }

  // The same, blocking, for start-up and tools: never on an io thread. Refused with
  // FAILED_PRECONDITION on the database's own threads (in a Read, a Write or an OnCommit hook),
  // where it could wait for itself.
  template <typename F>
  std::invoke_result_t<F&, Transaction&> WriteSync(F f) {
    using Result = std::invoke_result_t<F&, Transaction&>;
    using WriteCall = internal::FunctionCall<Transaction, F, internal::PromiseDelivery<Result>>;
    STARLING_RETURN_IF_ERROR(MayBlock());
    internal::PromiseDelivery<Result> delivery;
    std::future<Result> result = delivery.promise.get_future();
    SubmitWrite(std::make_unique<WriteCall>(f, std::move(delivery)));
    return result.get();
  }
  template <typename F>
  std::invoke_result_t<F&, Connection&> ReadSync(F f) {
    using Result = std::invoke_result_t<F&, Connection&>;
    using ReadCall = internal::FunctionCall<Connection, F, internal::PromiseDelivery<Result>>;
    STARLING_RETURN_IF_ERROR(MayBlock());
    internal::PromiseDelivery<Result> delivery;
    std::future<Result> result = delivery.promise.get_future();
    SubmitRead(std::make_unique<ReadCall>(f, std::move(delivery)));
    return result.get();
  }

  // Moves the log into the file now, as happens by itself when the log is long. Waits for readers
  // and other processes for at most `lock_timeout`, then UNAVAILABLE. A server does its own upkeep:
  // there, this and Check say whether it answers.
  Task<Status> Checkpoint() { return UpkeepTask(Upkeep::kCheckpoint); }
  // Reads the whole file and checks its structure: DATA_LOSS says what is wrong. Takes a reader for
  // about a second a GB; for `doctor`, and after the machine crashed.
  Task<Status> Check() { return UpkeepTask(Upkeep::kCheck); }
  Status CheckpointSync() { return UpkeepSync(Upkeep::kCheckpoint); }
  Status CheckSync() { return UpkeepSync(Upkeep::kCheck); }

  virtual Statistics statistics() const = 0;

  virtual std::unique_ptr<Lock> MakeLock(std::string_view name) = 0;
  // Whether other processes may write to it at the same time.
  virtual bool IsShared() const = 0;

 protected:
  enum class Upkeep { kCheckpoint, kCheck };
  Database() = default;

  // What an adapter implements. Each takes the call and finishes it exactly once, with an error
  // when it refuses it.
  virtual void SubmitWrite(std::unique_ptr<Call<Transaction>> call) = 0;
  virtual void SubmitRead(std::unique_ptr<Call<Connection>> call) = 0;
  virtual void SubmitUpkeep(Upkeep upkeep, std::function<void(Status)> done) = 0;
  // An error on the database's own threads.
  virtual Status MayBlock() const = 0;

 private:
  Task<Status> UpkeepTask(Upkeep upkeep);
  Status UpkeepSync(Upkeep upkeep);
};

}  // namespace starling::sql
