#include "platform/storage/sql/sqlite/session.h"

#include <sqlite3.h>

#include <algorithm>

#include "platform/storage/sql/sqlite/status.h"

namespace starling::sql {
namespace {

// How often a statement looks at the clock, in the engine's instructions: about every millisecond.
constexpr int kInstructionsBetweenClockReads = 100'000;
constexpr int64_t kLogFileLimit = 64 << 20;
constexpr size_t kOwnStatements = 8;
constexpr size_t kShownSql = 160;

class SqliteRow final : public Row {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  int columns() const override { return sqlite3_data_count(statement_); }
  bool IsNull(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }
  int64_t Int(int column) const override { return sqlite3_column_int64(statement_, column); }
  double Real(int column) const override { return sqlite3_column_double(statement_, column); }
  std::string_view Text(int column) const override {
    // The pointer first: asking for it may convert the value, which changes its size.
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return View(text, column);
  }
  std::string_view Bytes(int column) const override {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return View(bytes, column);
  }
  Value Get(int column) const override {
    switch (sqlite3_column_type(statement_, column)) {
      case SQLITE_INTEGER:
        return Int(column);
      case SQLITE_FLOAT:
        return Real(column);
      case SQLITE_TEXT:
        return std::string(Text(column));
      case SQLITE_BLOB:
        return Blob{std::string(Bytes(column))};
      default:
        return nullptr;
    }
  }

