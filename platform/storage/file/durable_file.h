// A file that appears whole or not at all, whatever ends the process or the machine.
//
//   STARLING_ASSIGN_OR_RETURN(DurableFile file, DurableFile::Create(folder / "7.model"));
//   STARLING_RETURN_IF_ERROR(file.Append(bytes));      // as often as wanted
//   STARLING_RETURN_IF_ERROR(file.Commit());           // fsync, rename, fsync of the folder
//
// Until Commit the bytes are in a file beside it, with kUnfinished behind the name; destruction
// without Commit removes it, a crash leaves it for RemoveUnfinished. Calls block: not on an io
// thread. Not thread-safe. Errors: RESOURCE_EXHAUSTED (the disk is full), FAILED_PRECONDITION (may
// not be written), UNAVAILABLE; all name the file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "platform/base/status.h"

namespace starling {

inline constexpr std::string_view kUnfinished = ".unfinished";

class DurableFile {
 public:
  // Replaces an unfinished file of the same name.
  static StatusOr<DurableFile> Create(std::filesystem::path path);
  DurableFile(DurableFile&& other) noexcept
      : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}
  DurableFile& operator=(DurableFile&&) = delete;
  ~DurableFile();

  Status Append(std::string_view bytes);
  // Replaces what has this name.
  Status Commit();

 private:
  DurableFile(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}
  std::filesystem::path Unfinished() const;

  std::filesystem::path path_;
  int file_;
};

// All of it in one call.
Status WriteDurably(const std::filesystem::path& path, std::string_view bytes);

// The whole file. NOT_FOUND names it; RESOURCE_EXHAUSTED above `limit`.
StatusOr<std::string> ReadWhole(const std::filesystem::path& path, uint64_t limit = 16ULL << 30);

// Removes what crashes left in a folder; gives how many.
StatusOr<int> RemoveUnfinished(const std::filesystem::path& folder);

}  // namespace starling
