#include "platform/storage/sql/sqlite/faulty_vfs.h"

#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace starling::sql {
namespace {

struct FaultyFile {
  sqlite3_file base;
  FaultyVfs* vfs;
  FaultyVfs::FileState* state;  // null for temporary files
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

FaultyFile* Of(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file); }
sqlite3_file* Real(sqlite3_file* file) { return Of(file)->real(); }

int Close(sqlite3_file* file) { return Real(file)->pMethods->xClose(Real(file)); }
int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  if (Of(file)->vfs->PowerIsOff()) return SQLITE_IOERR_READ;
  return Real(file)->pMethods->xRead(Real(file), out, size, offset);
}
int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  bool short_write = false;
  const int code = Of(file)->vfs->Count(FaultyVfs::Operation::kWrite, short_write);
  if (code != SQLITE_OK && !short_write) return code;
  const int written = short_write ? size / 2 : size;
  if (Of(file)->state != nullptr) {
    Of(file)->vfs->Record(*Of(file)->state, {offset, std::string(static_cast<const char*>(bytes),
                                                                 static_cast<size_t>(written))});
  }
  const int real = Real(file)->pMethods->xWrite(Real(file), bytes, written, offset);
  return code != SQLITE_OK ? code : real;
}
int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  bool unused = false;
  const int code = Of(file)->vfs->Count(FaultyVfs::Operation::kTruncate, unused);
  if (code != SQLITE_OK) return code;
  if (Of(file)->state != nullptr) Of(file)->vfs->Record(*Of(file)->state, {size, "", true});
  return Real(file)->pMethods->xTruncate(Real(file), size);
}
int Sync(sqlite3_file* file, int) {
  bool unused = false;
  const int code = Of(file)->vfs->Count(FaultyVfs::Operation::kSync, unused);
  if (code != SQLITE_OK) return code;
  if (Of(file)->state != nullptr) Of(file)->vfs->Synced(*Of(file)->state);
  return SQLITE_OK;
}
int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Real(file)->pMethods->xFileSize(Real(file), size);
}
int Lock(sqlite3_file* file, int lock) { return Real(file)->pMethods->xLock(Real(file), lock); }
int Unlock(sqlite3_file* file, int lock) { return Real(file)->pMethods->xUnlock(Real(file), lock); }
int CheckReserved(sqlite3_file* file, int* out) {
  return Real(file)->pMethods->xCheckReservedLock(Real(file), out);
}
int FileControl(sqlite3_file* file, int operation, void* argument) {
  return Real(file)->pMethods->xFileControl(Real(file), operation, argument);
}
int SectorSize(sqlite3_file* file) { return Real(file)->pMethods->xSectorSize(Real(file)); }
// Of the real disk's promises none: a write may be torn and writes may be reordered.
int Characteristics(sqlite3_file*) { return 0; }
int ShmMap(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  return Real(file)->pMethods->xShmMap(Real(file), page, size, extend, out);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  return Real(file)->pMethods->xShmLock(Real(file), offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) { Real(file)->pMethods->xShmBarrier(Real(file)); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return Real(file)->pMethods->xShmUnmap(Real(file), remove);
}

const sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = Close,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Truncate,
    .xSync = Sync,
    .xFileSize = FileSize,
    .xLock = Lock,
    .xUnlock = Unlock,
    .xCheckReservedLock = CheckReserved,
    .xFileControl = FileControl,
    .xSectorSize = SectorSize,
    .xDeviceCharacteristics = Characteristics,
    .xShmMap = ShmMap,
    .xShmLock = ShmLock,
    .xShmBarrier = ShmBarrier,
    .xShmUnmap = ShmUnmap,
};

FaultyVfs& Of(sqlite3_vfs* vfs) { return *static_cast<FaultyVfs*>(vfs->pAppData); }

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  FaultyVfs& faulty = Of(vfs);
  file->pMethods = nullptr;
  if (faulty.PowerIsOff()) return SQLITE_CANTOPEN;
  if (faulty.read_only() && (flags & SQLITE_OPEN_MAIN_DB) != 0) {
    flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
  }
  const int code = faulty.real()->xOpen(faulty.real(), name, Real(file), flags, out_flags);
  if (code != SQLITE_OK) return code;
  Of(file)->vfs = &faulty;
  Of(file)->state = name != nullptr ? faulty.Opened(name) : nullptr;
  file->pMethods = &kMethods;
  return SQLITE_OK;
}
int Delete(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  if (Of(vfs).PowerIsOff()) return SQLITE_IOERR_DELETE;
  const int code = Of(vfs).real()->xDelete(Of(vfs).real(), name, sync_folder);
  if (code == SQLITE_OK) Of(vfs).Deleted(name);
  return code;
}

}  // namespace

