#include "platform/host/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "platform/base/clock.h"

namespace starling::host {
namespace {

std::string ErrorText(int error) { return std::generic_category().message(error); }

std::string FirstLine(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Locks the file and writes in it who has it. `what` names what is locked.
StatusOr<int> Lock(const std::filesystem::path& path, std::string_view what, int how,
                   std::string_view holder) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return FailedPrecondition(
        "the data folder {} cannot be written: {}; make it writable or choose another with --data",
        what, ErrorText(errno));
  }
  if (flock(file, how | LOCK_NB) != 0) {
    close(file);
    return FailedPrecondition(
        "the data folder {} is in use by {}; stop that process, or choose another with --data",
        what, FirstLine(path));
  }
  const std::string line = fmt::format("{}, process {}, since {}\n", holder, getpid(),
                                       FormatRfc3339(SystemClock().Now()));
  if (ftruncate(file, 0) != 0 ||
      pwrite(file, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    const int reason = errno;
    close(file);
    return FailedPrecondition(
        "the data folder {} cannot be written: {}; free space or choose another with --data", what,
        ErrorText(reason));
  }
  return file;
}

}  // namespace

StatusOr<DataFolder> DataFolder::Open(const std::filesystem::path& root, std::string_view holder,
                                      Sharing sharing) {
  std::error_code error;
  std::filesystem::create_directories(root, error);
  if (error) {
    return FailedPrecondition("the data folder {} cannot be made: {}; choose another with --data",
                              root.string(), error.message());
  }
  STARLING_ASSIGN_OR_RETURN(
      const int lock,
      Lock(root / "LOCK", root.string(), sharing == Sharing::kAlone ? LOCK_EX : LOCK_SH, holder));
  return DataFolder(root, std::string(holder), sharing, lock);
}

std::string DataFolder::Holder(const std::filesystem::path& root) {
  const std::filesystem::path path = root / "LOCK";
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  const bool held = flock(file, LOCK_EX | LOCK_NB) != 0;
  close(file);
  return held ? FirstLine(path) : "";
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : root_(std::move(other.root_)),
      holder_(std::move(other.holder_)),
      sharing_(other.sharing_),
      locks_(std::move(other.locks_)) {
  other.locks_.clear();
}

DataFolder::~DataFolder() {
  for (const auto& [owner, lock] : locks_) close(lock);
}

StatusOr<std::filesystem::path> DataFolder::Path(std::string_view owner) const {
  std::filesystem::path path = root_ / std::string(owner);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return FailedPrecondition("the folder {} cannot be made: {}", path.string(), error.message());
  if (sharing_ == Sharing::kShared && !locks_.contains(owner)) {
    STARLING_ASSIGN_OR_RETURN(const int lock, Lock(path / "LOCK", path.string(), LOCK_EX, holder_));
    locks_.emplace(owner, lock);
  }
  return path;
}

}  // namespace starling::host
