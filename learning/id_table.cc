#include "learning/id_table.h"

#include <algorithm>
#include <bit>

#include "platform/base/hash.h"

namespace starling::learning {
namespace {

constexpr uint32_t kFree = ~uint32_t{0};

}  // namespace

StatusOr<IdTable> IdTable::Make(std::span<const std::string> ids) {
  if (ids.size() >= kFree / 4) {
    return InvalidField("ids", "{} names are more than a table takes, {}", ids.size(), kFree / 4);
  }
  std::vector<uint64_t> offsets = {0};
  std::vector<uint8_t> text;
  offsets.reserve(ids.size() + 1);
  for (const std::string& id : ids) {
    text.insert(text.end(), id.begin(), id.end());
    offsets.push_back(text.size());
  }
  std::vector<uint32_t> slots(std::bit_ceil(std::max<size_t>(2, 2 * ids.size())), kFree);
  const size_t mask = slots.size() - 1;
  for (size_t index = 0; index < ids.size(); ++index) {
    size_t slot = Hash64(ids[index]) & mask;
    for (; slots[slot] != kFree; slot = (slot + 1) & mask) {
      if (ids[slots[slot]] == ids[index]) {
        return InvalidField("ids", "'{}' is the name of both {} and {}; give each name once",
                            ids[index], slots[slot], index);
      }
    }
    slots[slot] = static_cast<uint32_t>(index);
  }
  IdTable table;
  table.offsets_ = Array(std::move(offsets));
  table.text_ = Array(std::move(text));
  table.slots_ = Array(std::move(slots));
  return table;
}

StatusOr<IdTable> IdTable::Open(const Artifact& artifact) {
  IdTable table;
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint64_t> offsets, artifact.Get<uint64_t>("ids.offsets"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint8_t> text, artifact.Get<uint8_t>("ids.text"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> slots, artifact.Get<uint32_t>("ids.slots"));
  table.offsets_ = offsets.values;
  table.text_ = text.values;
  table.slots_ = slots.values;
  if (table.offsets_.empty() || table.offsets_[0] != 0 ||
      !std::is_sorted(table.offsets_.begin(), table.offsets_.end()) ||
      table.offsets_[table.size()] != table.text_.size()) {
    return DataLoss("section 'ids.offsets' does not divide the {} bytes of 'ids.text'",
                    table.text_.size());
  }
  if (!std::has_single_bit(table.slots_.size()) || table.slots_.size() < 2 * table.size() ||
      std::any_of(table.slots_.begin(), table.slots_.end(),
                  [&](uint32_t index) { return index != kFree && index >= table.size(); })) {
    return DataLoss("section 'ids.slots' is not a hash table of {} names", table.size());
  }
  // A search ends at a free slot, so there has to be one.
  if (std::find(table.slots_.begin(), table.slots_.end(), kFree) == table.slots_.end()) {
    return DataLoss("section 'ids.slots' has no free slot");
  }
  return table;
}

void IdTable::AddTo(ArtifactWriter& writer) const {
  writer.Add<uint64_t>("ids.offsets", offsets_);
  writer.Add<uint8_t>("ids.text", text_);
  writer.Add<uint32_t>("ids.slots", slots_);
}

std::optional<uint32_t> IdTable::Find(std::string_view id) const {
  if (slots_.empty()) {
    return std::nullopt;
  }
  const size_t mask = slots_.size() - 1;
  for (size_t slot = Hash64(id) & mask; slots_[slot] != kFree; slot = (slot + 1) & mask) {
    if (Id(slots_[slot]) == id) {
      return slots_[slot];
    }
  }
  return std::nullopt;
}

}  // namespace starling::learning
