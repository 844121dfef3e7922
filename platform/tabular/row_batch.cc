#include "platform/tabular/row_batch.h"

#include <cstring>

namespace starling::tabular {
namespace {

constexpr size_t kPieceBytes = 64 << 10;

}  // namespace

Row RowBatch::operator[](size_t index) const {
  return {std::span(cells_).subspan(index * columns_, columns_), rows_[index].number,
          rows_[index].line};
}

void RowBatch::Add(const Row& row) {
  for (const Cell& cell : row.cells) {
    switch (cell.kind()) {
      case Cell::Kind::kText:
        cells_.push_back(Cell::Text(Keep(cell.text())));
        break;
      case Cell::Kind::kJson:
        cells_.push_back(Cell::Json(Keep(cell.text())));
        break;
      default:
        cells_.push_back(cell);
    }
  }
  rows_.push_back({row.number, row.line});
  bytes_ += row.cells.size() * sizeof(Cell) + sizeof(Place);
}

std::string_view RowBatch::Keep(std::string_view text) {
  if (text.empty()) return {};
  bytes_ += text.size();
  if (text.size() > free_bytes_) {
    if (text.size() > kPieceBytes / 4) {  // a piece of its own; the rest of the newest stays in use
      char* const own = pieces_.emplace_back(new char[text.size()]).get();
      std::memcpy(own, text.data(), text.size());
      return {own, text.size()};
    }
    free_ = pieces_.emplace_back(new char[kPieceBytes]).get();
    free_bytes_ = kPieceBytes;
  }
  char* const to = free_;
  std::memcpy(to, text.data(), text.size());
  free_ += text.size();
  free_bytes_ -= text.size();
  return {to, text.size()};
}

StatusOr<RowBatch> ReadBatch(RowSource& source, const BatchLimits& limits) {
  RowBatch batch(source.columns().size());
  while (batch.rows_.size() + batch.bad_rows_.size() < limits.rows && batch.bytes_ < limits.bytes) {
    STARLING_ASSIGN_OR_RETURN(const Read read, source.Next());
    if (read == Read::kEnd) {
      batch.at_end_ = true;
      break;
    }
    if (read == Read::kRow) {
      batch.Add(source.row());
      continue;
    }
    const BadRow& bad = batch.bad_rows_.emplace_back(source.bad_row());
    batch.bytes_ += sizeof(BadRow) + bad.value.size() + bad.reason.size();
  }
  batch.after_ = source.position();
  return batch;
}

}  // namespace starling::tabular
