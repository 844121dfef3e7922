#include "platform/storage/sql/postgres/session.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>

#include "platform/storage/sql/postgres/error.h"
#include "platform/storage/sql/postgres/row.h"
#include "platform/storage/sql/postgres/wire.h"

namespace starling::sql {
namespace {

constexpr int kBinary = 1;
constexpr char kSavepoint[] = "SAVEPOINT write";
constexpr char kRollbackTo[] = "ROLLBACK TO SAVEPOINT write";
constexpr char kRelease[] = "RELEASE SAVEPOINT write";
constexpr size_t kPostedAtOnce = 1000;  // each keeps its text until its answer is read
constexpr std::chrono::seconds kGrace(5);
constexpr std::chrono::minutes kMigrationLimit(10);

std::string Field(const PGresult* result, int which) {
  const char* value = PQresultErrorField(result, which);
  return value != nullptr ? value : "";
}

int64_t ChangedBy(const PGresult* result) {
  const std::string_view count = PQcmdTuples(const_cast<PGresult*>(result));
  int64_t changed = 0;
  std::from_chars(count.data(), count.data() + count.size(), changed);
  return changed;
}

Status CheckColumns(const PGresult* result) {
  for (int i = 0; i < PQnfields(result); ++i) {
    const auto type = static_cast<PostgresType>(PQftype(result, i));
    if (!IsKnown(type)) {
      return Internal("column '{}' is of type {}, which is none of the port's; cast it",
                      PQfname(result, i), static_cast<uint32_t>(type));
    }
  }
  return OkStatus();
}

}  // namespace

void PostgresSession::ResultDeleter::operator()(pg_result* result) const { PQclear(result); }

// The results of the statement that runs. They arrive one by one, until another statement needs the
// connection: then the rest is read into memory.
class PostgresSession::Rows {
 public:
  explicit Rows(PostgresSession& session) : session_(session) { session.streaming_ = this; }
  ~Rows() {
    if (session_.streaming_ == this) session_.streaming_ = nullptr;
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  StatusOr<Result> Next() {
    if (!waiting_.empty()) {
      Result next = std::move(waiting_.front());
      waiting_.pop_front();
      return next;
    }
    if (ended_) return Result();
    return Receive();
  }
  Status Buffer() {
    while (!ended_) {
      STARLING_ASSIGN_OR_RETURN(Result next, Receive());
      if (next != nullptr) waiting_.push_back(std::move(next));
    }
    session_.streaming_ = nullptr;
    return OkStatus();
  }

 private:
  StatusOr<Result> Receive() {
    StatusOr<Result> next = session_.Next();
    if (!next.ok()) {
      ended_ = true;
    } else if (*next == nullptr) {
      ended_ = true;
      STARLING_RETURN_IF_ERROR(session_.ReadSync());
    }
    return next;
  }

  PostgresSession& session_;
  std::deque<Result> waiting_;
  bool ended_ = false;
};

PostgresSession::PostgresSession(const Target& target, const Options& options)
    : target_(target),
      statement_timeout_(options.statement_timeout),
      statement_cache_(std::max<size_t>(options.statement_cache, 1)) {}

StatusOr<std::unique_ptr<PostgresSession>> PostgresSession::Connect(const Target& target,
                                                                    const Options& options) {
  std::unique_ptr<PostgresSession> session(new PostgresSession(target, options));
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : target.settings) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  session->connection_ = PQconnectdbParams(keywords.data(), values.data(), 0);
  PGconn* const connection = session->connection_;
  if (connection == nullptr) return ResourceExhausted("no memory for a connection");
  if (PQstatus(connection) != CONNECTION_OK)
    return PostgresUnavailable(target.shown, PQerrorMessage(connection));
  PQsetNoticeProcessor(
      connection, [](void*, const char*) {}, nullptr);
  if (PQsetnonblocking(connection, 1) != 0 || PQenterPipelineMode(connection) != 1)
    return PostgresUnavailable(target.shown, PQerrorMessage(connection));
  return session;
}

PostgresSession::~PostgresSession() { PQfinish(connection_); }

void PostgresSession::Begin(Mode mode) {
  mode_ = mode;
  open_ = true;
  begun_ = conflict_ = false;
  failed_ = OkStatus();
  queued_.clear();
  posted_.clear();
  switch (mode) {
    case Mode::kRead:
      queued_ = {"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};
      break;
    case Mode::kWrite:
      queued_ = {"BEGIN ISOLATION LEVEL SERIALIZABLE",
                 "LOCK TABLE schema_migrations IN ROW EXCLUSIVE MODE"};
      break;
    case Mode::kWriteAlone:
      queued_ = {"BEGIN ISOLATION LEVEL SERIALIZABLE",
                 "LOCK TABLE schema_migrations IN SHARE ROW EXCLUSIVE MODE"};
      break;
    case Mode::kMigrate:
      queued_ = {"BEGIN", "SET LOCAL lock_timeout = 0", "SET LOCAL statement_timeout = 0"};
      break;
  }
}

Status PostgresSession::Commit() {
  const Status settled = Settle();
  (void)settled;  // failed_ is looked at
  if (!failed_.ok() || !begun_) {
    Status failed = failed_;
    Rollback();
    return failed;
  }
  Status ended = End("COMMIT");
  if (ended.ok() && !failed_.ok()) {  // a RELEASE before it failed, so COMMIT was skipped
    ended = failed_;
    begun_ = true;
    Rollback();
  }
  if (!lost_ || ended.ok()) return ended;
  return Annotate(ended,
                  "COMMIT was sent and not answered, so whether it is stored is not known; retry "
                  "with a key that makes the write idempotent");
}

void PostgresSession::Rollback() {
  queued_.clear();
  const Status ignored = Settle();
  (void)ignored;
  if (begun_ && !lost_ && !End("ROLLBACK").ok()) lost_ = true;
  open_ = begun_ = false;
}

void PostgresSession::Savepoint() { queued_.emplace_back(kSavepoint); }
void PostgresSession::ReleaseSavepoint() { queued_.emplace_back(kRelease); }

void PostgresSession::RollbackToSavepoint() {
  if (!queued_.empty() && queued_.back() == kSavepoint) {
    queued_.pop_back();  // nothing was sent since
    return;
  }
  const Status settled = Settle();
  (void)settled;
  const Status cause = std::exchange(failed_, OkStatus());
  const Status undone = [&]() -> Status {
    if (lost_) return cause;
    queued_ = {kRollbackTo, kRelease};
    STARLING_ASSIGN_OR_RETURN(const int answers, SendQueued());
    STARLING_RETURN_IF_ERROR(Send(PQpipelineSync(connection_)));
    for (int i = 0; i < answers; ++i) STARLING_RETURN_IF_ERROR(ReadAnswer(kRollbackTo));
    return ReadSync();
  }();
  if (!undone.ok() && !cause.ok()) failed_ = cause;
}

Status PostgresSession::End(const char* text) {
  const StatusOr<int> before = SendQueued();
  open_ = begun_ = false;
  if (!before.ok()) return before.status();
  const std::vector<std::string> closing = std::exchange(closing_, {});
  STARLING_RETURN_IF_ERROR(
      Send(PQsendQueryParams(connection_, text, 0, nullptr, nullptr, nullptr, nullptr, kBinary)));
  for (const std::string& name : closing) {
    const std::string deallocate = "DEALLOCATE " + name;
    STARLING_RETURN_IF_ERROR(Send(PQsendQueryParams(connection_, deallocate.c_str(), 0, nullptr,
                                                    nullptr, nullptr, nullptr, kBinary)));
  }
  STARLING_RETURN_IF_ERROR(Send(PQpipelineSync(connection_)));
  for (int i = 0; i < *before && !lost_; ++i) {
    const Status ignored = ReadAnswer("SAVEPOINT");  // where it fails, so does what follows
    (void)ignored;
  }
  const Status ended = lost_ ? failed_ : ReadAnswer(text);
  if (!ended.ok()) closing_ = closing;
  for (size_t i = 0; i < closing.size() && !lost_; ++i) {
    const Status ignored = ReadAnswer("DEALLOCATE");  // skipped where the end has failed
    (void)ignored;
  }
  if (lost_) return ended.ok() ? failed_ : ended;
  STARLING_RETURN_IF_ERROR(ReadSync());
  return ended;
}

bool PostgresSession::Alive() {
  if (lost_ || PQstatus(connection_) != CONNECTION_OK) return false;
  // What a server says to who has asked nothing is, as a rule, that it ends the connection.
  pollfd descriptor{PQsocket(connection_), POLLIN, 0};
  lost_ = ::poll(&descriptor, 1, 0) > 0;
  return !lost_;
}

Status PostgresSession::MayRun() {
  if (!open_) return Internal("a statement outside of a transaction");
  if (failed_.ok()) return OkStatus();
  return Aborted("the storage has rolled this transaction back ({}); return its error",
                 ToString(failed_));
}

Status PostgresSession::Run(std::string_view sql, std::span<const Argument> arguments,
                            absl::FunctionRef<Status(const Row&)> each_row) {
  STARLING_ASSIGN_OR_RETURN(const Expected expected, SendStatement(sql, arguments));
  STARLING_RETURN_IF_ERROR(Send(PQpipelineSync(connection_)));
  return Read(expected, each_row);
}

Status PostgresSession::Post(std::string_view sql, std::span<const Argument> arguments,
                             int64_t* changed) {
  STARLING_ASSIGN_OR_RETURN(Expected expected, SendStatement(sql, arguments));
  expected.changed = changed;
  posted_.push_back(std::move(expected));
  return posted_.size() < kPostedAtOnce ? OkStatus() : Settle();
}

Status PostgresSession::Settle() {
  if (posted_.empty() || lost_) return failed_;
  STARLING_RETURN_IF_ERROR(Send(PQpipelineSync(connection_)));
  ReadPosted();
  if (!lost_) STARLING_RETURN_IF_ERROR(ReadSync());
  return failed_;
}

StatusOr<PostgresSession::Expected> PostgresSession::SendStatement(
    std::string_view sql, std::span<const Argument> arguments) {
  STARLING_RETURN_IF_ERROR(MayRun());
  Parameters parameters;
  STARLING_RETURN_IF_ERROR(parameters.Encode(arguments));
  std::string key;
  key.reserve(sql.size() + 1 + parameters.signature().size());
  key.append(sql).append(1, '\0').append(parameters.signature());
  const Prepared* prepared = Find(key);
  Prepared fresh;
  if (prepared == nullptr) {
    STARLING_ASSIGN_OR_RETURN(fresh.statement, Translate(sql));
    fresh.name = fmt::format("s{}", ++named_);
    fresh.key = key;
  }
  const PostgresStatement& statement = prepared == nullptr ? fresh.statement : prepared->statement;
  if (statement.parameters != parameters.size()) {
    return Internal("{} arguments are given for the {} parameters of '{}'", parameters.size(),
                    statement.parameters, sql.substr(0, 160));
  }
  if (statement.defines_tables && mode_ == Mode::kWrite) {
    conflict_ = true;
    failed_ = Aborted("a statement that defines tables runs alone");
    return failed_;
  }
  Expected expected{0, {}, statement.counts_changes, std::string(sql), nullptr};
  if (streaming_ != nullptr) STARLING_RETURN_IF_ERROR(streaming_->Buffer());
  STARLING_ASSIGN_OR_RETURN(expected.before, SendQueued());
  if (prepared == nullptr) {
    prepared = &Keep(std::move(fresh));
    expected.prepared_as = std::move(key);
    STARLING_RETURN_IF_ERROR(
        Send(PQsendPrepare(connection_, prepared->name.c_str(), prepared->statement.text.c_str(),
                           parameters.size(), parameters.types())));
  }
  STARLING_RETURN_IF_ERROR(Send(PQsendQueryPrepared(
      connection_, prepared->name.c_str(), parameters.size(), parameters.values(),
      parameters.lengths(), parameters.formats(), kBinary)));
  return expected;
}

Status PostgresSession::RunTranslated(const PostgresStatement& statement) {
  STARLING_RETURN_IF_ERROR(MayRun());
  Expected expected{0, {}, false, statement.text, nullptr};
  STARLING_ASSIGN_OR_RETURN(expected.before, SendQueued());
  STARLING_RETURN_IF_ERROR(Send(PQsendQueryParams(connection_, statement.text.c_str(), 0, nullptr,
                                                  nullptr, nullptr, nullptr, kBinary)));
  STARLING_RETURN_IF_ERROR(Send(PQpipelineSync(connection_)));
  return Read(expected, [](const Row&) { return OkStatus(); });
}

StatusOr<int64_t> PostgresSession::Control(const std::string& text) {
  failed_ = OkStatus();
  STARLING_RETURN_IF_ERROR(Send(PQsendQueryParams(connection_, text.c_str(), 0, nullptr, nullptr,
                                                  nullptr, nullptr, kBinary)));
  STARLING_RETURN_IF_ERROR(Send(PQpipelineSync(connection_)));
  int64_t number = 0;
  STARLING_RETURN_IF_ERROR(Read({0, {}, false, text, nullptr}, [&](const Row& row) {
    number = row.Int(0);
    return OkStatus();
  }));
  return number;
}

PostgresSession::Prepared* PostgresSession::Find(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found->second);
  return &kept_.front();
}

const PostgresSession::Prepared& PostgresSession::Keep(Prepared prepared) {
  if (kept_.size() >= statement_cache_) {
    by_key_.erase(kept_.back().key);
    closing_.push_back(std::move(kept_.back().name));
    kept_.pop_back();
  }
  kept_.push_front(std::move(prepared));
  by_key_.emplace(kept_.front().key, kept_.begin());
  return kept_.front();
}

StatusOr<int> PostgresSession::SendQueued() {
  const std::vector<std::string> queued = std::exchange(queued_, {});
  for (const std::string& text : queued) {
    STARLING_RETURN_IF_ERROR(Send(PQsendQueryParams(connection_, text.c_str(), 0, nullptr, nullptr,
                                                    nullptr, nullptr, kBinary)));
  }
  begun_ = true;
  return static_cast<int>(queued.size());
}

Status PostgresSession::Send(int accepted) {
  if (accepted == 1) return OkStatus();
  return Lost(PQerrorMessage(connection_));
}

Status PostgresSession::Read(const Expected& expected,
                             absl::FunctionRef<Status(const Row&)> each_row) {
  ReadPosted();
  ReadBefore(expected);
  if (lost_) return failed_;
  PQsetSingleRowMode(connection_);
  Rows rows(*this);
  Status status = failed_;
  while (true) {
    StatusOr<Result> next = rows.Next();
    if (!next.ok()) return status.ok() ? next.status() : status;
    const PGresult* const result = next->get();
    if (result == nullptr) return status;
    switch (PQresultStatus(result)) {
      case PGRES_SINGLE_TUPLE:
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
        if (status.ok() && PQntuples(result) > 0) status = CheckColumns(result);
        for (int i = 0; i < PQntuples(result) && status.ok(); ++i)
          status = each_row(PostgresRow(result, i));
        if (expected.counts_changes && PQresultStatus(result) != PGRES_SINGLE_TUPLE) {
          changes_ = ChangedBy(result);
        }
        break;
      case PGRES_PIPELINE_ABORTED:  // what came before has failed
        break;
      default: {
        Status failed = Fail(result, expected.sql);
        if (status.ok()) status = std::move(failed);
      }
    }
  }
}

void PostgresSession::ReadBefore(const Expected& expected) {
  for (int i = 0; i < expected.before && !lost_; ++i) {
    const Status ignored = ReadAnswer("BEGIN");  // an error is kept in failed_
    (void)ignored;
  }
  if (expected.prepared_as.empty() || lost_) return;
  if (ReadAnswer(expected.sql).ok() && failed_.ok()) return;
  if (const auto found = by_key_.find(expected.prepared_as); found != by_key_.end()) {
    const auto refused = found->second;
    by_key_.erase(found);
    kept_.erase(refused);
  }
}

void PostgresSession::ReadPosted() {
  const std::vector<Expected> posted = std::exchange(posted_, {});
  for (const Expected& expected : posted) {
    ReadBefore(expected);
    if (lost_) return;
    const Status ignored = ReadAnswer(expected.sql, expected.changed);
    (void)ignored;
  }
}

Status PostgresSession::ReadAnswer(std::string_view sql, int64_t* changed) {
  Status status;
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const Result result, Next());
    if (result == nullptr) return status;
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
        if (changed != nullptr) *changed = ChangedBy(result.get());
        break;
      case PGRES_PIPELINE_ABORTED:
        break;
      default:
        status = Fail(result.get(), sql);
    }
  }
}

