// Any bytes as JSON Lines, in one piece and in small ones: both give the same rows, and what is
// given is UTF-8.
#include <cstdint>
#include <cstdlib>

#include "platform/tabular/json_lines.h"
#include "platform/tabular/read_all.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::tabular;
  if (size > (64 << 10)) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const JsonLinesOptions options{.sample_bytes = 512, .max_row_bytes = 1024};
  const AllRows whole = ReadAll(OpenJsonLines(BytesOf(text, "fuzz"), options));
  const AllRows pieces = ReadAll(OpenJsonLines(BytesOf(text, "fuzz", 1 + size % 7), options));
  Require(whole.status == pieces.status && whole.rows == pieces.rows);
  Require(whole.positions == pieces.positions && whole.bad.size() == pieces.bad.size());
  for (const auto& row : whole.rows) {
    for (const std::string& cell : row) Require(FirstInvalidUtf8(cell) == cell.size());
  }
  for (const BadRow& bad : whole.bad) {
    Require(bad.value.size() <= kMaxShownBytes && !bad.reason.empty() && bad.line > 0);
    Require(FirstInvalidUtf8(bad.value) == bad.value.size());
  }
  return 0;
}
