// One row of CSV in a piece of bytes: its fields, or what is wrong with it. No I/O, no limits.
//
//   CsvRowParser parser(',');
//   parser.Begin(bytes);                               // after the bytes came or moved
//   const CsvRow row = parser.Parse(begin, end, last);
//
// States of a field, as parsed:
//   start   -> '"': quoted             else: plain
//   plain   -> delimiter, newline: ends the field; a quote is text
//   quoted  -> '""': a quote as text   '"': closed
//   closed  -> delimiter, newline: ends the field; anything else is a fault
#pragma once

#include <cstdint>
#include <vector>

#include "platform/tabular/cell.h"
#include "platform/tabular/csv_scan.h"

namespace starling::tabular {

struct CsvRow {
  enum Outcome {
    kComplete,
    kBlank,        // an empty line
    kNeedsMore,    // the bytes end within it
    kOpenQuote,    // the text ends within a quoted field, which begins at `fault`
    kBehindQuote,  // at `fault` stands text behind a closing quote of a field opened at `opened`
  };
  Outcome outcome = kComplete;
  char* end = nullptr;     // kComplete, kBlank: where the next row begins
  char* fault = nullptr;   // else see above
  char* opened = nullptr;  // kNeedsMore: the quoted field that is open, if one is
};

class CsvRowParser {
 public:
  explicit CsvRowParser(char delimiter) : delimiter_(delimiter), scan_(delimiter) {}

  // The next row begins here; needed again whenever it is not where the last one ended.
  void Begin(const char* row) { scan_.Begin(row); }

  // `last`: nothing follows `end`. 64 readable bytes must stand behind it. Of a complete row the
  // escaped fields are unescaped in place.
  CsvRow Parse(char* begin, char* end, bool last);

  // Of a complete row.
  const std::vector<Cell>& cells() const { return cells_; }
  // Newlines within its quoted fields.
  int64_t inner_newlines() const { return inner_newlines_; }

 private:
  void UnescapeFields();

  char delimiter_;
  DelimiterScan scan_;
  std::vector<Cell> cells_;
  std::vector<size_t> escaped_;  // cells with doubled quotes
  int64_t inner_newlines_ = 0;
};

}  // namespace starling::tabular
