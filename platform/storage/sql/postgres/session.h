// One connection to PostgreSQL with its prepared statements.
//
//   session->Begin(PostgresSession::Mode::kWrite);   // nothing is sent yet
//   Connection connection(*session);
//   connection.Execute("UPDATE ...");                // BEGIN, LOCK and UPDATE in one round trip
//   Status committed = session->Commit();
//
// How writes keep out of each other's way. All are SERIALIZABLE, as the embedded engine's are by
// being one after the other, and hold `schema_migrations` in ROW EXCLUSIVE mode, which they share.
// One that clashed with another (conflict()) is run again as kWriteAlone, which holds it in SHARE
// ROW EXCLUSIVE mode: no other write of the schema, of this process or another, is under way then,
// so that it cannot clash again. The lock comes before the snapshot, the server hands it out in
// order, and readers never ask for it. Statements that define tables run alone too.
//
// No wait is without end: what the server does not answer within the time that a statement may take
// and five seconds closes the connection. Used by one thread at a time.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/base/clock.h"
#include "platform/storage/sql/connection.h"
#include "platform/storage/sql/postgres/dialect.h"
#include "platform/storage/sql/postgres/target.h"
#include "platform/storage/sql/sql.h"

struct pg_conn;
struct pg_result;

namespace starling::sql {

struct PostgresError;
class Parameters;

class PostgresSession final : public Session {
 public:
  enum class Mode { kRead, kWrite, kWriteAlone, kMigrate };

  // Blocks for at most the target's connect_timeout.
  static StatusOr<std::unique_ptr<PostgresSession>> Connect(const Target& target,
                                                            const Options& options);
  ~PostgresSession() override;
  PostgresSession(const PostgresSession&) = delete;
  PostgresSession& operator=(const PostgresSession&) = delete;

  void Begin(Mode mode);
  // UNAVAILABLE when the connection is lost meanwhile: then nobody knows whether it is durable.
  // Any other error: it is not, and the transaction has ended.
  Status Commit();
  void Rollback();

  // Parts of a transaction, one after the other, each undone alone. An undoing that fails leaves
  // failed() as it was.
  void Savepoint();
  void ReleaseSavepoint();
  void RollbackToSavepoint();

  // A caller's statement. After an error of the server all others are refused until the transaction
  // ends.
  Status Run(std::string_view sql, std::span<const Argument> arguments,
             absl::FunctionRef<Status(const Row&)> each_row) override;
  Status Post(std::string_view sql, std::span<const Argument> arguments, int64_t* changed) override;
  // Waits for what was posted; the transaction's error, when there is one. Before a savepoint is
  // released and before the commit, so that an error belongs to the function that posted.
  Status Settle() override;
  int64_t changes() const override { return changes_; }
  // One statement of a migration.
  Status RunTranslated(const PostgresStatement& statement);
  // The adapter's own statement outside of a transaction; the first column of its row as a number,
  // 0 without one.
  StatusOr<int64_t> Control(const std::string& text);

  // The transaction's first error of the server; OK when there was none.
  const Status& failed() const { return failed_; }
  // Whether that error is gone when the function runs again, alone.
  bool conflict() const { return conflict_; }
  // Asks nobody: false once the connection is known to be lost.
  bool Alive();

 private:
  struct Prepared {
    std::string key;   // the caller's text and the arguments' types
    std::string name;  // the server's
    PostgresStatement statement;
  };
  using Kept = std::list<Prepared>;
  class Rows;
  struct ResultDeleter {
    void operator()(pg_result* result) const;
  };
  using Result = std::unique_ptr<pg_result, ResultDeleter>;

  PostgresSession(const Target& target, const Options& options);

  // The kept statement, or nothing.
  Prepared* Find(const std::string& key);
  const Prepared& Keep(Prepared prepared);
  Status MayRun();
  Status Send(int accepted);
  // Sends what waits to be sent before a statement (BEGIN, LOCK); how many answers that makes.
  StatusOr<int> SendQueued();
  // What is read of a statement that was sent.
  struct Expected {
    int before = 0;  // answers of what was queued
    std::string
        prepared_as;  // the key of the statement that is prepared along; dropped if it fails
    bool counts_changes = false;
    std::string sql;
    int64_t* changed = nullptr;  // where it is counted to, of a posted one
  };
  // Sends a caller's statement, prepared first where need be; no sync.
  StatusOr<Expected> SendStatement(std::string_view sql, std::span<const Argument> arguments);
  Status Read(const Expected& expected, absl::FunctionRef<Status(const Row&)> each_row);
  // Reads the answers before a statement's own.
  void ReadBefore(const Expected& expected);
  void ReadPosted();
  // Waits until a result is there and all is sent that can be.
  Status Await();
  // The next result; null at the end of a statement's.
  StatusOr<Result> Next();
  // Reads one whole answer, for its error and for how many rows it changed.
  Status ReadAnswer(std::string_view sql, int64_t* changed = nullptr);
  Status ReadSync();
  // COMMIT or ROLLBACK.
  Status End(const char* text);
  Status Fail(const pg_result* result, std::string_view sql);
  Status Lost(std::string_view cause);

  const Target& target_;
  const Duration statement_timeout_;
  const size_t statement_cache_;
  pg_conn* connection_ = nullptr;
  Mode mode_ = Mode::kRead;
  bool open_ = false;   // between Begin and its end
  bool begun_ = false;  // the server knows of it
  bool lost_ = false;
  bool conflict_ = false;
  Status failed_;
  std::vector<std::string> queued_;
  std::vector<Expected> posted_;      // sent, their answers not yet read
  std::vector<std::string> closing_;  // prepared statements that are no longer kept
  int64_t changes_ = 0;
  uint64_t named_ = 0;
  Kept kept_;  // the most recently used first
  std::unordered_map<std::string_view, Kept::iterator> by_key_;
  Rows* streaming_ = nullptr;  // whose rows arrive now
};

}  // namespace starling::sql
