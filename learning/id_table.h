// The names of dense indexes: item 7 is "85123A", and "85123A" is item 7.
//
//   STARLING_ASSIGN_OR_RETURN(IdTable ids, IdTable::Make({"85123A", "22423"}));
//   std::string_view id = ids.Id(1);                        // "22423"
//   std::optional<uint32_t> index = ids.Find("85123A");     // 0
//
// An immutable hash table that lies in a model's artifact and is used there: sections
//   ids.offsets u64  names + 1: where each name begins in ids.text
//   ids.text    u8   the names, one after another
//   ids.slots   u32  a power of two >= 2 names, open addressing by Hash64, linear probing; ~0: free
// Find costs about 50 ns. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "learning/artifact.h"
#include "learning/math/array.h"
#include "platform/base/status.h"

namespace starling::learning {

class IdTable {
 public:
  IdTable() = default;
  // INVALID_ARGUMENT when a name is there twice.
  static StatusOr<IdTable> Make(std::span<const std::string> ids);
  // DATA_LOSS when the sections contradict each other.
  static StatusOr<IdTable> Open(const Artifact& artifact);
  // This must live until the writer's Finish.
  void AddTo(ArtifactWriter& writer) const;

  size_t size() const { return offsets_.empty() ? 0 : offsets_.size() - 1; }
  std::string_view Id(uint32_t index) const {  // index < size()
    return {reinterpret_cast<const char*>(text_.data()) + offsets_[index],
            offsets_[index + 1] - offsets_[index]};
  }
  std::optional<uint32_t> Find(std::string_view id) const;

 private:
  Array<uint64_t> offsets_;
  Array<uint8_t> text_;
  Array<uint32_t> slots_;
};

}  // namespace starling::learning
