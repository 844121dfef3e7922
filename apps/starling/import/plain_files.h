// Products, users or events in a team's own files: CSV, JSON Lines or Parquet.
//
// Columns are found by our names, or by those that a mapping file gives
// (platform/tabular/mapping.h):
//
//   products  product_id*, title*, description, categories, price, currency, image_url, brand,
//             availability; categories from the widest to the narrowest, with '|' between them
//   users     user_id*, display_name; every other field of the mapping becomes an attribute
//   events    user_id*, product_id*, type*, occurred_at*, event_id, quantity, price
//
// An event without an id gets one from what it says and how often the file said it before within
// its second, so that a file imported again changes nothing.
#pragma once

#include <memory>
#include <string>

#include "apps/starling/import/records.h"
#include "platform/tabular/reject_file.h"

namespace starling::import {

constexpr size_t kMaxMappingFile = 1 << 20;  // bytes

// `kind` is "products", "users" or "events"; `mapping_file` a YAML file or "".
StatusOr<std::unique_ptr<Reader>> ReadPlainFiles(const std::string& kind, const std::string& file,
                                                 const std::string& mapping_file,
                                                 tabular::RejectFile& rejects);

}  // namespace starling::import
