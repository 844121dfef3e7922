#include "platform/storage/sql/postgres/error.h"

#include <chrono>

namespace starling::sql {
namespace {

constexpr size_t kShownSql = 160;
constexpr std::chrono::milliseconds kRetryAfter(500);
constexpr std::chrono::milliseconds kRetryAfterLock(100);

// "item.id" of the table `item` and the detail "Key (id)=(1) already exists."; the values stay out.
std::string KeyOf(const PostgresError& error) {
  const size_t begin = error.detail.find('(');
  const size_t end = error.detail.find(")=");
  if (begin == std::string::npos || end == std::string::npos || end < begin) return error.table;
  return fmt::format("{}.{}", error.table, error.detail.substr(begin + 1, end - begin - 1));
}

Status ConstraintStatus(const PostgresError& error) {
  if (error.sqlstate == "23505") return AlreadyExists("{}: {}", error.message, KeyOf(error));
  if (error.sqlstate == "23503") {
    return FailedPrecondition(
        "a FOREIGN KEY does not hold: {}: the row referred to does not exist, or is still "
        "referred to",
        error.message);
  }
  if (!error.column.empty())
    return InvalidArgument("{}: {}.{}", error.message, error.table, error.column);
  return InvalidArgument("{}", error.message);
}

Status Failed(StatusCode code, std::string_view server, std::string_view message) {
  return StorageFailed(
      Status(code, fmt::format("{}: {}; nothing was acknowledged", server, message)));
}

}  // namespace

bool IsConflict(std::string_view sqlstate) { return sqlstate == "40001" || sqlstate == "40P01"; }

Status PostgresUnavailable(std::string_view server, std::string_view cause) {
  while (!cause.empty() && cause.back() == '\n') cause.remove_suffix(1);
  return WithRetryAfter(StorageFailed(Unavailable("{} cannot be reached: {}", server, cause)),
                        kRetryAfter);
}

Status PostgresStatus(const PostgresError& error, std::string_view server, std::string_view sql) {
  const std::string& state = error.sqlstate;
  const std::string_view kind = std::string_view(state).substr(0, 2);
  if (state.empty() || kind == "08" || kind == "57") {
    // A statement that was stopped is not a connection that was.
    if (state == "57014") {
      return DeadlineExceeded("a statement on {} ran longer than statement_timeout and was stopped",
                              server);
    }
    return PostgresUnavailable(server, error.message);
  }
  if (kind == "23") return ConstraintStatus(error);
  if (kind == "22") return InvalidArgument("{}", error.message);
  if (state == "25006") {
    return FailedPrecondition(
        "a Read may not write, use Write (or the server {} is a standby): '{}'", server,
        sql.substr(0, kShownSql));
  }
  if (kind == "40")
    return WithRetryAfter(Aborted("another transaction on {} was in the way; retry", server),
                          kRetryAfterLock);
  if (state == "55P03") {
    return WithRetryAfter(
        StorageFailed(Unavailable(
            "{}: another transaction holds the lock ({}); nothing was acknowledged, retry", server,
            error.message)),
        kRetryAfterLock);
  }
  if (state == "53100") return DiskFull(server);
  if (state == "53300") return PostgresUnavailable(server, error.message);
  if (kind == "53") return Failed(StatusCode::kResourceExhausted, server, error.message);
  if (kind == "58")
    return WithRetryAfter(Failed(StatusCode::kUnavailable, server, error.message), kRetryAfter);
  if (state == "XX001" || state == "XX002") {
    return DataLoss("{} is damaged ({}); stop, and restore the last backup", server, error.message);
  }
  if (kind == "28" || kind == "3D" || kind == "3F" || state == "42501") {
    return StorageFailed(FailedPrecondition("{} refuses this user: {}", server, error.message));
  }
  return Internal("{}: '{}'", error.message, sql.substr(0, kShownSql));
}

}  // namespace starling::sql
