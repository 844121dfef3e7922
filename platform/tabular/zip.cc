#include "platform/tabular/zip.h"

#include <fcntl.h>
#include <minizip/unzip.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "platform/base/nearest.h"

namespace starling::tabular {
namespace {

constexpr size_t kMaxNameBytes = 4096;

struct CloseZip {
  void operator()(void* zip) const { unzClose(zip); }
};
using Zip = std::unique_ptr<void, CloseZip>;

StatusOr<Zip> OpenZip(const std::string& archive) {
  if (::access(archive.c_str(), R_OK) != 0) return FileStatus(errno, archive, "opening");
  Zip zip(unzOpen64(archive.c_str()));
  if (zip == nullptr) {
    return InvalidArgument("'{}' is no zip archive, or its end is missing; get the file again",
                           archive);
  }
  return zip;
}

class ZipMember final : public ByteSource {
 public:
  ZipMember(Zip zip, const ZipLocation& location, uint64_t size)
      : ByteSource(location.archive + "!" + location.member), zip_(std::move(zip)), size_(size) {}
  ~ZipMember() override { unzCloseCurrentFile(zip_.get()); }

  StatusOr<size_t> Read(std::span<char> into) override {
    if (into.empty() || ended_) return 0;
    const auto most = static_cast<unsigned>(std::min<size_t>(into.size(), 1 << 30));
    const int read = unzReadCurrentFile(zip_.get(), into.data(), most);
    if (read < 0) return Damaged();
    ended_ = read == 0;
    if (ended_ && unzCloseCurrentFile(zip_.get()) == UNZ_CRCERROR) return Damaged();
    done_ += static_cast<uint64_t>(read);
    return static_cast<size_t>(read);
  }
  Status Rewind() override {
    done_ = 0;
    ended_ = false;
    unzCloseCurrentFile(zip_.get());
    return unzOpenCurrentFile(zip_.get()) == UNZ_OK ? OkStatus() : Damaged();
  }
  uint64_t bytes_done() const override { return done_; }
  uint64_t bytes_total() const override { return size_; }

 private:
  Status Damaged() const {
    return DataLoss("'{}' is damaged near byte {} of {}; get the archive again", name(), done_,
                    size_);
  }

  Zip zip_;
  const uint64_t size_;
  uint64_t done_ = 0;
  bool ended_ = false;
};

}  // namespace

std::optional<ZipLocation> ParseZipLocation(std::string_view location) {
  for (const std::string_view suffix : {".whl!", ".zip!"}) {
    const size_t at = location.find(suffix);
    if (at != std::string_view::npos && at > 0) {
      const size_t mark = at + suffix.size() - 1;
      return ZipLocation{std::string(location.substr(0, mark)),
                         std::string(location.substr(mark + 1))};
    }
  }
  return std::nullopt;
}

StatusOr<std::vector<std::string>> ListZip(const std::string& archive) {
  STARLING_ASSIGN_OR_RETURN(const Zip zip, OpenZip(archive));
  std::vector<std::string> names;
  int result = unzGoToFirstFile(zip.get());
  for (; result == UNZ_OK; result = unzGoToNextFile(zip.get())) {
    std::string name(kMaxNameBytes, '\0');
    unz_file_info64 facts;
    if (unzGetCurrentFileInfo64(zip.get(), &facts, name.data(), name.size(), nullptr, 0, nullptr,
                                0) != UNZ_OK) {
      break;
    }
    name.resize(std::min<size_t>(facts.size_filename, name.size()));
    if (!name.ends_with('/')) names.push_back(std::move(name));
  }
  unz_global_info64 all;
  if (result != UNZ_END_OF_LIST_OF_FILE &&
      !(unzGetGlobalInfo64(zip.get(), &all) == UNZ_OK && all.number_entry == 0)) {
    return DataLoss("the list of members of '{}' is damaged; get the archive again", archive);
  }
  return names;
}

StatusOr<std::unique_ptr<ByteSource>> OpenZipMember(const ZipLocation& location) {
  STARLING_ASSIGN_OR_RETURN(Zip zip, OpenZip(location.archive));
  if (unzLocateFile(zip.get(), location.member.c_str(), 1) != UNZ_OK) {
    STARLING_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListZip(location.archive));
    return NotFound("'{}' has no member '{}'{}; `unzip -l` lists its members", location.archive,
                    location.member, DidYouMean(location.member, names));
  }
  unz_file_info64 facts;
  if (unzGetCurrentFileInfo64(zip.get(), &facts, nullptr, 0, nullptr, 0, nullptr, 0) != UNZ_OK) {
    return DataLoss("'{}' is damaged; get the archive again", location.archive);
  }
  if ((facts.flag & 1) != 0) {
    return Unimplemented("'{}!{}' is encrypted; unpack it first", location.archive,
                         location.member);
  }
  const int opened = unzOpenCurrentFile(zip.get());
  if (opened == UNZ_BADZIPFILE && facts.compression_method != 0 && facts.compression_method != 8) {
    return Unimplemented(
        "'{}!{}' is compressed by method {}, read are stored and deflated; "
        "unpack it first",
        location.archive, location.member, facts.compression_method);
  }
  if (opened != UNZ_OK) {
    return DataLoss("'{}!{}' is damaged; get the archive again", location.archive, location.member);
  }
  return std::make_unique<ZipMember>(std::move(zip), location, facts.uncompressed_size);
}

StatusOr<int> CopyToTemporaryFile(ByteSource& bytes) {
  std::error_code error;
  const std::string folder = std::filesystem::temp_directory_path(error).string();
  if (error) return FileStatus(error.value(), "$TMPDIR", "looking for");
  const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) return FileStatus(errno, folder, "making a temporary file in");
  const auto fail = [&](Status status) {
    ::close(file);
    return status;
  };
  std::vector<char> buffer(256 << 10);
  for (;;) {
    const StatusOr<size_t> read = bytes.Read(buffer);
    if (!read.ok()) return fail(read.status());
    if (*read == 0) break;
    for (size_t written = 0; written < *read;) {
      const ssize_t more = ::write(file, buffer.data() + written, *read - written);
      if (more < 0 && errno == EINTR) continue;
      if (more < 0)
        return fail(errno == ENOSPC ? DiskFull(folder) : FileStatus(errno, folder, "writing in"));
      written += static_cast<size_t>(more);
    }
  }
  if (::lseek(file, 0, SEEK_SET) < 0) return fail(FileStatus(errno, folder, "seeking in"));
  return file;
}

}  // namespace starling::tabular
