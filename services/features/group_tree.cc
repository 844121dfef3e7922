#include "services/features/group_tree.h"

#include <algorithm>

#include "platform/base/hash.h"

namespace starling::features {

uint64_t GroupTree::Key(uint32_t parent, std::string_view name) { return Hash64(name, parent); }

uint32_t GroupTree::Hold(std::span<const std::string_view> path) {
  uint32_t group = kRoot;
  for (const std::string_view name : path) {
    const auto [at, is_new] = below_.try_emplace(Key(group, name), 0);
    if (is_new) {
      if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(groups_.size()));
        groups_.emplace_back();
      }
      at->second = free_.back();
      free_.pop_back();
      groups_[at->second] = {std::string(name), group, groups_[group].level + 1, 0};
      ++groups_[group].uses;
    }
    group = at->second;
  }
  ++groups_[group].uses;
  return group;
}

void GroupTree::Release(uint32_t group) {
  --groups_[group].uses;
  while (group != kRoot && groups_[group].uses == 0) {
    const uint32_t parent = groups_[group].parent;
    below_.erase(Key(parent, groups_[group].name));
    groups_[group] = Group();
    free_.push_back(group);
    group = parent;
    --groups_[group].uses;
  }
}

std::vector<std::string_view> GroupTree::Path(uint32_t group) const {
  std::vector<std::string_view> path;
  for (; group != kRoot; group = Parent(group)) path.push_back(Name(group));
  std::reverse(path.begin(), path.end());
  return path;
}

bool GroupTree::Is(uint32_t group, std::span<const std::string_view> path) const {
  if (Level(group) != path.size()) return false;
  for (size_t level = path.size(); level > 0; --level, group = Parent(group)) {
    if (Name(group) != path[level - 1]) return false;
  }
  return true;
}

}  // namespace starling::features
