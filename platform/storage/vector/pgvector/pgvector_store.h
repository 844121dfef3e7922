// The adapter for PostgreSQL with the extension pgvector, 0.5 or newer: what several processes
// share.
//
//   STARLING_ASSIGN_OR_RETURN(auto store, OpenPgVector({.url = url, .schema = "shop_vectors"}));
//
//   schema.collection   name, dimension, metric, and the table that the items are in by now
//   schema.items_<id>   id, embedding vector(dimension); from kIndexFrom rows on with an HNSW index
//                       of the metric's operators (<#>, <=>, <->)
//
// A Replace fills a table of its own and changes the name in the same transaction, so readers see
// one or the other and do not wait. Other changes to the schema wait meanwhile, also for the index,
// and fail after sql.h's lock_timeout.
// The server finds candidates and sends their values, which are scored here: a search is two round
// trips, four by an index. It stops a search after `query_timeout` (DEADLINE_EXCEEDED).
//
// The index looks at hnsw.ef_search candidates: twice as many as are wanted, 200 at least. Where
// that would be more than the 1,000 that pgvector allows, as with many excluded ids, and where it
// gives fewer than are wanted, all rows are read.
//
// Open makes schema and tables, and the extension where the user may. FAILED_PRECONDITION says what
// an administrator must do: the extension is not on the server, not in the database, or too old.
#pragma once

#include <memory>
#include <string>

#include "platform/base/clock.h"
#include "platform/storage/vector/store.h"

namespace starling::vector {

struct PgVectorOptions {
  std::string url;                 // as sql.h has it
  std::string schema = "vectors";  // its own: no other tables are in it
  Duration query_timeout = std::chrono::seconds(2);
  Duration change_timeout = std::chrono::minutes(10);  // of one statement, such as making an index
};

// Blocks: for start-up.
StatusOr<std::unique_ptr<Store>> OpenPgVector(const PgVectorOptions& options);

}  // namespace starling::vector
