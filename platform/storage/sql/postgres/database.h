// What Database::Open calls for a URL of PostgreSQL; see sql.h.
#pragma once

#include <memory>
#include <span>

#include "platform/storage/sql/sql.h"

namespace starling::sql {

StatusOr<std::unique_ptr<Database>> OpenPostgres(const Options& options,
                                                 std::span<const EmbeddedFile> migrations);

}  // namespace starling::sql
