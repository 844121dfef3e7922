// "Did you mean ...?": the known word nearest to one that is unknown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace starling {

// Levenshtein distance with adjacent swaps counted once (optimal string alignment); O(|a| |b|).
int EditDistance(std::string_view a, std::string_view b);

// The candidate with the smallest distance, or "" when none is nearer than a third of the word's
// length plus one.
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

// " (did you mean 'x'?)" or "", to append to an error.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace starling
