// RocksDB's statuses as ours: what failed, in which file, and what to do.
#pragma once

#include <string_view>

#include "platform/base/status.h"

namespace rocksdb {
class Status;
}

namespace starling::kv {

Status RocksDbStatus(const rocksdb::Status& status, std::string_view path);
Status RocksDbOpenStatus(const rocksdb::Status& status, std::string_view path);

}  // namespace starling::kv
