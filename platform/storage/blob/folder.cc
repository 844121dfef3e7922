#include "platform/storage/blob/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <queue>
#include <system_error>

#include "platform/base/id.h"
#include "platform/storage/blob/sha256.h"

namespace starling::blob {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "stblob01";
constexpr size_t kFooter = 32 + 8 + 8;
constexpr size_t kPiece = 1 << 20;
constexpr std::string_view kNew = ".new-";

Status FileError(int error, const fs::path& path, std::string_view doing) {
  const std::string reason = std::generic_category().message(error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return DiskFull(path.string());
  if (error == EACCES || error == EROFS || error == EPERM) {
    return StorageFailed(FailedPrecondition("{} cannot be {}: {}; make the folder writable",
                                            path.string(), doing, reason));
  }
  return StorageFailed(Unavailable("{} cannot be {}: {}", path.string(), doing, reason));
}

// An open file that is closed in the end, and removed when it has a name to remove.
struct File {
  explicit File(int opened) : descriptor(opened), error(opened < 0 ? errno : 0) {}
  File(const File&) = delete;
  ~File() {
    if (descriptor >= 0) close(descriptor);
    if (!unlinked.empty()) unlink(unlinked.c_str());
  }
  const int descriptor;
  const int error;  // why it is not open
  fs::path unlinked;
};

Status WriteAll(int file, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, path, "written");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

// Up to `size` bytes; fewer at the end of the file.
StatusOr<std::string> ReadAt(int file, uint64_t offset, size_t size, const fs::path& path) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t n =
        pread(file, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(errno, path, "read");
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

std::string FooterOf(std::string_view digest, uint64_t size) {
  std::string footer(digest);
  for (int i = 0; i < 8; ++i) footer += static_cast<char>(size >> (8 * i) & 0xff);
  footer += kMagic;
  return footer;
}

class Folder final : public Store {
 public:
  explicit Folder(fs::path folder) : folder_(std::move(folder)) {}

  Status Open() {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) return FileError(error.value(), folder_, "made");
    std::vector<fs::path> unfinished;
    for (const auto& entry : fs::directory_iterator(folder_, error)) {
      if (entry.path().filename().native().starts_with(kNew)) unfinished.push_back(entry.path());
    }
    if (error) return FileError(error.value(), folder_, "read");
    for (const fs::path& path : unfinished) {
      if (unlink(path.c_str()) != 0 && errno != ENOENT) return FileError(errno, path, "removed");
    }
    return OkStatus();
  }

  StatusOr<About> Put(std::string_view key, Source& source, const PutOptions& options) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    STARLING_RETURN_IF_ERROR(CheckSize(source.size()));
    const fs::path path = PathOf(key);
    const fs::path unfinished = folder_ / (std::string(kNew) + NewId());
    File file(open(unfinished.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    if (file.descriptor < 0) return FileError(file.error, unfinished, "made");
    file.unlinked = unfinished;
    Sha256 sum;
    for (uint64_t at = 0; at < source.size();) {
      const size_t size = static_cast<size_t>(std::min<uint64_t>(kPiece, source.size() - at));
      STARLING_ASSIGN_OR_RETURN(const std::string_view piece, source.Read(at, size));
      sum.Add(piece);
      STARLING_RETURN_IF_ERROR(WriteAll(file.descriptor, piece, path));
      at += size;
    }
    const std::string digest = sum.Digest();
    STARLING_RETURN_IF_ERROR(
        WriteAll(file.descriptor, FooterOf(digest, source.size()), unfinished));
    if (fsync(file.descriptor) != 0) return FileError(errno, path, "synced");
    if (options.only_if_absent) {
      if (link(unfinished.c_str(), path.c_str()) != 0) {
        if (errno == EEXIST) return AlreadyExists("there is a blob '{}' already", key);
        return FileError(errno, path, "named");
      }
    } else {
      if (rename(unfinished.c_str(), path.c_str()) != 0) return FileError(errno, path, "named");
      file.unlinked.clear();
    }
    STARLING_RETURN_IF_ERROR(SyncFolder());
    const std::string hex = ToHex(digest);
    return About{.size = source.size(), .sha256 = hex, .etag = hex};
  }

  StatusOr<About> Head(std::string_view key) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    const File file(open(PathOf(key).c_str(), O_RDONLY | O_CLOEXEC));
    return AboutFile(file, key);
  }

  StatusOr<std::string> Read(std::string_view key, const Range& range) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    const fs::path path = PathOf(key);
    const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    STARLING_ASSIGN_OR_RETURN(const About about, AboutFile(file, key));
    if (!range.etag.empty() && range.etag != about.etag) {
      return Aborted("blob '{}' was replaced; read it from its beginning", key);
    }
    if (range.offset >= about.size) return std::string();
    const uint64_t size = std::min<uint64_t>(range.size, about.size - range.offset);
    return ReadAt(file.descriptor, range.offset, static_cast<size_t>(size), path);
  }

  Status Delete(std::string_view key) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    const fs::path path = PathOf(key);
    if (unlink(path.c_str()) != 0) {
      return errno == ENOENT ? OkStatus() : FileError(errno, path, "removed");
    }
    return SyncFolder();
  }

