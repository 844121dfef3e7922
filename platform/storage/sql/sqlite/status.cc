#include "platform/storage/sql/sqlite/status.h"

#include <absl/strings/cord.h>
#include <sqlite3.h>

#include <cerrno>
#include <chrono>
#include <system_error>

namespace starling::sql {
namespace {

constexpr std::chrono::milliseconds kRetryAfterLock(100);

bool IsOutOfSpace(int system_errno) {
  return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

int FileErrno(sqlite3* connection, int which) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", which, static_cast<void*>(&file));
  int system_errno = 0;
  if (file != nullptr && file->pMethods != nullptr) {
    file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &system_errno);
  }
  return system_errno;
}

std::string Cause(const SqliteError& error) {
  if (error.system_errno == 0) return std::string(error.message);
  return fmt::format("{}: {}", error.message, std::system_category().message(error.system_errno));
}

Status ConstraintStatus(const SqliteError& error) {
  switch (error.code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return AlreadyExists("{}", error.message);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return FailedPrecondition("{}: the row referred to does not exist, or is still referred to",
                                error.message);
    default:
      return InvalidArgument("{}", error.message);
  }
}

}  // namespace

SqliteError LastSqliteError(sqlite3* connection, int code) {
  if (connection == nullptr) return {code, 0, sqlite3_errstr(code)};
  int system_errno = 0;
  // The engine keeps the errno of the last failed call for ever: it is this error's only if that is
  // one of I/O.
  const int primary = code & 0xff;
  if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) {
    system_errno = sqlite3_system_errno(connection);
    // A failed commit leaves it with the log's file only.
    if (system_errno == 0) system_errno = FileErrno(connection, SQLITE_FCNTL_JOURNAL_POINTER);
    if (system_errno == 0) system_errno = FileErrno(connection, SQLITE_FCNTL_FILE_POINTER);
  }
  return {code, system_errno, sqlite3_errmsg(connection)};
}

Status SqliteStatus(const SqliteError& error, std::string_view path) {
  switch (error.code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return OkStatus();
    case SQLITE_FULL:
      return DiskFull(path);
    case SQLITE_IOERR:
      if (IsOutOfSpace(error.system_errno)) return DiskFull(path);
      if (error.code == SQLITE_IOERR_NOMEM) {
        return StorageFailed(
            ResourceExhausted("no memory for '{}'; nothing was acknowledged", path));
      }
      return StorageFailed(Unavailable(
          "I/O on '{}' failed ({}, code {}); check the disk and retry; nothing was acknowledged",
          path, Cause(error), error.code));
    case SQLITE_NOMEM:
      return StorageFailed(ResourceExhausted("no memory for '{}'; nothing was acknowledged", path));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return WithRetryAfter(
          StorageFailed(Unavailable(
              "'{}' is locked by another process; end it, or retry; nothing was acknowledged",
              path)),
          kRetryAfterLock);
    case SQLITE_READONLY:
      return StorageFailed(FailedPrecondition(
          "'{}' cannot be written ({}); give this user write permission on it and its folder", path,
          error.message));
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return StorageFailed(FailedPrecondition(
          "'{}' cannot be opened ({}); its folder must exist and be writable", path, Cause(error)));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLoss(
          "'{}' is damaged ({}); stop, keep a copy of the file with its -wal file, and restore the "
          "last "
          "backup, or save what can be read with: sqlite3 '{}' .recover",
          path, error.message, path);
    case SQLITE_CONSTRAINT:
      return ConstraintStatus(error);
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
      return InvalidArgument("{}", error.message);
    case SQLITE_INTERRUPT:
      return DeadlineExceeded(
          "a statement on '{}' ran longer than statement_timeout and was stopped",
          path.substr(path.rfind('/') + 1));
    default:
      return Internal("{} (code {})", error.message, error.code);
  }
}

Status Unshared(const Status& status) {
  Status copy(status.code(), std::string(status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    copy.SetPayload(url, absl::Cord(std::string(payload)));
  });
  return copy;
}

}  // namespace starling::sql
