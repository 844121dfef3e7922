// The interactions in a key-value store of this service's own: one entry each, written
// and removed as InteractionTable plans it, read once when the process starts.
//
//   key   := size of the user's id (2 bytes, big-endian) user's id, hash of the event's id (8)
//   value := 1 time (4) kind (1) quantity (4) price (4) product's id     (little-endian; floats as
//            IEEE 754)
//
// So an event written twice is one entry. See docs/decisions/006-features-in-memory.md for why this
// and no table of a database.
#pragma once

#include <atomic>
#include <memory>

#include "platform/host/environment.h"
#include "platform/storage/kv/store.h"
#include "services/features/interaction_table.h"

namespace starling::features {

class InteractionStore {
 public:
  // Changes of one call of Apply: the store's bound of a batch.
  static constexpr size_t kMaxChanges = kv::kMaxBatchChanges;

  // Blocks. `environment` must outlive it.
  static StatusOr<std::unique_ptr<InteractionStore>> Open(host::Environment& environment);
  InteractionStore(std::unique_ptr<kv::Store> store, BlockingPool& pool)
      : store_(std::move(store)), pool_(pool) {}

  // What a planned change writes and removes; needs no lock, since only its planner changes names.
  static kv::Batch BatchOf(const InteractionTable& table, const InteractionTable::Change& change);
  // Durable once it returned.
  Task<Status> Apply(const kv::Batch& batch) {
    return store_->Apply(batch, kv::Durability::kSynced);
  }

  // Fills the table: about 1,500,000 entries a second. What is beyond the table's bounds, because
  // they were lowered, goes. DATA_LOSS names an entry that this service did not write. CANCELLED
  // when `stopping` becomes true.
  Task<Status> Load(InteractionTable& table, const std::atomic<bool>& stopping);

 private:
  Task<Status> Remove(const InteractionTable& table, const InteractionTable::Change& change);

  const std::unique_ptr<kv::Store> store_;
  BlockingPool& pool_;
};

}  // namespace starling::features
