// The folder that holds a process' state, and the lock that keeps a second process out of it.
//
//   StatusOr<DataFolder> folder = DataFolder::Open("data", "starling up");
//   folder->Path("catalog");   // data/catalog, made when absent
//
// Processes of a topology may share the folder: each then locks what it owns in it,
// DATA/catalog/LOCK.
//
// The lock (flock on DATA/LOCK) ends with the process, however it ends; the file says who holds it.
// A second process is refused with that. Not thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::host {

class DataFolder {
 public:
  enum class Sharing { kAlone, kShared };
  // Makes the folder when absent. FAILED_PRECONDITION when another process holds it (names it) or
  // when it cannot be written (names the reason).
  static StatusOr<DataFolder> Open(const std::filesystem::path& root, std::string_view holder,
                                   Sharing sharing = Sharing::kAlone);
  // Who holds a folder now: "starling up, process 4711, since 2026-01-02T03:04:05Z"; "" when nobody
  // does.
  static std::string Holder(const std::filesystem::path& root);

  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  const std::filesystem::path& root() const { return root_; }
  // A folder in it for one owner. FAILED_PRECONDITION when it is shared and another process has
  // that one.
  StatusOr<std::filesystem::path> Path(std::string_view owner) const;

 private:
  DataFolder(std::filesystem::path root, std::string holder, Sharing sharing, int lock)
      : root_(std::move(root)), holder_(std::move(holder)), sharing_(sharing), locks_{{"", lock}} {}
  std::filesystem::path root_;
  std::string holder_;
  Sharing sharing_;
  mutable std::map<std::string, int, std::less<>> locks_;  // by owner; "" is the whole
};

}  // namespace starling::host
