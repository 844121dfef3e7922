// Rows that outlive their source's next row: for another thread, or one transaction.
//
//   STARLING_ASSIGN_OR_RETURN(const RowBatch batch, ReadBatch(*source, {.rows = 1000}));
//   for (size_t i = 0; i < batch.size(); ++i) Use(batch[i]);
//   for (const BadRow& bad : batch.bad_rows()) ...
//   batch.after();                     // where to go on once these rows are done
//   if (batch.at_end()) ...
//
// Texts are copied once, into pieces of 64 KiB. A batch ends at its rows (good and bad) or at the
// row that passes its bytes, whichever is first. Movable; const use from any thread.
#pragma once

#include <memory>
#include <vector>

#include "platform/tabular/row_source.h"

namespace starling::tabular {

struct BatchLimits {
  size_t rows = 1000;
  size_t bytes = 4 << 20;  // of cells and texts
};

class RowBatch {
 public:
  explicit RowBatch(size_t columns) : columns_(columns) {}

  size_t size() const { return rows_.size(); }
  Row operator[](size_t index) const;
  const std::vector<BadRow>& bad_rows() const { return bad_rows_; }
  size_t bytes() const { return bytes_; }
  const Position& after() const { return after_; }
  bool at_end() const { return at_end_; }

  void Add(const Row& row);

 private:
  friend StatusOr<RowBatch> ReadBatch(RowSource& source, const BatchLimits& limits);
  std::string_view Keep(std::string_view text);

  struct Place {
    int64_t number;
    int64_t line;
  };
  size_t columns_;
  std::vector<Cell> cells_;  // rows x columns
  std::vector<Place> rows_;
  std::vector<BadRow> bad_rows_;
  std::vector<std::unique_ptr<char[]>> pieces_;
  char* free_ = nullptr;  // in the newest piece
  size_t free_bytes_ = 0;
  size_t bytes_ = 0;
  Position after_;
  bool at_end_ = false;
};

StatusOr<RowBatch> ReadBatch(RowSource& source, const BatchLimits& limits = {});

}  // namespace starling::tabular
