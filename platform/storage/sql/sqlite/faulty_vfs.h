// A file system under the embedded engine that fails when told to, and forgets what was not synced.
//
//   FaultyVfs vfs;                                   // the engine's default until destroyed
//   vfs.FailAt(17, FaultyVfs::Fault::kSyncError);    // the 17th write, sync or truncate from now
//   ...
//   vfs.LosePower(seed);                             // files as the disk would have them: with
//   seed 0 vfs.Repair();                                    // nothing unsynced, else a random part
//   of it
//
// Syncs are counted and remembered but not passed on: a test of a thousand commits takes a second.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct sqlite3_vfs;

namespace starling::sql {

class FaultyVfs {
 public:
  enum class Fault {
    kWriteError,  // once
    kShortWrite,  // half of the bytes arrive, once
    kSyncError,   // of the operation or the next sync, once
    kFullDisk,    // from then on, until Repair
    kPowerLoss,   // nothing works from then on, until Repair
  };
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  void FailAt(int64_t operation, Fault fault);
  void OpenReadOnly() { read_only_ = true; }
  void Repair();
  // All files must be closed.
  void LosePower(uint64_t seed);
  // Writes, syncs and truncates since FailAt or the start.
  int64_t operations() const;
  bool fired() const;

  struct Change {
    int64_t offset;
    std::string bytes;
    bool truncate = false;  // to offset
  };
  // One file: what the disk certainly has, and what was written since.
  struct FileState {
    bool exists = false;
    std::string durable;
    std::vector<Change> pending;
  };
  enum class Operation { kWrite, kSync, kTruncate };
  // The engine's code for this operation: SQLITE_OK lets it through.
  int Count(Operation operation, bool& short_write);
  void Record(FileState& state, Change change);
  void Synced(FileState& state);
  void Deleted(const std::string& path);
  FileState* Opened(const std::string& path);
  bool PowerIsOff() const;
  bool read_only() const { return read_only_; }
  sqlite3_vfs* real() const { return real_; }

 private:
  static void Apply(std::string& content, const Change& change);

  mutable std::mutex mutex_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  sqlite3_vfs* real_;
  std::map<std::string, FileState> files_;
  int64_t operations_ = 0;
  int64_t fail_at_ = 0;
  Fault fault_ = Fault::kWriteError;
  bool fired_ = false;
  bool sync_error_due_ = false;
  bool read_only_ = false;
};

}  // namespace starling::sql
