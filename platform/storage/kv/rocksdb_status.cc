#include "platform/storage/kv/rocksdb_status.h"

#include <rocksdb/status.h>

#include <chrono>

namespace starling::kv {

Status RocksDbStatus(const rocksdb::Status& status, std::string_view path) {
  if (status.ok()) return OkStatus();
  if (status.IsNoSpace()) return DiskFull(path);
  if (status.IsCorruption()) {
    return DataLoss(
        "'{}' is damaged ({}); stop, keep a copy of the folder, and restore the last backup", path,
        status.ToString());
  }
  if (status.IsIOError()) {
    return StorageFailed(
        Unavailable("I/O on '{}' failed ({}); check the disk and retry; nothing was acknowledged",
                    path, status.ToString()));
  }
  if (status.IsBusy() || status.IsTimedOut() || status.IsTryAgain() ||
      status.IsShutdownInProgress()) {
    return WithRetryAfter(
        Unavailable("'{}' is busy ({}); retry; nothing was acknowledged", path, status.ToString()),
        std::chrono::milliseconds(100));
  }
  if (status.IsMemoryLimit()) {
    return ResourceExhausted("no memory for '{}'; nothing was acknowledged", path);
  }
  return Internal("'{}': {}", path, status.ToString());
}

Status RocksDbOpenStatus(const rocksdb::Status& status, std::string_view path) {
  if (status.ok() || status.IsCorruption() || status.IsNoSpace())
    return RocksDbStatus(status, path);
  const std::string message = status.ToString();
  if (message.find("lock file") != std::string::npos ||
      message.find("lock hold") != std::string::npos) {
    return FailedPrecondition("'{}' is open already, here or in another process; end that one ({})",
                              path, message);
  }
  return FailedPrecondition("'{}' cannot be opened ({}); it must be a folder that can be written",
                            path, message);
}

}  // namespace starling::kv