 private:
  std::string_view View(const char* begin, int column) const {
    if (begin == nullptr) return {};
    return {begin, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }
  sqlite3_stmt* statement_;
};

int BindOne(sqlite3_stmt* statement, int at, const Argument::Variant& argument) {
  return std::visit(
      [&](const auto& value) -> int {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::nullptr_t>) {
          return sqlite3_bind_null(statement, at);
        } else if constexpr (std::is_same_v<T, int64_t>) {
          return sqlite3_bind_int64(statement, at, value);
        } else if constexpr (std::is_same_v<T, double>) {
          return sqlite3_bind_double(statement, at, value);
        } else if constexpr (std::is_same_v<T, std::string_view>) {
          // A null pointer would bind NULL; an empty view may hold one.
          const char* text = value.data() != nullptr ? value.data() : "";
          return sqlite3_bind_text64(statement, at, text, value.size(), SQLITE_STATIC, SQLITE_UTF8);
        } else if constexpr (std::is_same_v<T, BlobView>) {
          const char* bytes = value.bytes.data() != nullptr ? value.bytes.data() : "";
          return sqlite3_bind_blob64(statement, at, bytes, value.bytes.size(), SQLITE_STATIC);
        } else {
          return SQLITE_TOOBIG;
        }
      },
      argument);
}

std::string_view Shown(std::string_view sql) { return sql.substr(0, kShownSql); }

}  // namespace

SqliteSession::SqliteSession(const Options& options, Mode mode)
    : path_(options.path.string()),
      mode_(mode),
      statement_timeout_(options.statement_timeout),
      callers_(options.statement_cache),
      own_(kOwnStatements) {}

StatusOr<std::unique_ptr<SqliteSession>> SqliteSession::Open(const Options& options, Mode mode) {
  std::unique_ptr<SqliteSession> session(new SqliteSession(options, mode));
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (mode == Mode::kWrite ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(session->path_.c_str(), &session->connection_, flags, nullptr);
  if (code != SQLITE_OK)
    return SqliteStatus(LastSqliteError(session->connection_, code), session->path_);
  sqlite3* connection = session->connection_;
  if (mode == Mode::kWrite && sqlite3_db_readonly(connection, "main") == 1) {
    return SqliteStatus({SQLITE_READONLY, 0, "it is read-only"}, session->path_);
  }
  const auto lock_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.lock_timeout);
  sqlite3_busy_timeout(connection, static_cast<int>(lock_timeout.count()));
  sqlite3_progress_handler(connection, kInstructionsBetweenClockReads, &StopWhenLate,
                           session.get());
  sqlite3_wal_hook(connection, &OnLogWritten, session.get());  // also: no automatic checkpoint
  sqlite3_set_authorizer(connection, &Authorize, session.get());
  STARLING_ASSIGN_OR_RETURN(const std::string journal,
                            session->ControlText("PRAGMA journal_mode=WAL"));
  if (journal != "wal") {
    return FailedPrecondition(
        "'{}' cannot have a write-ahead log where it is (journal mode '{}'); put it on a local "
        "disk",
        session->path_, journal);
  }
  for (const std::string& pragma :
       {std::string("PRAGMA synchronous=FULL"), std::string("PRAGMA foreign_keys=ON"),
        fmt::format("PRAGMA cache_size=-{}", options.cache_kib),
        fmt::format("PRAGMA journal_size_limit={}", kLogFileLimit),
        fmt::format("PRAGMA query_only={}", mode == Mode::kRead ? "ON" : "OFF")}) {
    STARLING_RETURN_IF_ERROR(session->Control(pragma));
  }
  return session;
}

SqliteSession::~SqliteSession() {
  callers_.Clear();
  own_.Clear();
  sqlite3_close(connection_);
}

Status SqliteSession::Run(std::string_view sql, std::span<const Argument> arguments,
                          absl::FunctionRef<Status(const Row&)> each_row) {
  if (!InTransaction()) {
    return Aborted("the storage has rolled this transaction back ({}); return its error",
                   ToString(last_error_));
  }
  STARLING_ASSIGN_OR_RETURN(const Lease lease, Take(sql));
  STARLING_RETURN_IF_ERROR(Bind(lease.get(), arguments));
  // A statement inside another's row function ends with the outer one's time.
  const Instant outer = deadline_;
  deadline_ = std::min(outer, SystemClock().MonotonicNow() + statement_timeout_);
  const Status status = StepAll(lease.get(), each_row);
  deadline_ = outer;
  return status;
}

int64_t SqliteSession::changes() const { return sqlite3_changes64(connection_); }
bool SqliteSession::InTransaction() const { return sqlite3_get_autocommit(connection_) == 0; }

bool SqliteSession::ForeignKeysHold() const {
  int broken = 0, unused = 0;
  sqlite3_db_status(connection_, SQLITE_DBSTATUS_DEFERRED_FKS, &broken, &unused, 0);
  return broken == 0;
}

Status SqliteSession::Control(std::string_view sql) { return ControlText(sql).status(); }

StatusOr<std::string> SqliteSession::ControlText(std::string_view sql) {
  const bool was_trusted = std::exchange(trusted_, true);
  if (!InTransaction()) last_error_ = OkStatus();
  std::string text;
  const Status status = [&]() -> Status {
    STARLING_ASSIGN_OR_RETURN(const Lease lease, Take(sql));
    return StepAll(lease.get(), [&text](const Row& row) {
      if (text.empty() && row.columns() > 0) text = row.Text(0);
      return OkStatus();
    });
  }();
  trusted_ = was_trusted;
  if (!status.ok()) return status;
  return text;
}

Status SqliteSession::RunScript(std::string_view script) {
  while (!script.empty()) {
    sqlite3_stmt* statement = nullptr;
    STARLING_RETURN_IF_ERROR(Prepare(script, &statement, &script));
    if (statement == nullptr) continue;  // white space or a comment
    const Lease lease(statement);
    STARLING_RETURN_IF_ERROR(StepAll(statement, [](const Row&) { return OkStatus(); }));
  }
  return OkStatus();
}

Status SqliteSession::Checkpoint(CheckpointMode mode) {
  const int how =
      mode == CheckpointMode::kPassive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
  int in_log = 0, moved = 0;
  const int code = sqlite3_wal_checkpoint_v2(connection_, nullptr, how, &in_log, &moved);
  if (code != SQLITE_OK) return Error(code, "checkpoint");
  if (in_log == moved) log_pages_ = 0;
  return OkStatus();
}

Status SqliteSession::Prepare(std::string_view sql, sqlite3_stmt** statement,
                              std::string_view* rest) {
  const char* tail = nullptr;
  refused_.clear();
  const int code = sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, statement, &tail);
  if (code != SQLITE_OK) return Error(code, sql);
  *rest = sql.substr(tail - sql.data());
  return OkStatus();
}

