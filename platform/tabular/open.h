// Opens foreign rows by what the file is called.
//
//   OpenRows("orders.csv.zst")                       .csv .tsv .txt; .jsonl .ndjson; .parquet
//   OpenRows("journey.whl!data/products.parquet")    a member of a zip
//   OpenRows("events/")                              all such files of a folder, by name, as one
//   OpenRows("dump.bin", {.format = Format::kCsv})   where the name does not say it
//
// Files of a folder must have the same columns; their order may differ, the first file's counts. A
// hidden file, one with another suffix and a folder within are passed over. Errors:
// INVALID_ARGUMENT names the suffixes that are known, or the file whose columns differ.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/tabular/csv.h"
#include "platform/tabular/json_lines.h"
#include "platform/tabular/parquet.h"
#include "platform/tabular/row_source.h"

namespace starling::tabular {

enum class Format { kByName, kCsv, kJsonLines, kParquet };

struct OpenOptions {
  Format format = Format::kByName;
  CsvOptions csv;  // their own `start` is not looked at
  JsonLinesOptions json_lines;
  ParquetOptions parquet;
  Position start;  // for any format
};

// A file, archive!member, or a folder.
StatusOr<std::unique_ptr<RowSource>> OpenRows(std::string_view location, OpenOptions options = {});

// Several files one after another, each opened when the one before has ended.
StatusOr<std::unique_ptr<RowSource>> OpenFiles(std::vector<std::string> locations,
                                               OpenOptions options = {});

}  // namespace starling::tabular