  StatusOr<Page> List(const ListOptions& options) override {
    STARLING_RETURN_IF_ERROR(CheckList(options));
    std::priority_queue<std::string> first;  // the smallest, one more than fit in a page
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_, error)) {
      std::string key = entry.path().filename().string();
      std::replace(key.begin(), key.end(), '%', '/');
      if (!key.starts_with(options.prefix) || key <= options.after || !CheckKey(key).ok()) continue;
      first.push(std::move(key));
      if (first.size() > options.limit + 1) first.pop();
    }
    if (error) return FileError(error.value(), folder_, "read");
    const bool more = first.size() > options.limit;
    if (more) first.pop();
    Page page;
    if (more) page.next = first.top();
    for (; !first.empty(); first.pop()) {
      struct stat about {};
      if (stat(PathOf(first.top()).c_str(), &about) != 0) continue;  // deleted meanwhile
      const auto size = static_cast<uint64_t>(about.st_size);
      page.entries.push_back({first.top(), size < kFooter ? 0 : size - kFooter});
    }
    std::reverse(page.entries.begin(), page.entries.end());
    return page;
  }

  bool IsShared() const override { return false; }

 private:
  fs::path PathOf(std::string_view key) const {
    std::string name(key);
    std::replace(name.begin(), name.end(), '/', '%');
    return folder_ / name;
  }

  StatusOr<About> AboutFile(const File& file, std::string_view key) const {
    const fs::path path = PathOf(key);
    if (file.descriptor < 0) {
      if (file.error == ENOENT) return NotFound("there is no blob '{}'", key);
      return FileError(file.error, path, "read");
    }
    struct stat about {};
    if (fstat(file.descriptor, &about) != 0) return FileError(errno, path, "read");
    const auto whole = static_cast<uint64_t>(about.st_size);
    const uint64_t size = whole < kFooter ? 0 : whole - kFooter;
    STARLING_ASSIGN_OR_RETURN(const std::string footer,
                              ReadAt(file.descriptor, size, kFooter, path));
    const std::string digest = footer.substr(0, 32);
    if (footer.size() != kFooter || footer != FooterOf(digest, size)) {
      return DataLoss("{} does not end as it was written; restore it", path.string());
    }
    return About{.size = size, .sha256 = ToHex(digest), .etag = ToHex(digest)};
  }

  Status SyncFolder() const {
    const File file(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (file.descriptor < 0) return FileError(file.error, folder_, "opened");
    return fsync(file.descriptor) == 0 ? OkStatus() : FileError(errno, folder_, "synced");
  }

  const fs::path folder_;
};

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenFolder(std::filesystem::path folder) {
  auto opened = std::make_unique<Folder>(std::move(folder));
  STARLING_RETURN_IF_ERROR(opened->Open());
  return opened;
}

}  // namespace starling::blob
