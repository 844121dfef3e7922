#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <fstream>
#include <set>

#include "platform/base/id.h"
#include "platform/storage/kv/conformance/kv_conformance.h"
#include "platform/storage/kv/rocksdb_store.h"
#include "platform/storage/kv/stored_value.h"

namespace starling::kv {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

fs::path FreshFolder() { return fs::path(testing::TempDir()) / NewId(); }

class Folder final : public Location {
 public:
  ~Folder() override { fs::remove_all(path_); }
  StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime, const Clock& clock) override {
    return Store::Open({.path = path_}, runtime.blocking(), clock);
  }

 private:
  const fs::path path_ = FreshFolder();
};

INSTANTIATE_TEST_SUITE_P(
    Embedded, KvConformance,
    testing::Values(Adapter{"embedded", [] { return std::make_unique<Folder>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

TEST(StoredValue, ComesBackAndRefusesOtherBytes) {
  const TimePoint expires = *ParseRfc3339("2026-01-02T03:04:05.678Z");
  const std::string plain = EncodeStored("value", std::nullopt);
  const std::string expiring = EncodeStored("value", expires);
  EXPECT_EQ(DecodeStored(plain)->value, "value");
  EXPECT_EQ(DecodeStored(plain)->expires, std::nullopt);
  EXPECT_EQ(DecodeStored(expiring)->value, "value");
  EXPECT_EQ(DecodeStored(expiring)->expires, expires);
  EXPECT_TRUE(DecodeStored(expiring)->ExpiredAt(expires));
  EXPECT_FALSE(DecodeStored(expiring)->ExpiredAt(expires - std::chrono::milliseconds(1)));
  EXPECT_FALSE(
      DecodeStored(std::string("\1\xff\xff\xff\xff\xff\xff\xff\xff", 9))->ExpiredAt(expires));
  for (const std::string_view bad :
       {std::string_view(), std::string_view("\2x"), std::string_view("\1\0\0\0\0\0\0\0", 8)}) {
    EXPECT_EQ(DecodeStored(bad), std::nullopt) << bad.size();
  }
}

// The machine's files, which count appends and syncs, fail from a chosen one on until repaired, and
// know what was synced.
class FaultyFiles final : public rocksdb::FileSystemWrapper {
 public:
  FaultyFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFiles"; }

  void FailFrom(int64_t operation, rocksdb::IOStatus error) {
    operations_ = 0;
    fail_from_ = operation;
    error_ = error;
  }
  void Repair() { fail_from_ = 0; }
  int64_t operations() const { return operations_; }

  // What a disk without power keeps: each file up to its last sync. All must be closed.
  void LosePower() {
    const std::lock_guard lock(mutex_);
    for (const auto& [path, synced] : synced_) {
      if (fs::exists(path) && fs::file_size(path) > synced) fs::resize_file(path, synced);
    }
    synced_.clear();
  }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (rocksdb::IOStatus error = Count(); !error.ok()) return error;
    std::unique_ptr<rocksdb::FSWritableFile> real;
    rocksdb::IOStatus status = target()->NewWritableFile(name, options, &real, debug);
    if (!status.ok()) return status;
    // The log for people is not data.
    if (name.find("LOG") == std::string::npos) {
      Synced(name, 0);
      *file = std::make_unique<File>(std::move(real), *this, name);
    } else {
      *file = std::move(real);
    }
    return status;
  }
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* folder,
                                 rocksdb::IODebugContext* debug) override {
    class Unsynced final : public rocksdb::FSDirectoryWrapper {
     public:
      using FSDirectoryWrapper::FSDirectoryWrapper;
      rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        return rocksdb::IOStatus::OK();
      }
      rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions&, rocksdb::IODebugContext*,
                                            const rocksdb::DirFsyncOptions&) override {
        return rocksdb::IOStatus::OK();
      }
    };
    std::unique_ptr<rocksdb::FSDirectory> real;
    rocksdb::IOStatus status = target()->NewDirectory(name, options, &real, debug);
    if (status.ok()) *folder = std::make_unique<Unsynced>(std::move(real));
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = target()->RenameFile(from, to, options, debug);
    const std::lock_guard lock(mutex_);
    if (auto node = synced_.extract(from); status.ok() && !node.empty()) {
      synced_[to] = node.mapped();
    }
    return status;
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> real, FaultyFiles& files, std::string name)
        : FSWritableFileOwnerWrapper(std::move(real)), files_(files), name_(std::move(name)) {}
    using FSWritableFileOwnerWrapper::Append;
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      if (rocksdb::IOStatus error = files_.Count(); !error.ok()) return error;
      size_ += data.size();
      return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
      if (rocksdb::IOStatus error = files_.Count(); !error.ok()) return error;
      files_.Synced(name_, size_);
      return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* debug) override {
      return Sync(options, debug);
    }

   private:
    FaultyFiles& files_;
    const std::string name_;
    uint64_t size_ = 0;
  };

  rocksdb::IOStatus Count() {
    const int64_t now = ++operations_;
    const int64_t from = fail_from_;
    return from != 0 && now >= from ? error_ : rocksdb::IOStatus::OK();
  }
  void Synced(const std::string& name, uint64_t size) {
    const std::lock_guard lock(mutex_);
    synced_[name] = size;
  }

  std::atomic<int64_t> operations_{0};
  std::atomic<int64_t> fail_from_{0};
  rocksdb::IOStatus error_;
  std::mutex mutex_;
  std::map<std::string, uint64_t> synced_;
};