StatusOr<SqliteSession::Lease> SqliteSession::Take(std::string_view sql) {
  SqliteStatements& statements = trusted_ ? own_ : callers_;
  if (std::optional<Lease> kept = statements.Find(sql)) return *std::move(kept);
  sqlite3_stmt* statement = nullptr;
  std::string_view rest;
  STARLING_RETURN_IF_ERROR(Prepare(sql, &statement, &rest));
  if (statement == nullptr) return Internal("'{}' has no statement", Shown(sql));
  Lease fresh(statement);
  if (!rest.empty()) {
    sqlite3_stmt* second = nullptr;
    STARLING_RETURN_IF_ERROR(Prepare(rest, &second, &rest));
    if (second != nullptr) {
      sqlite3_finalize(second);
      return Internal("'{}' has more than one statement: run them one by one", Shown(sql));
    }
  }
  return statements.Add(sql, std::move(fresh));
}

Status SqliteSession::Bind(sqlite3_stmt* statement, std::span<const Argument> arguments) {
  const std::string_view sql = sqlite3_sql(statement);
  if (sqlite3_bind_parameter_count(statement) != static_cast<int>(arguments.size())) {
    return Internal("{} arguments are given for the {} parameters of '{}'", arguments.size(),
                    sqlite3_bind_parameter_count(statement), Shown(sql));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (const auto* large = std::get_if<Argument::TooLarge>(&arguments[i].get())) {
      return InvalidArgument("argument ?{} is {}, above the largest integer that can be stored, {}",
                             i + 1, large->value, std::numeric_limits<int64_t>::max());
    }
    const int code = BindOne(statement, static_cast<int>(i) + 1, arguments[i].get());
    if (code != SQLITE_OK) return Error(code, sql);
  }
  return OkStatus();
}

Status SqliteSession::StepAll(sqlite3_stmt* statement,
                              absl::FunctionRef<Status(const Row&)> each_row) {
  refused_.clear();
  const SqliteRow row(statement);
  while (true) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) return OkStatus();
    if (code != SQLITE_ROW) return Error(code, sqlite3_sql(statement));
    STARLING_RETURN_IF_ERROR(each_row(row));
  }
}

Status SqliteSession::Error(int code, std::string_view sql) {
  if ((code & 0xff) == SQLITE_AUTH) {
    return Internal("{} is not for a Read, a Write or a migration, the database does it: '{}'",
                    refused_, Shown(sql));
  }
  if ((code & 0xff) == SQLITE_READONLY && mode_ == Mode::kRead) {
    return FailedPrecondition("a Read may not write, use Write: '{}'", Shown(sql));
  }
  Status status = SqliteStatus(LastSqliteError(connection_, code), path_);
  if (status.code() == StatusCode::kInternal) {
    status = Internal(
        "{}: '{}'", std::string_view(status.message().data(), status.message().size()), Shown(sql));
  }
  last_error_ = Unshared(status);
  return status;
}

int SqliteSession::Authorize(void* self, int action, const char* first, const char*, const char*,
                             const char*) {
  auto* session = static_cast<SqliteSession*>(self);
  if (session->trusted_) return SQLITE_OK;
  switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
      session->refused_ = first != nullptr ? first : "this";
      if (action == SQLITE_ATTACH || action == SQLITE_DETACH)
        session->refused_ = "ATTACH or DETACH";
      return SQLITE_DENY;
    case SQLITE_PRAGMA:
      // Full-text search asks for this one by itself.
      if (first != nullptr && std::string_view(first) == "data_version") return SQLITE_OK;
      session->refused_ = fmt::format("PRAGMA {}", first != nullptr ? first : "");
      return SQLITE_DENY;
    default:
      return SQLITE_OK;
  }
}

int SqliteSession::StopWhenLate(void* self) {
  const auto* session = static_cast<const SqliteSession*>(self);
  if (session->deadline_ == Instant::max()) return 0;
  return SystemClock().MonotonicNow() > session->deadline_ ? 1 : 0;
}

int SqliteSession::OnLogWritten(void* self, sqlite3*, const char*, int pages) {
  static_cast<SqliteSession*>(self)->log_pages_ = pages;
  return SQLITE_OK;
}

}  // namespace starling::sql
