// For tests: everything that a source gives, kept.
#pragma once

#include <string>
#include <vector>

#include "platform/tabular/row_source.h"

namespace starling::tabular {

struct AllRows {
  Status status;                               // OK at the end of the source
  std::vector<std::vector<std::string>> rows;  // cells as Shown
  std::vector<int64_t> lines;                  // of each row
  std::vector<BadRow> bad;
  std::vector<Position> positions;  // after each row, good or bad
};

// "-" for nothing, text as it is, other kinds with their name: "whole number 7".
inline std::string Shown(const Cell& cell) {
  if (cell.is_null()) return "-";
  if (cell.kind() == Cell::Kind::kText) return std::string(cell.text());
  return std::string(KindName(cell.kind())) + " " + CellText(cell);
}

inline AllRows ReadAll(RowSource& source) {
  AllRows all;
  for (;;) {
    const StatusOr<Read> read = source.Next();
    if (!read.ok()) {
      all.status = read.status();
      return all;
    }
    if (*read == Read::kEnd) return all;
    all.positions.push_back(source.position());
    if (*read == Read::kBadRow) {
      all.bad.push_back(source.bad_row());
      continue;
    }
    std::vector<std::string>& row = all.rows.emplace_back();
    for (const Cell& cell : source.row().cells) row.push_back(Shown(cell));
    all.lines.push_back(source.row().line);
  }
}

// The rows of what could be opened; else its status.
inline AllRows ReadAll(const StatusOr<std::unique_ptr<RowSource>>& source) {
  if (source.ok()) return ReadAll(**source);
  AllRows all;
  all.status = source.status();
  return all;
}

}  // namespace starling::tabular
