// SQLite's result codes as statuses: what failed, in which file, and what to do.
#pragma once

#include <string_view>

#include "platform/base/status.h"

struct sqlite3;

namespace starling::sql {

struct SqliteError {
  int code = 0;          // extended result code
  int system_errno = 0;  // of the failed system call; 0 when there was none
  std::string_view message;
};

// The last error of a connection. The message lives until its next call.
SqliteError LastSqliteError(sqlite3* connection, int code);

Status SqliteStatus(const SqliteError& error, std::string_view path);

// A copy that shares nothing. Statuses count their references with atomics inside a library, where
// ThreadSanitizer cannot see them: one that goes to another thread while this one keeps a copy
// reads as a race.
Status Unshared(const Status& status);

}  // namespace starling::sql
