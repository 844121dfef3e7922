#include "platform/storage/kv/rocksdb_store.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "platform/storage/kv/rocksdb_status.h"
#include "platform/storage/kv/stored_value.h"

namespace starling::kv {
namespace {

constexpr size_t kPageBytes = 16 << 20;
// Entries a page may look at for each that it gives: expired ones lie there until they are
// compacted away.
constexpr size_t kLookedAtPerEntry = 16;

rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// Drops what has expired when files are rewritten.
class DropExpired final : public rocksdb::CompactionFilter {
 public:
  explicit DropExpired(const Clock& clock) : clock_(clock) {}
  const char* Name() const override { return "starling.DropExpired"; }
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& stored, std::string*,
              bool*) const override {
    const std::optional<StoredValue> value = DecodeStored(ToView(stored));
    return value.has_value() && value->ExpiredAt(clock_.Now());
  }

 private:
  const Clock& clock_;
};

rocksdb::Options EngineOptions(const Options& options) {
  rocksdb::Options engine;
  engine.create_if_missing = true;
  engine.write_buffer_size = options.write_buffer_bytes;
  engine.max_write_buffer_number = 2;
  engine.max_total_wal_size = 4 * options.write_buffer_bytes;
  engine.target_file_size_base = 16 << 20;
  engine.max_background_jobs = 2;
  engine.max_open_files = 256;
  engine.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  engine.max_log_file_size = 1 << 20;
  engine.keep_log_file_num = 2;
  engine.stats_dump_period_sec = 0;
  engine.stats_persist_period_sec = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  engine.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return engine;
}

class RocksDbStore final : public Store {
 public:
  RocksDbStore(std::string path, BlockingPool& pool, const Clock& clock)
      : path_(std::move(path)), pool_(pool), clock_(clock), filter_(clock) {}

  Status Open(const Options& options, rocksdb::Env* environment) {
    engine_ = EngineOptions(options);
    engine_.compaction_filter = &filter_;
    if (environment != nullptr) engine_.env = environment;
    return OpenEngine();
  }

  Task<StatusOr<std::optional<std::string>>> Get(std::string_view key) override {
    using Result = StatusOr<std::optional<std::string>>;
    CO_RETURN_IF_ERROR(CheckKey(key));
    // From memory when it is there: that does not block, and spares the hop.
    std::optional<Result> in_memory;
    if (!failed_) {
      const std::shared_lock use(use_, std::try_to_lock);
      if (use.owns_lock()) in_memory = Find(key, rocksdb::kBlockCacheTier);
    }
    if (in_memory.has_value()) co_return *std::move(in_memory);
    Result result = co_await pool_.Run([&]() -> Result {
      const std::shared_lock use = Use();
      std::optional<Result> found = Find(key, rocksdb::kReadAllTier);
      return *std::move(found);
    });
    co_return result;
  }

  Task<Status> Apply(const Batch& batch, Durability durability) override {
    CO_RETURN_IF_ERROR(CheckBatch(batch));
    Status status = co_await pool_.Run([&]() -> Status { return Write(batch, durability); });
    co_return status;
  }

  Task<StatusOr<Page>> Scan(const ScanOptions& options) override {
    CO_RETURN_IF_ERROR(CheckScan(options));
    StatusOr<Page> page = co_await pool_.Run([&]() -> StatusOr<Page> { return ReadPage(options); });
    co_return page;
  }

  Task<Status> Check() override {
    Status status = co_await pool_.Run([this]() -> Status {
      const std::shared_lock use = Use();
      STARLING_RETURN_IF_ERROR(closed_);
      return RocksDbStatus(db_->VerifyChecksum(), path_);
    });
    co_return status;
  }

 private:
  // Those that come while one waits to reopen wait behind it, so that it does not wait for ever.
  std::shared_lock<std::shared_mutex> Use() {
    const std::lock_guard in_turn(turn_);
    return std::shared_lock(use_);
  }

  // Nothing when the tier alone cannot say.
  std::optional<StatusOr<std::optional<std::string>>> Find(std::string_view key,
                                                           rocksdb::ReadTier tier) {
    if (!closed_.ok()) return closed_;
    rocksdb::ReadOptions read;
    read.read_tier = tier;
    rocksdb::PinnableSlice stored;
    const rocksdb::Status status =
        db_->Get(read, db_->DefaultColumnFamily(), ToSlice(key), &stored);
    if (status.IsIncomplete()) return std::nullopt;
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return RocksDbStatus(status, path_);
    const std::optional<StoredValue> value = DecodeStored(ToView(stored));
    if (!value.has_value()) return Undecodable(key);
    if (value->ExpiredAt(clock_.Now())) return std::optional<std::string>();
    return std::optional<std::string>(value->value);
  }

