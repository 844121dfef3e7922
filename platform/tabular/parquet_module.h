// What the binary and the Parquet module (libstarling_parquet.so) say to each other: two C symbols.
// Both are made by one build, so C++ types may cross; the number guards against an old module.
#pragma once

#include <memory>
#include <string>

#include "platform/tabular/parquet.h"

namespace starling::tabular {

// Counted up with every change of RowSource, Cell, ParquetOptions or this file.
inline constexpr int kParquetInterface = 1;
inline constexpr char kParquetModuleFile[] = "libstarling_parquet.so";

struct ParquetRequest {
  int file = -1;     // taken over
  std::string name;  // for errors
  ParquetOptions options;
};

using ParquetInterfaceFunction = int();
using OpenParquetFunction = void(ParquetRequest&& request,
                                 StatusOr<std::unique_ptr<RowSource>>* source);
inline constexpr char kParquetInterfaceSymbol[] = "starling_parquet_interface";
inline constexpr char kOpenParquetSymbol[] = "starling_open_parquet";

}  // namespace starling::tabular
