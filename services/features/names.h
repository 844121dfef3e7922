// Numbers for ids: a user's or a product's id as 32 bits, and back.
//
//   const uint32_t number = names.Intern("milk");    // the same number for as long as it is held
//   const std::string* name = names.Name(number);    // stays where it is
//
// One number costs about 60 bytes. Not thread-safe; a name that was handed out may be read on any
// thread until its number is released.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace starling::features {

class Names {
 public:
  std::optional<uint32_t> Find(std::string_view name) const {
    const auto at = numbers_.find(name);
    if (at == numbers_.end()) return std::nullopt;
    return at->second;
  }
  uint32_t Intern(std::string_view name) {
    if (const auto known = Find(name)) return *known;
    uint32_t number;
    if (free_.empty()) {
      number = static_cast<uint32_t>(names_.size());
      names_.emplace_back(name);
    } else {
      number = free_.back();
      free_.pop_back();
      names_[number] = name;
    }
    numbers_.emplace(names_[number], number);
    return number;
  }
  // The number may be another name's from now on.
  void Release(uint32_t number) {
    numbers_.erase(names_[number]);
    free_.push_back(number);
  }
  const std::string* Name(uint32_t number) const { return &names_[number]; }
  // One above the greatest number.
  size_t size() const { return names_.size(); }

 private:
  std::deque<std::string> names_;
  absl::flat_hash_map<std::string_view, uint32_t> numbers_;
  std::vector<uint32_t> free_;
};

}  // namespace starling::features
