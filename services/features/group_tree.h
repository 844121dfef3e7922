// Numbers for paths of names, such as a product's categories, for as long as some product holds
// them.
//
//   GroupTree categories;
//   const uint32_t milk = categories.Hold({{"grocery", "dairy", "milk"}});
//   categories.Parent(milk);        // that of grocery, dairy
//   categories.Path(milk);          // the three names, the widest first
//   categories.Release(milk);       // its number, and those above that nobody holds, may be
//   others'
//
// A path is a group of its own: "other" below dairy is not "other" below drinks. The empty path is
// kRoot. Paths are told apart by 64 bits of hash; of 100,000 two differing ones have the same with
// a probability of 3e-10. Memory: about 80 bytes a group. Copies are independent; reading is
// thread-safe, changing is not.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace starling::features {

class GroupTree {
 public:
  static constexpr uint32_t kRoot = 0;

  // Each call is undone by one of Release.
  uint32_t Hold(std::span<const std::string_view> path);
  void Release(uint32_t group);

  uint32_t Parent(uint32_t group) const { return groups_[group].parent; }
  // Names of its path; 0 of kRoot.
  uint32_t Level(uint32_t group) const { return groups_[group].level; }
  const std::string& Name(uint32_t group) const { return groups_[group].name; }
  std::vector<std::string_view> Path(uint32_t group) const;
  // Whether its path is this one.
  bool Is(uint32_t group, std::span<const std::string_view> path) const;
  // One above the greatest number.
  size_t size() const { return groups_.size(); }

 private:
  struct Group {
    std::string name;
    uint32_t parent = kRoot;
    uint32_t level = 0;
    uint32_t uses = 0;  // by Hold and by the groups just below
  };
  static uint64_t Key(uint32_t parent, std::string_view name);

  std::vector<Group> groups_{Group()};             // the root
  absl::flat_hash_map<uint64_t, uint32_t> below_;  // by parent and name
  std::vector<uint32_t> free_;
};

}  // namespace starling::features
