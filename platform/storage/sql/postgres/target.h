// Where a PostgreSQL database is: the URL taken apart, and its name as messages may show it.
//
//   STARLING_ASSIGN_OR_RETURN(Target target, ParseTarget(options));
//   target.shown     // "PostgreSQL at 127.0.0.1:5432, database shop, schema catalog"
//
// The password is in the settings and nowhere else. What the URL does not say libpq takes from
// PGHOST, PGPASSFILE, ... or its defaults.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "platform/storage/sql/sql.h"

namespace starling::sql {

struct Target {
  std::vector<std::pair<std::string, std::string>> settings;  // libpq's keywords
  std::string schema;
  std::string shown;
};

// INVALID_ARGUMENT, without a word of the URL, when it is none or its schema is no plain name.
StatusOr<Target> ParseTarget(const Options& options);

}  // namespace starling::sql
