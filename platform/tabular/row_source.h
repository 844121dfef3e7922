// The port behind which every foreign file looks the same: rows of typed cells, one after another.
//
//   STARLING_ASSIGN_OR_RETURN(auto source, OpenRows("orders.csv.zst"));
//   const std::vector<std::string>& columns = source->columns();    // known before the first row
//   for (;;) {
//     STARLING_ASSIGN_OR_RETURN(const Read read, source->Next());
//     if (read == Read::kEnd) break;
//     if (read == Read::kBadRow) { rejects.Add(source->bad_row()); continue; }
//     Use(source->row()[0].text());
//     progress_bar.Show(source->progress().Fraction());
//   }
//
// A bad row (too few fields, a quote that is never closed, bytes that are no UTF-8, JSON syntax)
// does not end the reading: it is given out with what was wrong, and the next row follows. A status
// is for what ends it: the file cannot be read, is damaged (DATA_LOSS), or is no such file.
//
// Memory is bounded by the adapter's options, whatever the file: a row beyond its limit is a bad
// row. Views (the row, its cells) live until the next call of Next; RowBatch keeps rows longer.
//
// Resume: position() is where the next row begins. Given as `start` to the same file again, with
// the same options, the reading goes on there. What that costs:
//   plain CSV and JSON Lines     a seek, whatever the offset
//   .gz, .zst, members of a zip  decompressing what stands before (about 0.3 to 1 GB/s), no parsing
//   Parquet                      nothing for whole row groups, decoding (about 20 to 70 M cells/s)
//                                inside the one where it starts
//   a Position of a row alone    (offset 0) CSV and JSON Lines: parsing all rows before it
//
// Not thread-safe: one thread at a time reads a source. Calls block on the disk: they belong in the
// blocking pool.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/tabular/cell.h"

namespace starling::tabular {

// Where a row begins. Rows are counted without the header, bad ones too, blank lines not.
struct Position {
  uint32_t file = 0;    // of several files
  int64_t row = 0;      // rows before it in its file
  int64_t line = 0;     // lines before it in its file
  uint64_t offset = 0;  // bytes before it in its file, decompressed; 0: not known
  bool operator==(const Position&) const = default;
};

// "0:1200:1201:93811", to be kept with what was imported up to there.
std::string PositionText(const Position& position);
std::optional<Position> ParsePosition(std::string_view text);

struct Progress {
  uint64_t bytes_done = 0;  // of the files as they lie on the disk: compressed
  uint64_t bytes_total = 0;
  int64_t rows_done = 0;              // good and bad
  std::optional<int64_t> rows_total;  // where the file says it (Parquet)

  // 0 to 1, never beyond.
  double Fraction() const {
    const bool by_rows = rows_total.value_or(0) > 0;
    const double done = static_cast<double>(by_rows ? rows_done : bytes_done);
    const double total = static_cast<double>(by_rows ? *rows_total : bytes_total);
    return total > 0 ? std::min(done / total, 1.0) : 1.0;
  }
};

struct Row {
  std::span<const Cell> cells;  // as many as there are columns
  int64_t number = 0;           // from 1, in its file
  int64_t line = 0;             // from 1: where it begins; Parquet has none: the row's number
  const Cell& operator[](size_t column) const { return cells[column]; }
};

enum class Fault : uint8_t {
  kFieldCount,    // more or fewer fields than columns
  kQuote,         // a quote is not closed, or text follows a closed one
  kUtf8,          // bytes that are no UTF-8
  kTooLarge,      // beyond the limit of a row
  kSyntax,        // no JSON, or no object
  kDuplicateKey,  // a JSON key twice in a row
  kUnknownKey,    // a JSON key that is no column
  kValue,         // not what the field's type wants
  kMissing,       // a required field is empty
};
inline constexpr size_t kFaultCount = 9;

// "wrong number of fields", "quote", "not UTF-8", ...: for a summary.
std::string_view FaultName(Fault fault);

// A row that cannot be used.
struct BadRow {
  std::string source;  // the file
  int64_t number = 0;  // as in Row
  int64_t line = 0;    // where the fault is, which may be below where the row begins
  std::string column;  // its name; "" when it is about the whole row
  int64_t byte = 0;    // from 1, in that line; 0: not known
  std::string value;   // what was there, as ShownValue cuts it
  Fault fault = Fault::kSyntax;
  std::string reason;  // for a person: "7 of 8 fields"
};

enum class Read : uint8_t { kRow, kBadRow, kEnd };

class RowSource {
 public:
  virtual ~RowSource() = default;
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;

  // The file being read, as errors name it.
  virtual const std::string& name() const = 0;
  const std::vector<std::string>& columns() const { return columns_; }
  // The first column of this very name.
  std::optional<size_t> FindColumn(std::string_view name) const;

  // Reads one row. After kEnd it stays kEnd; after an error the source is of no more use.
  virtual StatusOr<Read> Next() = 0;
  // What people find a column by in the file: its own name there.
  virtual const std::string& NameInFile(size_t column) const { return columns()[column]; }
  const Row& row() const { return row_; }             // after kRow
  const BadRow& bad_row() const { return bad_row_; }  // after kBadRow

  // Where the row begins that Next will read.
  virtual Position position() const = 0;
  virtual Progress progress() const = 0;

 protected:
  RowSource() = default;
  std::vector<std::string> columns_;
  Row row_;
  BadRow bad_row_;
};

}  // namespace starling::tabular
