// The folder that holds a process' state, and the lock that keeps a second process out of it.
//
//   StatusOr<DataFolder> folder = DataFolder::Open("data", "starling up");
//   folder->Path("catalog");   // data/catalog, made when absent
//
// The lock (flock on DATA/LOCK) ends with the process, however it ends; the file says who holds it.
// A second process is refused with that. Not thread-safe to open; then read-only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::host {

class DataFolder {
 public:
  // Makes the folder when absent. FAILED_PRECONDITION when another process holds it (names it) or
  // when it cannot be written (names the reason).
  static StatusOr<DataFolder> Open(const std::filesystem::path& root, std::string_view holder);
  // Who holds a folder now: "starling up, process 4711, since 2026-01-02T03:04:05Z"; "" when nobody
  // does.
  static std::string Holder(const std::filesystem::path& root);

  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  const std::filesystem::path& root() const { return root_; }
  // A folder in it for one owner.
  StatusOr<std::filesystem::path> Path(std::string_view owner) const;

 private:
  DataFolder(std::filesystem::path root, int lock) : root_(std::move(root)), lock_(lock) {}
  std::filesystem::path root_;
  int lock_;
};

}  // namespace starling::host