class RocksDbStore : public testing::Test {
 protected:
  ~RocksDbStore() override {
    store_.reset();
    fs::remove_all(path_);
  }
  Status Open() {
    store_.reset();
    StatusOr<std::unique_ptr<Store>> store =
        OpenRocksDb({.path = path_, .write_buffer_bytes = 256 << 10}, runtime_.blocking(), clock_,
                    environment_.get());
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    return OkStatus();
  }
  Status Put(std::string_view key, std::string_view value,
             Durability durability = Durability::kSynced) {
    return runtime_.Block(store_->Put(key, value, {.durability = durability}));
  }
  StatusOr<std::optional<std::string>> Get(std::string_view key) {
    return runtime_.Block(store_->Get(key));
  }
  static std::string Key(int i) { return fmt::format("key{:05}", i); }
  // The newest file with this extension.
  fs::path Newest(std::string_view extension) {
    std::set<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path_)) {
      if (entry.path().extension() == extension) found.insert(entry.path());
    }
    EXPECT_FALSE(found.empty()) << extension;
    return found.empty() ? fs::path() : *found.rbegin();
  }
  void UseFaultyFiles() {
    store_.reset();  // it uses the environment
    files_ = std::make_shared<FaultyFiles>();
    environment_ = rocksdb::NewCompositeEnv(files_);
  }

  const fs::path path_ = FreshFolder();
  FakeClock clock_{*ParseRfc3339("2026-01-02T03:04:05Z")};
  Runtime runtime_{{.io_threads = 1}};
  std::shared_ptr<FaultyFiles> files_;
  std::unique_ptr<rocksdb::Env> environment_;
  std::unique_ptr<Store> store_;
};

TEST_F(RocksDbStore, ATornTailOfTheLogIsDroppedAndAllBeforeItKept) {
  for (const uintmax_t torn : {1u, 7u, 20u}) {
    fs::remove_all(path_);
    ASSERT_TRUE(Open().ok());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Put(Key(i), std::string(50, 'x')).ok());
    store_.reset();
    const fs::path log = Newest(".log");
    ASSERT_GT(fs::file_size(log), 500u) << "the rows are in the log";
    fs::resize_file(log, fs::file_size(log) - torn);
    ASSERT_TRUE(Open().ok());
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(Get(Key(i))->has_value()) << i << ", torn " << torn;
    EXPECT_FALSE(Get(Key(9))->has_value()) << "half a record was taken for whole";
    ASSERT_TRUE(Put(Key(9), "again").ok());
    ASSERT_TRUE(Open().ok());
    EXPECT_EQ(*Get(Key(9)), "again");
  }
}

