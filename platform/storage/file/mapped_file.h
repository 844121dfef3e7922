// A file's bytes where they lie, read into memory page by page as they are looked at.
//
//   STARLING_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
//   Recommender::Open(file->bytes(), file);          // holds the mapping as long as it lives
//
// Replace a mapped file by renaming another over it, never by writing into it: the mapping keeps
// the old one, also after it was removed. Thread-safe. Open blocks for microseconds; the first look
// at a page may wait for the disk.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "platform/base/status.h"

namespace starling {

class MappedFile {
 public:
  // NOT_FOUND, or why it cannot be read.
  static StatusOr<std::shared_ptr<const MappedFile>> Open(const std::filesystem::path& path);
  MappedFile(const std::byte* bytes, size_t size) : bytes_(bytes), size_(size) {}
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {bytes_, size_}; }

 private:
  const std::byte* bytes_;  // nullptr for an empty file
  size_t size_;
};

}  // namespace starling
