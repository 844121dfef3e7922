// A file that was compiled into the binary (see starling_embed in cmake/StarlingTargets.cmake).
#pragma once

#include <string_view>

namespace starling {

struct EmbeddedFile {
  std::string_view name;     // without folder: "0001_products.sql"
  std::string_view content;  // lives as long as the process
};

}  // namespace starling