FaultyVfs::FaultyVfs() : real_(sqlite3_vfs_find(nullptr)) {
  vfs_ = std::make_unique<sqlite3_vfs>(*real_);
  vfs_->szOsFile = static_cast<int>(sizeof(FaultyFile)) + real_->szOsFile;
  vfs_->pNext = nullptr;
  vfs_->zName = "faulty";
  vfs_->pAppData = this;
  vfs_->xOpen = Open;
  vfs_->xDelete = Delete;
  sqlite3_vfs_register(vfs_.get(), 1);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(vfs_.get());
  sqlite3_vfs_register(real_, 1);
}

void FaultyVfs::FailAt(int64_t operation, Fault fault) {
  const std::lock_guard lock(mutex_);
  operations_ = 0;
  fail_at_ = operation;
  fault_ = fault;
  fired_ = false;
}

void FaultyVfs::Repair() {
  const std::lock_guard lock(mutex_);
  fail_at_ = 0;
  fired_ = false;
  sync_error_due_ = false;
}

int64_t FaultyVfs::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

bool FaultyVfs::fired() const {
  const std::lock_guard lock(mutex_);
  return fired_;
}

bool FaultyVfs::PowerIsOff() const {
  const std::lock_guard lock(mutex_);
  return fired_ && fault_ == Fault::kPowerLoss;
}

int FaultyVfs::Count(Operation operation, bool& short_write) {
  const std::lock_guard lock(mutex_);
  ++operations_;
  const bool now = operations_ == fail_at_;
  if (now) fired_ = true;
  if (!fired_) return SQLITE_OK;
  switch (fault_) {
    case Fault::kWriteError:
      return now ? SQLITE_IOERR_WRITE : SQLITE_OK;
    case Fault::kShortWrite:
      short_write = now && operation == Operation::kWrite;
      return now ? SQLITE_IOERR_WRITE : SQLITE_OK;
    case Fault::kSyncError:
      if (now) sync_error_due_ = true;
      if (operation != Operation::kSync || !sync_error_due_) return SQLITE_OK;
      sync_error_due_ = false;
      return SQLITE_IOERR_FSYNC;
    case Fault::kFullDisk:
      return operation == Operation::kWrite ? SQLITE_FULL : SQLITE_OK;
    case Fault::kPowerLoss:
      return SQLITE_IOERR;
  }
  return SQLITE_OK;
}

FaultyVfs::FileState* FaultyVfs::Opened(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto [found, fresh] = files_.try_emplace(path);
  FileState& state = found->second;
  if (fresh) {
    std::ifstream file(path, std::ios::binary);
    state.durable.assign(std::istreambuf_iterator<char>(file), {});
    state.exists = !state.durable.empty();
  }
  return &state;
}

void FaultyVfs::Record(FileState& state, Change change) {
  const std::lock_guard lock(mutex_);
  state.pending.push_back(std::move(change));
}

void FaultyVfs::Synced(FileState& state) {
  const std::lock_guard lock(mutex_);
  for (const Change& change : state.pending) Apply(state.durable, change);
  state.pending.clear();
  state.exists = true;
}

void FaultyVfs::Deleted(const std::string& path) {
  const std::lock_guard lock(mutex_);
  // The entry stays: a file handle may point at it.
  if (const auto found = files_.find(path); found != files_.end()) found->second = FileState();
}

void FaultyVfs::LosePower(uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  for (auto& [path, state] : files_) {
    for (const Change& change : state.pending) {
      if (seed == 0 || random() % 2 == 0) continue;
      Apply(state.durable, change);
      state.exists = true;
    }
    state.pending.clear();
    if (state.exists) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << state.durable;
    } else {
      std::filesystem::remove(path);
    }
    std::filesystem::remove(path + "-shm");
  }
  files_.clear();
}

void FaultyVfs::Apply(std::string& content, const Change& change) {
  const auto offset = static_cast<size_t>(change.offset);
  if (change.truncate) {
    if (offset < content.size()) content.resize(offset);
    return;
  }
  if (content.size() < offset + change.bytes.size()) content.resize(offset + change.bytes.size());
  content.replace(offset, change.bytes.size(), change.bytes);
}

}  // namespace starling::sql
