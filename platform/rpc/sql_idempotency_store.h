// Idempotency keys in a SQL database of their own.
#pragma once

#include <memory>
#include <string>

#include "platform/rpc/idempotency.h"
#include "platform/storage/sql/sql.h"

namespace starling::rpc {

struct IdempotencyOptions {
  Duration keep = std::chrono::hours(24);
  int64_t max_keys = 1'000'000;
};

// `database` must outlive it; `clock` says when a key is old. Blocks.
StatusOr<std::unique_ptr<IdempotencyStore>> OpenSqlIdempotencyStore(sql::Database& database,
                                                                    const Clock& clock,
                                                                    IdempotencyOptions options);

}  // namespace starling::rpc