  Status Write(const Batch& batch, Durability durability) {
    if (failed_) STARLING_RETURN_IF_ERROR(ReopenAfterError());
    const std::shared_lock use = Use();
    STARLING_RETURN_IF_ERROR(closed_);
    const TimePoint now = clock_.Now();
    rocksdb::WriteBatch changes;
    for (const Batch::Change& change : batch.changes()) {
      if (change.value.has_value()) {
        std::optional<TimePoint> expires;
        if (change.ttl.has_value()) expires = now + *change.ttl;
        changes.Put(ToSlice(change.key), EncodeStored(*change.value, expires));
      } else {
        changes.Delete(ToSlice(change.key));
      }
    }
    rocksdb::WriteOptions write;
    write.sync = durability == Durability::kSynced;
    const rocksdb::Status status = db_->Write(write, &changes);
    if (!status.ok()) failed_ = true;
    return RocksDbStatus(status, path_);
  }

  // After an error of its log the engine refuses every write until it is opened again. That is
  // tried only once the disk takes a write, since what is open still answers reads.
  Status ReopenAfterError() {
    const std::lock_guard in_turn(turn_);
    const std::unique_lock alone(use_);
    if (!failed_) return OkStatus();
    const std::string probe = path_ + "/starling.probe";
    const rocksdb::Status written =
        rocksdb::WriteStringToFile(engine_.env, "probe", probe, /*should_sync=*/true);
    static_cast<void>(engine_.env->DeleteFile(probe));
    STARLING_RETURN_IF_ERROR(RocksDbStatus(written, path_));
    db_.reset();
    STARLING_RETURN_IF_ERROR(OpenEngine());
    failed_ = false;
    return OkStatus();
  }

  Status OpenEngine() {
    rocksdb::DB* db = nullptr;
    const rocksdb::Status opened = rocksdb::DB::Open(engine_, path_, &db);
    db_.reset(db);
    closed_ = RocksDbOpenStatus(opened, path_);
    return closed_;
  }

  StatusOr<Page> ReadPage(const ScanOptions& options) {
    const std::shared_lock use = Use();
    STARLING_RETURN_IF_ERROR(closed_);
    const std::string end = EndOf(options.prefix);
    const rocksdb::Slice upper = end;
    rocksdb::ReadOptions read;
    if (!end.empty()) read.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read));
    if (!options.after.empty() && options.after >= options.prefix) {
      at->Seek(ToSlice(options.after));
      if (at->Valid() && ToView(at->key()) == options.after) at->Next();
    } else {
      at->Seek(ToSlice(options.prefix));
    }
    const TimePoint now = clock_.Now();
    Page page;
    size_t bytes = 0;
    size_t looked_at = 0;
    std::string last;
    for (; at->Valid(); at->Next()) {
      const bool full = page.entries.size() >= options.limit || bytes >= kPageBytes;
      if (full || looked_at >= options.limit * kLookedAtPerEntry) {
        page.next = last;
        return page;
      }
      ++looked_at;
      last.assign(at->key().data(), at->key().size());
      const std::optional<StoredValue> value = DecodeStored(ToView(at->value()));
      if (!value.has_value()) return Undecodable(last);
      if (value->ExpiredAt(now)) continue;
      bytes += last.size() + value->value.size();
      page.entries.push_back({last, std::string(value->value)});
    }
    STARLING_RETURN_IF_ERROR(RocksDbStatus(at->status(), path_));
    return page;
  }

  Status Undecodable(std::string_view key) const {
    return DataLoss(
        "the value of '{}' in '{}' is not one this program stores; another program wrote it, "
        "or restore the last backup",
        key, path_);
  }

  const std::string path_;
  BlockingPool& pool_;
  const Clock& clock_;
  const DropExpired filter_;
  rocksdb::Options engine_;
  std::mutex turn_;
  std::shared_mutex use_;            // alone: to reopen
  std::unique_ptr<rocksdb::DB> db_;  // after the filter, which it uses
  Status closed_;                    // why db_ is not open, when it is not
  std::atomic<bool> failed_{false};
};

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenRocksDb(const Options& options, BlockingPool& pool,
                                             const Clock& clock, rocksdb::Env* environment) {
  auto store = std::make_unique<RocksDbStore>(options.path.string(), pool, clock);
  STARLING_RETURN_IF_ERROR(store->Open(options, environment));
  return store;
}

StatusOr<std::unique_ptr<Store>> Store::Open(Options options, BlockingPool& pool,
                                             const Clock& clock) {
  return OpenRocksDb(options, pool, clock, nullptr);
}

}  // namespace starling::kv

#if defined(__SANITIZE_THREAD__)
// The engine is not instrumented: its lock-free hand-overs read as races.
extern "C" const char* __tsan_default_suppressions() {
  return "race:librocksdb.so\ncalled_from_lib:librocksdb.so\n";
}
#endif
