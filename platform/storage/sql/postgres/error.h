// PostgreSQL's errors as the port's: SQLSTATE to code, and a message that names what was wrong.
//
// Pure. Source: PostgreSQL 15 documentation, appendix A "PostgreSQL Error Codes".
#pragma once

#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::sql {

// What the server said. `detail` is not passed on: it quotes values.
struct PostgresError {
  std::string sqlstate;  // "23505"; "" when it came from the connection
  std::string message;
  std::string table;
  std::string column;
  std::string detail;  // "Key (id)=(1) already exists."
};

// `server` is shown: "PostgreSQL at 127.0.0.1:5432, schema catalog"; so is the beginning of `sql`
// where that is wrong.
Status PostgresStatus(const PostgresError& error, std::string_view server, std::string_view sql);

// Whether the same transaction may succeed when it runs again: it clashed with another.
bool IsConflict(std::string_view sqlstate);

// UNAVAILABLE, for a connection that could not be made or was lost, with a retry delay.
Status PostgresUnavailable(std::string_view server, std::string_view cause);

}  // namespace starling::sql
