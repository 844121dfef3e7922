// What describes each item, in words: of its title, its categories, its brand.
//
//   ItemTerms terms(items);
//   terms.AddText(7, "Whole milk 1L");        // "whole", "milk", "1l"
//   terms.AddLabel(7, "dairy");               // one term, apart from the words of titles
//
// Words are runs of letters and digits (bytes beyond ASCII count as letters), ASCII in lower case;
// of more than kLongestWord bytes the beginning. An item has each term once. Some 60 bytes a term
// and 4 an entry. Not thread-safe while it is filled.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace starling::learning {

class ItemTerms {
 public:
  static constexpr size_t kLongestWord = 32;
  static constexpr size_t kMostTerms = 64;  // of an item; the rest is left out

  ItemTerms() = default;
  explicit ItemTerms(size_t items) : of_item_(items) {}

  void AddText(size_t item, std::string_view text) {
    std::string word;
    for (size_t i = 0; i <= text.size(); ++i) {
      const char c = i < text.size() ? text[i] : ' ';
      const bool upper = c >= 'A' && c <= 'Z';
      const bool in_word = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           static_cast<unsigned char>(c) >= 0x80;
      if (in_word) {
        if (word.size() < kLongestWord) word += static_cast<char>(upper ? c - 'A' + 'a' : c);
      } else if (!word.empty()) {
        Add(item, word);
        word.clear();
      }
    }
  }
  void AddLabel(size_t item, std::string_view label) {
    if (!label.empty()) Add(item, "=" + std::string(label));
  }

  bool empty() const { return of_item_.empty(); }
  size_t items() const { return of_item_.size(); }
  size_t terms() const { return numbers_.size(); }
  std::span<const uint32_t> of_item(size_t item) const { return of_item_[item]; }

 private:
  void Add(size_t item, const std::string& term) {
    std::vector<uint32_t>& terms = of_item_[item];
    if (terms.size() == kMostTerms) return;
    const auto number =
        numbers_.try_emplace(term, static_cast<uint32_t>(numbers_.size())).first->second;
    if (std::find(terms.begin(), terms.end(), number) == terms.end()) terms.push_back(number);
  }

  std::vector<std::vector<uint32_t>> of_item_;
  std::unordered_map<std::string, uint32_t> numbers_;
};

}  // namespace starling::learning
