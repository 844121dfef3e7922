// CSV (RFC 4180) as people really write it.
//
//   STARLING_ASSIGN_OR_RETURN(auto bytes, OpenBytes("orders.csv.zst"));
//   STARLING_ASSIGN_OR_RETURN(auto source, OpenCsv(std::move(bytes), {.delimiter = ';'}));
//
// Read: quoted fields with doubled quotes, delimiters and newlines inside; lines ended by LF or
// CRLF, the last one by nothing too; a byte order mark; blank lines (passed over). A quote inside a
// field that does not begin with one is text: 15" screen. Spaces are kept, but around column names.
//
// Cells are kText, or kNull for nothing between two delimiters; "" between quotes is an empty text.
// Give a Mapping for types.
//
// Bad rows: another number of fields than the header's; text behind a closing quote; a quote that
// is not closed before the row's limit or the file's end; bytes that are no UTF-8; rows above
// max_row_bytes. After a bad quote the reading goes on with the line below the one where that quote
// opened, so that one stray quote costs one line and not the rest of the file.
//
// Refused when opened: no header, a file that is UTF-16, an archive or a picture.
//
// Cost: about 1 GB/s for rows without quotes, see tabular_bench. Memory: 256 KiB, up to
// max_row_bytes when rows are that large.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/tabular/byte_source.h"
#include "platform/tabular/row_source.h"

namespace starling::tabular {

enum class Header {
  kFirstRow,
  kNone,  // columns are named by CsvOptions::column_names, or "1", "2", ... after the first row
};

struct CsvOptions {
  char delimiter = '\0';  // '\0': the one of , ; tab | that divides the first rows most evenly
  Header header = Header::kFirstRow;
  std::vector<std::string> column_names;  // in place of the header's
  size_t max_row_bytes = 1 << 20;         // 1 KiB to 1 GiB
  Position start;                         // see row_source.h
};

StatusOr<std::unique_ptr<RowSource>> OpenCsv(std::unique_ptr<ByteSource> bytes,
                                             CsvOptions options = {});

// The delimiter of a text that begins a CSV file; ',' when nothing divides it.
char DetectDelimiter(std::string_view beginning);

// One row as OpenCsv reads it back, with its CRLF: fields are quoted where they must be, and where
// an empty text would else be read as nothing. nullopt: nothing.
void AppendCsvRow(const std::vector<std::optional<std::string_view>>& fields, std::string& out,
                  char delimiter = ',');

}  // namespace starling::tabular
