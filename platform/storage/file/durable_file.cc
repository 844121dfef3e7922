#include "platform/storage/file/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace starling {
namespace {

Status FileError(int error, const std::filesystem::path& path, std::string_view doing) {
  const std::string reason = std::generic_category().message(error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return DiskFull(path.string());
  if (error == ENOENT) return NotFound("{} is not there", path.string());
  if (error == EACCES || error == EROFS || error == EPERM) {
    return StorageFailed(FailedPrecondition("{} cannot be {}: {}; make the folder writable",
                                            path.string(), doing, reason));
  }
  return StorageFailed(Unavailable("{} cannot be {}: {}", path.string(), doing, reason));
}

Status SyncFolder(const std::filesystem::path& folder) {
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return FileError(errno, folder, "opened");
  const int failed = fsync(file) != 0 ? errno : 0;
  close(file);
  return failed == 0 ? OkStatus() : FileError(failed, folder, "synced");
}

}  // namespace

std::filesystem::path DurableFile::Unfinished() const {
  std::filesystem::path unfinished = path_;
  unfinished += kUnfinished;
  return unfinished;
}

StatusOr<DurableFile> DurableFile::Create(std::filesystem::path path) {
  DurableFile created(std::move(path), -1);
  created.file_ =
      open(created.Unfinished().c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  if (created.file_ < 0) return FileError(errno, created.path_, "made");
  return created;
}

DurableFile::~DurableFile() {
  if (file_ < 0) return;
  close(file_);
  unlink(Unfinished().c_str());
}

Status DurableFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, path_, "written");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

Status DurableFile::Commit() {
  if (fsync(file_) != 0) return FileError(errno, path_, "synced");
  if (rename(Unfinished().c_str(), path_.c_str()) != 0) return FileError(errno, path_, "renamed");
  close(std::exchange(file_, -1));
  return SyncFolder(path_.parent_path());
}

Status WriteDurably(const std::filesystem::path& path, std::string_view bytes) {
  STARLING_ASSIGN_OR_RETURN(DurableFile file, DurableFile::Create(path));
  STARLING_RETURN_IF_ERROR(file.Append(bytes));
  return file.Commit();
}

StatusOr<std::string> ReadWhole(const std::filesystem::path& path, uint64_t limit) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileError(errno, path, "read");
  struct stat about {};
  Status status;
  std::string bytes;
  if (fstat(file, &about) != 0) {
    status = FileError(errno, path, "read");
  } else if (static_cast<uint64_t>(about.st_size) > limit) {
    status = ResourceExhausted("{} has {} bytes; at most {} are read", path.string(),
                               static_cast<uint64_t>(about.st_size), limit);
  } else {
    bytes.resize(static_cast<size_t>(about.st_size));
  }
  size_t have = 0;
  while (status.ok() && have < bytes.size()) {
    const ssize_t n = read(file, bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) status = FileError(errno, path, "read");
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  close(file);
  if (!status.ok()) return status;
  bytes.resize(have);
  return bytes;
}

StatusOr<int> RemoveUnfinished(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().native().ends_with(kUnfinished)) found.push_back(entry.path());
  }
  if (error) return FileError(error.value(), folder, "read");
  for (const auto& path : found) {
    if (unlink(path.c_str()) != 0) return FileError(errno, path, "removed");
  }
  return static_cast<int>(found.size());
}

}  // namespace starling
