// Opens the embedded adapter on an environment of the caller's, for tests that make the disk fail.
#pragma once

#include "platform/storage/kv/store.h"

namespace rocksdb {
class Env;
}

namespace starling::kv {

// nullptr: the machine's own files. The environment must outlive the store.
StatusOr<std::unique_ptr<Store>> OpenRocksDb(const Options& options, BlockingPool& pool,
                                             const Clock& clock, rocksdb::Env* environment);

}  // namespace starling::kv
