#include "services/features/interaction_store.h"

#include <cstring>

#include "platform/base/id.h"

namespace starling::features {
namespace {

constexpr char kVersion = 1;
constexpr size_t kFixedValue = 1 + 4 + 1 + 4 + 4;
// The new values of whole pages are read from the files; only the blocks in use need a place.
constexpr size_t kBlockCache = 2 << 20;
constexpr size_t kWriteBuffer = 4 << 20;

template <typename T>
void Append(T value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T Take(const char*& at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  at += sizeof(value);
  return value;
}

std::string KeyOf(std::string_view user_id, uint64_t id) {
  std::string key;
  key.reserve(2 + user_id.size() + sizeof(id));
  key.push_back(static_cast<char>(user_id.size() >> 8));
  key.push_back(static_cast<char>(user_id.size() & 0xff));
  key += user_id;
  Append(id, key);
  return key;
}

std::string ValueOf(const Row& row, std::string_view product_id) {
  std::string value;
  value.reserve(kFixedValue + product_id.size());
  value.push_back(kVersion);
  Append(row.time, value);
  Append(row.kind, value);
  Append(row.quantity, value);
  Append(row.price, value);
  value += product_id;
  return value;
}

// Views into the entry.
std::optional<InteractionTable::Incoming> Decode(const kv::Entry& entry) {
  constexpr size_t kFixedKey = 2 + sizeof(uint64_t);
  if (entry.key.size() < kFixedKey || entry.value.size() < kFixedValue) return std::nullopt;
  const size_t size = static_cast<size_t>(static_cast<uint8_t>(entry.key[0])) << 8 |
                      static_cast<uint8_t>(entry.key[1]);
  if (entry.key.size() != kFixedKey + size || entry.value[0] != kVersion) return std::nullopt;
  InteractionTable::Incoming incoming;
  incoming.user_id = std::string_view(entry.key).substr(2, size);
  const char* at = entry.key.data() + 2 + size;
  incoming.row.id = Take<uint64_t>(at);
  at = entry.value.data() + 1;
  incoming.row.time = Take<uint32_t>(at);
  const auto kind = Take<uint8_t>(at);
  if (kind == 0 || kind >= kKinds) return std::nullopt;
  incoming.row.kind = static_cast<Kind>(kind);
  incoming.row.quantity = Take<float>(at);
  incoming.row.price = Take<float>(at);
  incoming.product_id = std::string_view(entry.value).substr(kFixedValue);
  return incoming;
}

}  // namespace

StatusOr<std::unique_ptr<InteractionStore>> InteractionStore::Open(host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(
      auto store, environment.OpenStore(
                      "features", "interactions",
                      {.block_cache_bytes = kBlockCache, .write_buffer_bytes = kWriteBuffer}));
  return std::make_unique<InteractionStore>(std::move(store), environment.runtime().blocking());
}

kv::Batch InteractionStore::BatchOf(const InteractionTable& table,
                                    const InteractionTable::Change& change) {
  kv::Batch batch;
  for (const auto& [user, row, was_there] : change.removed())
    batch.Delete(KeyOf(table.UserId(user), row.id));
  for (const auto& [user, row, was_there] : change.added())
    batch.Put(KeyOf(table.UserId(user), row.id), ValueOf(row, table.ProductId(row.product)));
  return batch;
}

Task<Status> InteractionStore::Load(InteractionTable& table, const std::atomic<bool>& stopping) {
  std::string after;
  do {
    if (stopping) co_return Cancelled("the process stops");
    CO_ASSIGN_OR_RETURN(kv::Page page,
                        co_await store_->Scan({.after = after, .limit = kv::kMaxPageEntries}));
    const auto planned =
        co_await pool_.Run([&]() -> StatusOr<std::shared_ptr<InteractionTable::Change>> {
          std::vector<InteractionTable::Incoming> incoming;
          incoming.reserve(page.entries.size());
          for (const kv::Entry& entry : page.entries) {
            const auto one = Decode(entry);
            if (!one) {
              return DataLoss(
                  "the entry '{}' of the features' interactions is not one this program stores; "
                  "restore the folder features from a backup, or remove it (on Redis: the keys "
                  "features/interactions; on the embedded event log also the file "
                  "events/user-events/features.group) to read all events again",
                  ToHex(entry.key));
            }
            incoming.push_back(*one);
          }
          return std::make_shared<InteractionTable::Change>(
              table.Plan(incoming, InteractionTable::kStored));
        });
    if (!planned.ok()) co_return planned.status();
    CO_RETURN_IF_ERROR(co_await Remove(table, **planned));
    CO_RETURN_IF_ERROR(co_await pool_.Run([&]() -> Status {
      table.Publish(std::move(**planned));
      return OkStatus();
    }));
    after = std::move(page.next);
  } while (!after.empty());
  co_return OkStatus();
}

Task<Status> InteractionStore::Remove(const InteractionTable& table,
                                      const InteractionTable::Change& change) {
  kv::Batch batch;
  for (const auto& [user, row, was_there] : change.removed()) {
    batch.Delete(KeyOf(table.UserId(user), row.id));
    if (batch.changes().size() < kMaxChanges) continue;
    CO_RETURN_IF_ERROR(co_await store_->Apply(batch, kv::Durability::kBuffered));
    batch.Clear();
  }
  if (batch.changes().empty()) co_return OkStatus();
  co_return co_await store_->Apply(batch, kv::Durability::kBuffered);
}

}  // namespace starling::features