Status PostgresSession::ReadSync() {
  STARLING_ASSIGN_OR_RETURN(const Result result, Next());
  if (result != nullptr && PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) return OkStatus();
  return Lost("an answer that does not belong to what was asked");
}

StatusOr<PostgresSession::Result> PostgresSession::Next() {
  STARLING_RETURN_IF_ERROR(Await());
  Result result(PQgetResult(connection_));
  if (result == nullptr && PQstatus(connection_) != CONNECTION_OK)
    return Lost(PQerrorMessage(connection_));
  return result;
}

Status PostgresSession::Await() {
  const Duration limit = mode_ == Mode::kMigrate && open_ ? Duration(kMigrationLimit)
                                                          : statement_timeout_ + Duration(kGrace);
  const Instant until = SystemClock().MonotonicNow() + limit;
  while (true) {
    const int unsent = PQflush(connection_);
    if (unsent < 0) return Lost(PQerrorMessage(connection_));
    if (PQisBusy(connection_) == 0) return OkStatus();
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - SystemClock().MonotonicNow());
    if (left.count() <= 0) return Lost("it has not answered in time");
    pollfd descriptor{PQsocket(connection_),
                      static_cast<short>(unsent == 1 ? POLLIN | POLLOUT : POLLIN), 0};
    const int ready = ::poll(&descriptor, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) return Lost("poll failed");
    if (ready > 0 && (descriptor.revents & ~POLLOUT) != 0 && PQconsumeInput(connection_) == 0)
      return Lost(PQerrorMessage(connection_));
  }
}

Status PostgresSession::Fail(const pg_result* result, std::string_view sql) {
  const PostgresError error{Field(result, PG_DIAG_SQLSTATE), Field(result, PG_DIAG_MESSAGE_PRIMARY),
                            Field(result, PG_DIAG_TABLE_NAME), Field(result, PG_DIAG_COLUMN_NAME),
                            Field(result, PG_DIAG_MESSAGE_DETAIL)};
  if (error.sqlstate.empty()) return Lost(PQresultErrorMessage(result));
  Status status = PostgresStatus(error, target_.shown, sql);
  const std::string severity = Field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == "FATAL" || severity == "PANIC") lost_ = true;
  if (IsConflict(error.sqlstate)) conflict_ = true;
  if (failed_.ok()) failed_ = status;
  return status;
}

Status PostgresSession::Lost(std::string_view cause) {
  lost_ = true;
  Status status = PostgresUnavailable(target_.shown, cause);
  if (failed_.ok()) failed_ = status;
  return status;
}

}  // namespace starling::sql
