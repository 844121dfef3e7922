// JSON Lines: one JSON object a line, its keys the columns.
//
//   STARLING_ASSIGN_OR_RETURN(auto bytes, OpenBytes("users.jsonl.gz"));
//   STARLING_ASSIGN_OR_RETURN(auto source, OpenJsonLines(std::move(bytes)));
//
// Columns are the keys of the objects in the first sample_bytes, in the order in which they first
// appear, then those of more_columns that did not. A key that is absent from a row is kNull, as
// JSON's null is. A key that appears later and is no column makes its row bad (kUnknownKey), since
// leaving it out would lose it without a word; UnknownKeys::kPass leaves it out.
//
// Cells: strings are kText, true and false kBoolean, numbers kInteger where they are written
// without fraction and exponent and fit int64 (up to uint64: kText of the digits), else kReal;
// lists and objects are kJson, their text without spaces.
//
// Bad rows: what is no JSON (the reason says at which byte and what was expected), no object, a key
// twice, numbers beyond what a double holds, bytes that are no UTF-8, deeper than 64 levels, lines
// above max_row_bytes. Blank lines are passed over. Refused when opened: a file that is one JSON
// list, with the command that makes lines of it.
//
// Cost: about 400 MB/s (simdjson's DOM); errors are looked at a second time, slowly. The sample is
// read twice. Memory: 256 KiB, up to three times max_row_bytes when rows are that large.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/tabular/byte_source.h"
#include "platform/tabular/row_source.h"

namespace starling::tabular {

enum class UnknownKeys { kBadRow, kPass };

struct JsonLinesOptions {
  std::vector<std::string> more_columns;  // keys that may first appear behind the sample
  UnknownKeys unknown_keys = UnknownKeys::kBadRow;
  size_t sample_bytes = 4 << 20;
  size_t max_columns = 4096;       // keys in the sample beyond it are refused
  size_t max_row_bytes = 4 << 20;  // 1 KiB to 1 GiB
  Position start;                  // see row_source.h
};

StatusOr<std::unique_ptr<RowSource>> OpenJsonLines(std::unique_ptr<ByteSource> bytes,
                                                   JsonLinesOptions options = {});

// What is wrong with a text that is no JSON object: "malformed JSON at byte 7: expected ...". For
// what simdjson refuses without saying where.
struct JsonFault {
  int64_t byte = 0;  // from 1; 0: not known
  std::string reason;
};
JsonFault ExplainJson(std::string_view text);

}  // namespace starling::tabular
