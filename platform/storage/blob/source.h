// Bytes to put, which can be read more than once: their SHA-256 comes first, and a part that failed
// on its way is sent again. What comes as a stream is written to a file before.
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "platform/base/status.h"
#include "platform/storage/file/mapped_file.h"

namespace starling::blob {

class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  // `size` bytes from `offset`, which are there; good until the next call.
  virtual StatusOr<std::string_view> Read(uint64_t offset, size_t size) = 0;
};

// What is in memory, and stays there meanwhile.
class Bytes final : public Source {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  StatusOr<std::string_view> Read(uint64_t offset, size_t size) override {
    return bytes_.substr(offset, size);
  }

 private:
  const std::string_view bytes_;
};

// A file that nobody writes into meanwhile.
class FileSource final : public Source {
 public:
  // NOT_FOUND, or why it cannot be read.
  static StatusOr<FileSource> Open(const std::filesystem::path& path) {
    STARLING_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
    return FileSource(std::move(file));
  }
  uint64_t size() const override { return file_->bytes().size(); }
  StatusOr<std::string_view> Read(uint64_t offset, size_t size) override {
    const std::span<const std::byte> part = file_->bytes().subspan(offset, size);
    return std::string_view(reinterpret_cast<const char*>(part.data()), part.size());
  }

 private:
  explicit FileSource(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}
  std::shared_ptr<const MappedFile> file_;
};

}  // namespace starling::blob
