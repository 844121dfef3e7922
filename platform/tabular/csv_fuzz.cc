// Any bytes as CSV, in one piece and in small ones: both give the same rows, each row's offsets
// grow, a resume from the middle gives the rest, and what is given is UTF-8.
#include <cstdint>
#include <cstdlib>

#include "platform/tabular/csv.h"
#include "platform/tabular/read_all.h"

namespace {

using starling::tabular::AllRows;

bool SameBad(const starling::tabular::BadRow& a, const starling::tabular::BadRow& b) {
  return a.line == b.line && a.fault == b.fault && a.number == b.number;
}

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::tabular;
  if (size > (64 << 10)) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const CsvOptions options{.max_row_bytes = 1024};
  const AllRows whole = ReadAll(OpenCsv(BytesOf(text, "fuzz"), options));
  const AllRows pieces = ReadAll(OpenCsv(BytesOf(text, "fuzz", 1 + size % 7), options));
  Require(whole.status == pieces.status && whole.rows == pieces.rows);
  Require(whole.positions == pieces.positions && whole.bad.size() == pieces.bad.size());
  uint64_t before = 0;
  for (const Position& position : whole.positions) {
    Require(position.offset > before && position.offset <= size);
    before = position.offset;
  }
  for (const auto& row : whole.rows) {
    for (const std::string& cell : row) Require(FirstInvalidUtf8(cell) == cell.size());
  }
  for (size_t i = 0; i < whole.bad.size(); ++i) {
    Require(SameBad(whole.bad[i], pieces.bad[i]));
    Require(whole.bad[i].value.size() <= kMaxShownBytes && !whole.bad[i].reason.empty());
    Require(FirstInvalidUtf8(whole.bad[i].value) == whole.bad[i].value.size());
  }
  if (!whole.positions.empty()) {
    const size_t middle = whole.positions.size() / 2;
    CsvOptions resumed = options;
    resumed.start = whole.positions[middle];
    const AllRows rest = ReadAll(OpenCsv(BytesOf(text, "fuzz"), resumed));
    Require(rest.status.ok());
    Require(std::equal(rest.positions.begin(), rest.positions.end(),
                       whole.positions.begin() + static_cast<std::ptrdiff_t>(middle) + 1,
                       whole.positions.end()));
  }
  return 0;
}
