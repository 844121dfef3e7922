#include "platform/tabular/reject_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <numeric>

#include "platform/base/hash.h"
#include "platform/tabular/byte_source.h"
#include "platform/tabular/csv.h"

namespace starling::tabular {
namespace {

Status WriteStatus(const std::string& path) {
  return errno == ENOSPC ? DiskFull(path) : FileStatus(errno, path, "writing");
}

// Whether the file begins with the bytes that the mark was made of.
bool BeginsAsMarked(const std::string& path, const RejectMark& mark) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             std::fclose);
  if (file == nullptr) return false;
  std::array<char, 1 << 16> piece{};
  uint32_t checksum = 0;
  for (auto left = static_cast<size_t>(mark.bytes); left > 0;) {
    const size_t got = std::fread(piece.data(), 1, std::min(left, piece.size()), file.get());
    if (got == 0) return false;
    checksum = Crc32c({piece.data(), got}, checksum);
    left -= got;
  }
  return checksum == mark.checksum;
}

}  // namespace

void RejectSummary::Add(const BadRow& row) { Add(row, 1); }

void RejectSummary::Add(const BadRow& first, int64_t count) {
  const auto fault = static_cast<size_t>(first.fault);
  if (counts_[fault] == 0) first_[fault] = first;
  counts_[fault] += count;
  total_ += count;
}

std::string RejectSummary::Text() const {
  std::array<size_t, kFaultCount> order{};
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [this](size_t a, size_t b) { return counts_[a] > counts_[b]; });
  std::string text;
  for (const size_t fault : order) {
    if (counts_[fault] == 0) break;
    const BadRow& first = first_[fault];
    text += fmt::format("{} {}, first: {} line {}", counts_[fault],
                        FaultName(static_cast<Fault>(fault)), first.source, first.line);
    if (!first.column.empty()) text += fmt::format(", column '{}'", first.column);
    if (!first.value.empty()) text += fmt::format(", '{}'", first.value);
    text += fmt::format(": {}\n", first.reason);
  }
  return text;
}

StatusOr<std::unique_ptr<RejectFile>> RejectFile::Create(std::string path, int64_t max_rows) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const std::string checked = folder.empty() ? "." : folder.string();
  if (::access(checked.c_str(), W_OK) != 0) {
    return FileStatus(errno, checked, "writing rejected rows to");
  }
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return InvalidArgument("'{}' is a folder; name a file for rejected rows", path);
  }
  std::filesystem::remove(path, error);  // of an import before
  if (error) return FileStatus(error.value(), path, "removing");
  return std::unique_ptr<RejectFile>(new RejectFile(std::move(path), max_rows));
}

StatusOr<std::unique_ptr<RejectFile>> RejectFile::Resume(std::string path, RejectMark mark,
                                                         int64_t max_rows) {
  if (mark.bytes == 0) {
    STARLING_ASSIGN_OR_RETURN(auto made, Create(std::move(path), max_rows));
    made->mark_ = std::move(mark);
    return made;
  }
  if (!BeginsAsMarked(path, mark)) {
    return FailedPrecondition(
        "'{}' does not hold the {} rejected rows that it held when the import was cut; put the "
        "file of then there, or begin anew",
        path, mark.rows);
  }
  if (::truncate(path.c_str(), mark.bytes) != 0) return FileStatus(errno, path, "cutting");
  auto resumed = std::unique_ptr<RejectFile>(new RejectFile(std::move(path), max_rows));
  resumed->mark_ = std::move(mark);
  return resumed;
}

RejectFile::~RejectFile() {
  if (file_ != nullptr) std::fclose(file_);
}

Status RejectFile::Write(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) return WriteStatus(path_);
  mark_.bytes += static_cast<int64_t>(text.size());
  mark_.checksum = Crc32c(text, mark_.checksum);
  return OkStatus();
}

Status RejectFile::Add(const BadRow& row) {
  mark_.summary.Add(row);
  if (mark_.rows >= max_rows_) return OkStatus();
  if (file_ == nullptr) {
    file_ = std::fopen(path_.c_str(), mark_.rows == 0 ? "we" : "ae");
    if (file_ == nullptr) return WriteStatus(path_);
    if (mark_.rows == 0) STARLING_RETURN_IF_ERROR(Write("file,line,column,value,reason\r\n"));
  }
  const std::string line = fmt::format("{}", row.line);
  std::string reason = row.reason;
  if (row.byte > 0) reason = fmt::format("byte {}: {}", row.byte, reason);
  std::string text;
  AppendCsvRow({row.source, line, row.column, row.value, reason}, text);
  STARLING_RETURN_IF_ERROR(Write(text));
  ++mark_.rows;
  return OkStatus();
}

Status RejectFile::Flush() {
  if (file_ == nullptr || std::fflush(file_) == 0) return OkStatus();
  return WriteStatus(path_);
}

Status RejectFile::Close() {
  if (file_ == nullptr) return OkStatus();
  std::FILE* const file = file_;
  file_ = nullptr;
  const bool flushed = std::fflush(file) == 0;
  Status status = flushed ? OkStatus() : WriteStatus(path_);
  if (std::fclose(file) != 0 && status.ok()) return WriteStatus(path_);
  return status;
}

}  // namespace starling::tabular
