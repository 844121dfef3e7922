#include "platform/tabular/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "platform/tabular/zip.h"

namespace starling::tabular {
namespace {

class PlainFile final : public ByteSource {
 public:
  PlainFile(std::string path, int file, uint64_t size)
      : ByteSource(std::move(path)), file_(file), size_(size) {}
  ~PlainFile() override { ::close(file_); }

  StatusOr<size_t> Read(std::span<char> into) override {
    for (;;) {
      const ssize_t read = ::read(file_, into.data(), into.size());
      if (read >= 0) {
        done_ += static_cast<uint64_t>(read);
        return static_cast<size_t>(read);
      }
      if (errno != EINTR) return FileStatus(errno, name(), "reading");
    }
  }
  Status Rewind() override {
    done_ = 0;
    if (::lseek(file_, 0, SEEK_SET) < 0) return FileStatus(errno, name(), "seeking in");
    return OkStatus();
  }
  StatusOr<uint64_t> Skip(uint64_t count) override {
    count = std::min(count, size_ - std::min(done_, size_));
    if (::lseek(file_, static_cast<off_t>(count), SEEK_CUR) < 0) {
      return FileStatus(errno, name(), "seeking in");
    }
    done_ += count;
    return count;
  }
  uint64_t bytes_done() const override { return done_; }
  uint64_t bytes_total() const override { return std::max(size_, done_); }

 private:
  const int file_;
  const uint64_t size_;
  uint64_t done_ = 0;
};

class Memory final : public ByteSource {
 public:
  Memory(std::string_view text, std::string name, size_t most)
      : ByteSource(std::move(name)), text_(text), most_(most) {}

  StatusOr<size_t> Read(std::span<char> into) override {
    const size_t count = std::min({into.size(), most_, text_.size() - at_});
    if (count > 0) std::memcpy(into.data(), text_.data() + at_, count);
    at_ += count;
    return count;
  }
  Status Rewind() override {
    at_ = 0;
    return OkStatus();
  }
  StatusOr<uint64_t> Skip(uint64_t count) override {
    count = std::min<uint64_t>(count, text_.size() - at_);
    at_ += count;
    return count;
  }
  uint64_t bytes_done() const override { return at_; }
  uint64_t bytes_total() const override { return text_.size(); }

 private:
  const std::string_view text_;
  const size_t most_;
  size_t at_ = 0;
};

}  // namespace

Status FileStatus(int error, std::string_view path, std::string_view doing) {
  const std::string message = std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return NotFound("{} '{}': {}; give the path of a file that exists", doing, path, message);
    case EACCES:
    case EPERM:
      return PermissionDenied("{} '{}': {}; make it readable for this user", doing, path, message);
    default:
      return Unavailable("{} '{}': {}", doing, path, message);
  }
}

StatusOr<uint64_t> ByteSource::Skip(uint64_t count) {
  std::vector<char> dropped(std::min<uint64_t>(count, 64 << 10));
  uint64_t skipped = 0;
  while (skipped < count) {
    const std::span<char> into(dropped.data(), std::min<uint64_t>(dropped.size(), count - skipped));
    STARLING_ASSIGN_OR_RETURN(const size_t read, Read(into));
    if (read == 0) break;
    skipped += read;
  }
  return skipped;
}

StatusOr<std::unique_ptr<ByteSource>> OpenPlainFile(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileStatus(errno, path, "opening");
  struct stat facts {};
  if (::fstat(file, &facts) != 0) {
    const Status status = FileStatus(errno, path, "looking at");
    ::close(file);
    return status;
  }
  if (!S_ISREG(facts.st_mode)) {
    ::close(file);
    return InvalidArgument("'{}' is no regular file; give the path of a file", path);
  }
  ::posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  return std::make_unique<PlainFile>(path, file, static_cast<uint64_t>(facts.st_size));
}

std::unique_ptr<ByteSource> BytesOf(std::string_view text, std::string name, size_t most) {
  return std::make_unique<Memory>(text, std::move(name), most);
}

StatusOr<std::unique_ptr<ByteSource>> OpenBytes(std::string_view location) {
  std::unique_ptr<ByteSource> bytes;
  if (const std::optional<ZipLocation> zip = ParseZipLocation(location)) {
    STARLING_ASSIGN_OR_RETURN(bytes, OpenZipMember(*zip));
  } else {
    STARLING_ASSIGN_OR_RETURN(bytes, OpenPlainFile(std::string(location)));
  }
  return Decompressed(std::move(bytes));
}

}  // namespace starling::tabular
