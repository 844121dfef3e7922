#include "platform/tabular/reject_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <numeric>

#include "platform/tabular/byte_source.h"
#include "platform/tabular/csv.h"

namespace starling::tabular {
namespace {

Status WriteStatus(const std::string& path) {
  return errno == ENOSPC ? DiskFull(path) : FileStatus(errno, path, "writing");
}

}  // namespace

void RejectSummary::Add(const BadRow& row) {
  const auto fault = static_cast<size_t>(row.fault);
  if (counts_[fault]++ == 0) first_[fault] = row;
  ++total_;
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

RejectFile::~RejectFile() {
  if (file_ != nullptr) std::fclose(file_);
}

Status RejectFile::Write(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) == text.size()) return OkStatus();
  return WriteStatus(path_);
}

Status RejectFile::Add(const BadRow& row) {
  summary_.Add(row);
  if (written_ >= max_rows_) return OkStatus();
  if (file_ == nullptr) {
    file_ = std::fopen(path_.c_str(), written_ == 0 ? "we" : "ae");
    if (file_ == nullptr) return WriteStatus(path_);
    if (written_ == 0) STARLING_RETURN_IF_ERROR(Write("file,line,column,value,reason\r\n"));
  }
  const std::string line = fmt::format("{}", row.line);
  std::string reason = row.reason;
  if (row.byte > 0) reason = fmt::format("byte {}: {}", row.byte, reason);
  std::string text;
  AppendCsvRow({row.source, line, row.column, row.value, reason}, text);
  STARLING_RETURN_IF_ERROR(Write(text));
  ++written_;
  return OkStatus();
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
