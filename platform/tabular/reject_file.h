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
// An import that was cut goes on with the file of before. It keeps mark() with its position, after
// a Flush; given to Resume, the file is cut to what it held then, so that a row which is read once
// more is told once.
//
// RESOURCE_EXHAUSTED when the disk is full, else as the file system says. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
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
  // The first row of that fault; an empty one when there is none.
  const BadRow& first(Fault fault) const { return first_[static_cast<size_t>(fault)]; }
  // `count` rows of first.fault, of which no more is known than the first.
  void Add(const BadRow& first, int64_t count);

  // "" for none, else a line a reason, the commonest first:
  //   12 wrong value, first: orders.csv line 7, column 'price', 'abc': expected a number
  std::string Text() const;

 private:
  int64_t total_ = 0;
  std::array<int64_t, kFaultCount> counts_{};
  std::array<BadRow, kFaultCount> first_;
};

// What a reject file held at a moment. Costs a kilobyte at most.
struct RejectMark {
  int64_t bytes = 0;
  int64_t rows = 0;
  uint32_t checksum = 0;  // CRC-32C of the bytes
  RejectSummary summary;
};

class RejectFile {
 public:
  static constexpr int64_t kMaxRows = 100'000;

  // Fails at once when the folder cannot be written.
  static StatusOr<std::unique_ptr<RejectFile>> Create(std::string path,
                                                      int64_t max_rows = kMaxRows);
  // Goes on with the file as it was at `mark`. FAILED_PRECONDITION, and nothing is touched, when
  // its first bytes are not those: it was removed, edited, or is another import's by now.
  static StatusOr<std::unique_ptr<RejectFile>> Resume(std::string path, RejectMark mark,
                                                      int64_t max_rows = kMaxRows);
  ~RejectFile();
  RejectFile(const RejectFile&) = delete;
  RejectFile& operator=(const RejectFile&) = delete;

  Status Add(const BadRow& row);
  // Hands every row to the system, so that the file survives the end of the process.
  Status Flush();
  // Everything is in the file when it gives OK. Further rows are a new file's.
  Status Close();

  const RejectSummary& summary() const { return mark_.summary; }
  const RejectMark& mark() const { return mark_; }
  // Rows that are in the file; fewer than summary().total() when it is full.
  int64_t written() const { return mark_.rows; }
  const std::string& path() const { return path_; }

 private:
  RejectFile(std::string path, int64_t max_rows) : path_(std::move(path)), max_rows_(max_rows) {}
  Status Write(const std::string& text);

  const std::string path_;
  const int64_t max_rows_;
  std::FILE* file_ = nullptr;
  RejectMark mark_;
};

}  // namespace starling::tabular
