// The embedded adapter: collections in memory, kept in a SQLite file of their own.
//
//   STARLING_ASSIGN_OR_RETURN(auto store, OpenEmbedded({.path = folder / "v.sqlite"}, pool));
//
// A search is exact below kIndexFrom items and where there is no index: it reads all of
// the values, on the caller's thread up to 1 Mi of them, on the pool above. With an index it is as
// quick as that one finds rows. A Replace makes the index; an Upsert or Remove copies the
// collection, and it has none until the next Replace or start: they are for small changes now and
// then.
//
// Memory: the items, once more with an index of kCosine or kL2, and the index. Bounds, errors and
// guarantees: store.h; durability: a transaction of SQLite (sql.h).
#pragma once

#include <filesystem>
#include <memory>

#include "platform/async/blocking_pool.h"
#include "platform/storage/vector/index.h"
#include "platform/storage/vector/store.h"

namespace starling::vector {

struct EmbeddedOptions {
  std::filesystem::path path;  // of the file; its folder must exist
  MakeIndex make_index;        // none: every search is exact
};

// Reads all there is, and makes indexes. Blocks: for start-up. The pool must outlive the store.
StatusOr<std::unique_ptr<Store>> OpenEmbedded(EmbeddedOptions options, BlockingPool& pool);

}  // namespace starling::vector
