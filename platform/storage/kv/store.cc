#include "platform/storage/kv/store.h"

namespace starling::kv {

Task<Status> Store::Put(std::string_view key, std::string_view value, const PutOptions& options) {
  Batch batch;
  batch.Put(key, value, options.ttl);
  const Durability durability = options.durability;
  Status status = co_await Apply(batch, durability);
  co_return status;
}

Task<Status> Store::Delete(std::string_view key, Durability durability) {
  Batch batch;
  batch.Delete(key);
  Status status = co_await Apply(batch, durability);
  co_return status;
}

std::string EndOf(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

Status CheckKey(std::string_view key) {
  if (key.empty()) return InvalidArgument("the key is empty; give it 1 to {} bytes", kMaxKeyBytes);
  if (key.size() > kMaxKeyBytes) {
    return InvalidArgument(
        "the key '{}...' has {} bytes, above the limit of {}; store a hash of it",
        key.substr(0, 64), key.size(), kMaxKeyBytes);
  }
  return OkStatus();
}

Status CheckBatch(const Batch& batch) {
  if (batch.changes().size() > kMaxBatchChanges) {
    return InvalidArgument("the batch has {} changes, above the limit of {}; apply it in parts",
                           batch.changes().size(), kMaxBatchChanges);
  }
  size_t bytes = 0;
  for (const Batch::Change& change : batch.changes()) {
    STARLING_RETURN_IF_ERROR(CheckKey(change.key));
    const size_t size = change.value.has_value() ? change.value->size() : 0;
    if (size > kMaxValueBytes) {
      return InvalidArgument("the value of '{}' has {} bytes, above the limit of {}; store a file",
                             change.key, size, kMaxValueBytes);
    }
    if (change.ttl.has_value() && *change.ttl < std::chrono::milliseconds(1)) {
      return InvalidArgument("the time to live of '{}' is {}, below a millisecond; delete the key",
                             change.key, FormatDuration(*change.ttl));
    }
    bytes += change.key.size() + size;
  }
  if (bytes > kMaxBatchBytes) {
    return InvalidArgument("the batch has {} bytes, above the limit of {}; apply it in parts",
                           bytes, kMaxBatchBytes);
  }
  return OkStatus();
}

Status CheckScan(const ScanOptions& options) {
  if (options.limit < 1 || options.limit > kMaxPageEntries) {
    return InvalidArgument("a page of {} entries is not within 1 to {}", options.limit,
                           kMaxPageEntries);
  }
  if (options.prefix.size() > kMaxKeyBytes || options.after.size() > kMaxKeyBytes) {
    return InvalidArgument("the prefix or the key to start after has more than {} bytes",
                           kMaxKeyBytes);
  }
  return OkStatus();
}

}  // namespace starling::kv
