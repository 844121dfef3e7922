#include "platform/storage/file/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace starling {

StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return NotFound("{} is not there", path.string());
  struct stat about {};
  if (file < 0 || fstat(file, &about) != 0) {
    const int error = errno;
    if (file >= 0) close(file);
    return StorageFailed(Unavailable("{} cannot be read: {}", path.string(),
                                     std::generic_category().message(error)));
  }
  const auto size = static_cast<size_t>(about.st_size);
  void* mapped = nullptr;
  if (size > 0) mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  const int error = errno;
  close(file);
  if (mapped == MAP_FAILED) {
    return StorageFailed(Unavailable("{} cannot be mapped: {}", path.string(),
                                     std::generic_category().message(error)));
  }
  return std::make_shared<const MappedFile>(static_cast<const std::byte*>(mapped), size);
}

MappedFile::~MappedFile() {
  if (bytes_ != nullptr) munmap(const_cast<std::byte*>(bytes_), size_);
}

}  // namespace starling
