// Idempotency keys in a SQL database of their own.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "platform/rpc/idempotency.h"
#include "platform/storage/sql/sql.h"

namespace starling::rpc {

struct IdempotencyOptions {
  Duration keep = std::chrono::hours(24);
  int64_t max_keys = 1'000'000;
  // Whether processes tell each other which keys they act on (docs/decisions/028), for a write
  // more a key; nullopt: where the database is shared.
  std::optional<bool> claims = std::nullopt;
};

// `database` must outlive it; `clock` says when a key is old. Blocks.
StatusOr<std::unique_ptr<IdempotencyStore>> OpenSqlIdempotencyStore(sql::Database& database,
                                                                    const Clock& clock,
                                                                    IdempotencyOptions options);

}  // namespace starling::rpc
