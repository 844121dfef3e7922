// Files of who had what, a user a line: "user item item ...", also .gz and .zst.
//
//   Names users, items;
//   std::vector<learning::Interaction> events;
//   STARLING_RETURN_IF_ERROR(ReadAdjacency("train.txt.zst", users, items, events));
//
// Words are divided by spaces, tabs or commas and may be any text; empty lines do not matter. A
// user without an item is one who had nothing, as public splits have them in their tests. Errors
// name the file and the line.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "learning/interactions.h"
#include "platform/base/status.h"

namespace starling {

// Names as numbers, in the order in which they come.
class Names {
 public:
  uint32_t Of(std::string_view name) {
    return numbers_.try_emplace(std::string(name), static_cast<uint32_t>(numbers_.size()))
        .first->second;
  }
  size_t size() const { return numbers_.size(); }

 private:
  absl::flat_hash_map<std::string, uint32_t> numbers_;
};

// Adds to all three. INVALID_ARGUMENT: a line of more than 64 MiB.
Status ReadAdjacency(const std::string& path, Names& users, Names& items,
                     std::vector<learning::Interaction>& events);

}  // namespace starling
