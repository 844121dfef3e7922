// One column of a record batch as cells. Only inside the Parquet module.
//
//   ColumnCells column(field);                      // refused types were refused before
//   column.Fill(array, first, count, cells, stride, texts, faults);
#pragma once

#include <arrow/api.h>

#include <deque>
#include <string>
#include <vector>

#include "platform/tabular/row_source.h"

namespace starling::tabular {

struct CellFault {
  int64_t row = 0;  // of the slice
  size_t column = 0;
  Fault fault = Fault::kUtf8;
  std::string value;
  std::string reason;
};

// Where the cells of a slice of rows go: row by row.
struct Slice {
  std::vector<Cell> cells;        // rows x columns
  std::deque<std::string> texts;  // what cells point to that is in no array
  std::vector<CellFault> faults;
  size_t columns = 0;
  int64_t first = 0;  // row of the batch
  int64_t rows = 0;

  Cell& At(int64_t row, size_t column) {
    return cells[static_cast<size_t>(row) * columns + column];
  }
  Cell KeptText(std::string text) { return Cell::Text(texts.emplace_back(std::move(text))); }
};

// Whether columns of this type can be given out.
bool IsReadable(const arrow::DataType& type);

// Sets the slice's cells of one column from rows [slice.first, slice.first + slice.rows).
void FillColumn(const arrow::Array& array, size_t column, Slice& slice);

// The JSON of one element, which is not null; false when its text is no UTF-8.
bool AppendJson(const arrow::Array& array, int64_t index, std::string& out);

}  // namespace starling::tabular