TEST_F(RocksDbStore, ADamagedTableIsDataLossNamingTheFile) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(Put(Key(i), RandomToken(300), Durability::kBuffered).ok());
  }
  store_.reset();
  ASSERT_TRUE(Open().ok());  // what was in the log is now in a table too
  store_.reset();
  std::string damaged;
  for (const auto& entry : fs::directory_iterator(path_)) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(1000);
    file << std::string(5000, '\x5a');
    damaged += entry.path().filename().string() + " ";
  }
  ASSERT_FALSE(damaged.empty());
  ASSERT_TRUE(Open().ok());
  const Status checked = runtime_.Block(store_->Check());
  Status read;
  for (int i = 0; i < 2000 && read.ok(); ++i) read = Get(Key(i)).status();
  const Status scanned = runtime_.Block(store_->Scan({.limit = 10'000})).status();
  for (const Status& status : {checked, read, scanned}) {
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
    EXPECT_THAT(std::string(status.message()), HasSubstr(".sst"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("restore the last backup"));
  }
}

TEST_F(RocksDbStore, WhatWasSyncedSurvivesALossOfPowerAfterAnyOperation) {
  constexpr int kWrites = 30;
  for (int64_t at = 1; at < 90; at += 3) {
    SCOPED_TRACE(at);
    fs::remove_all(path_);
    UseFaultyFiles();
    ASSERT_TRUE(Open().ok());
    files_->FailFrom(at, rocksdb::IOStatus::IOError("power lost"));
    std::set<int> acknowledged;
    for (int i = 0; i < kWrites; ++i) {
      const auto durability = i % 3 == 0 ? Durability::kBuffered : Durability::kSynced;
      const Status status = Put(Key(i), std::string(20'000, 'x'), durability);
      if (status.ok() && durability == Durability::kSynced) acknowledged.insert(i);
      EXPECT_TRUE(status.ok() || status.code() == StatusCode::kUnavailable) << status;
    }
    store_.reset();
    files_->LosePower();
    files_->Repair();
    const Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    for (const int i : acknowledged) {
      ASSERT_TRUE(Get(Key(i))->has_value()) << "write " << i << " was acknowledged and is lost";
    }
  }
}

TEST_F(RocksDbStore, AnIoErrorIsReportedAndWritingGoesOnAfterIt) {
  UseFaultyFiles();
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Put("before", "1").ok());
  files_->FailFrom(1, rocksdb::IOStatus::IOError("disk gone"));
  EXPECT_EQ(Put("during", "2").code(), StatusCode::kUnavailable);
  EXPECT_EQ(Put("during", "2").code(), StatusCode::kUnavailable);
  EXPECT_EQ(*Get("before"), "1");
  files_->Repair();
  const Status after = Put("after", "3");
  EXPECT_TRUE(after.ok()) << after;
  EXPECT_EQ(*Get("before"), "1");
  EXPECT_EQ(*Get("after"), "3");
}

TEST_F(RocksDbStore, AFullDiskIsReportedAndWritingGoesOnOnceThereIsRoom) {
  UseFaultyFiles();
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Put("before", "1").ok());
  files_->FailFrom(1, rocksdb::IOStatus::NoSpace("no space left"));
  for (int i = 0; i < 3; ++i) {
    const Status status = Put("during", "2");
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
  }
  EXPECT_EQ(*Get("before"), "1") << "reads go on";
  files_->Repair();
  const Status after = Put("after", "3");
  EXPECT_TRUE(after.ok()) << after;
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(*Get("before"), "1");
  EXPECT_EQ(*Get("after"), "3");
}

TEST_F(RocksDbStore, WhatCannotBeOpenedSaysWhy) {
  ASSERT_TRUE(Open().ok());
  const Status twice = Store::Open({.path = path_}, runtime_.blocking()).status();
  EXPECT_EQ(twice.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(twice.message()), HasSubstr("is open already"));
  std::ofstream(path_ / "a_file") << "x";
  const Status not_a_folder =
      Store::Open({.path = path_ / "a_file" / "store"}, runtime_.blocking()).status();
  EXPECT_EQ(not_a_folder.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(not_a_folder.message()), HasSubstr("a_file"));
}

}  // namespace
}  // namespace starling::kv
