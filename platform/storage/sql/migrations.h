// Which migrations a database lacks: the pure part of opening one, the same for every engine.
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

}  // namespace starling::sql
