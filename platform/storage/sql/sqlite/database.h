// What Database::Open calls without a URL; see sql.h.
#pragma once

#include <memory>
#include <span>

#include "platform/storage/sql/sql.h"

namespace starling::sql {

StatusOr<std::unique_ptr<Database>> OpenSqlite(const Options& options,
                                               std::span<const EmbeddedFile> migrations);

}  // namespace starling::sql
