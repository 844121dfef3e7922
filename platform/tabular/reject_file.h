// Where bad rows go: counted by reason, and written to a CSV file that a person mends the data
// with.
//
//   STARLING_ASSIGN_OR_RETURN(auto rejects, RejectFile::Create("import.rejects.csv"));
//   STARLING_RETURN_IF_ERROR(rejects->Add(source->bad_row()));
//   STARLING_RETURN_IF_ERROR(rejects->Close());
//   fmt::print("{}", rejects->summary().Text());
//
// The file has the columns file, line, column, value, reason; a byte within the line stands in the
// reason. It is made when the first row comes, so that a clean import leaves none, and holds
// max_rows at most: further ones are counted only, and the summary says so.
//
// RESOURCE_EXHAUSTED when the disk is full, else as the file system says. Not thread-safe.
#pragma once

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "platform/tabular/row_source.h"

namespace starling::tabular {

class RejectSummary {
 public:
  void Add(const BadRow& row);
  int64_t total() const { return total_; }
  int64_t count(Fault fault) const { return counts_[static_cast<size_t>(fault)]; }

  // "" for none, else a line a reason, the commonest first:
  //   12 wrong value, first: orders.csv line 7, column 'price', 'abc': expected a number
  std::string Text() const;

 private:
  int64_t total_ = 0;
  std::array<int64_t, kFaultCount> counts_{};
  std::array<BadRow, kFaultCount> first_;
};

class RejectFile {
 public:
  static constexpr int64_t kMaxRows = 100'000;

  // Fails at once when the folder cannot be written.
  static StatusOr<std::unique_ptr<RejectFile>> Create(std::string path,
                                                      int64_t max_rows = kMaxRows);
  ~RejectFile();
  RejectFile(const RejectFile&) = delete;
  RejectFile& operator=(const RejectFile&) = delete;

  Status Add(const BadRow& row);
  // Everything is in the file when it gives OK. Further rows are a new file's.
  Status Close();

  const RejectSummary& summary() const { return summary_; }
  // Rows that are in the file; fewer than summary().total() when it is full.
  int64_t written() const { return written_; }
  const std::string& path() const { return path_; }

 private:
  RejectFile(std::string path, int64_t max_rows) : path_(std::move(path)), max_rows_(max_rows) {}
  Status Write(const std::string& text);

  const std::string path_;
  const int64_t max_rows_;
  std::FILE* file_ = nullptr;
  int64_t written_ = 0;
  RejectSummary summary_;
};

}  // namespace starling::tabular
