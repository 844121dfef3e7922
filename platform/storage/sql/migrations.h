// Which migrations a database lacks, and which it has: what is the same for every engine.
//
//   STARLING_ASSIGN_OR_RETURN(std::vector<Migration> known, ParseMigrations(files));
//   STARLING_ASSIGN_OR_RETURN(std::span<const Migration> missing,
//                             MissingMigrations(known, applied, "catalog.db"));
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/embedded_file.h"
#include "platform/base/status.h"
#include "platform/storage/sql/connection.h"

namespace starling::sql {

struct Migration {
  int64_t version = 0;   // 1 for "0001_products.sql"
  std::string name;      // "products"
  std::string checksum;  // 16 hex digits over the content
  std::string_view sql;  // the file's, which lives as long as the process
};

// A row of schema_migrations.
struct AppliedMigration {
  int64_t version = 0;
  std::string name;
  std::string checksum;
};

// Names must be "<4 digits>_<lower_case_name>.sql", in order, from 0001 without a gap; INTERNAL
// names the file that is wrong, since only our own build can put it there.
StatusOr<std::vector<Migration>> ParseMigrations(std::span<const EmbeddedFile> files);

// The tail of `known` that is not in `applied` (ordered by version). FAILED_PRECONDITION when the
// database was written by another history: newer than this binary, an applied migration changed, or
// one missing in the middle.
StatusOr<std::span<const Migration>> MissingMigrations(std::span<const Migration> known,
                                                       std::span<const AppliedMigration> applied,
                                                       std::string_view database);

// The table in which every engine keeps what is applied; Applied reads it, Record adds a row.
inline constexpr std::string_view kCreateMigrations =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    " version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT "
    "NULL) STRICT";
StatusOr<std::vector<AppliedMigration>> Applied(Connection& connection);
Status Record(Connection& connection, const Migration& migration);

}  // namespace starling::sql
