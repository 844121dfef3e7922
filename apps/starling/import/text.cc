#include "apps/starling/import/text.h"

#include <algorithm>

namespace starling::import {
namespace {

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Upper(char c) { return IsLower(c) ? static_cast<char>(c - 'a' + 'A') : c; }
char Lower(char c) { return IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string Tidy(std::string_view text) {
  std::string tidy;
  for (const char c : text) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) {
      tidy += c;
    } else if (!tidy.empty() && tidy.back() != ' ') {
      tidy += ' ';
    }
  }
  if (tidy.ends_with(' ')) tidy.pop_back();
  return tidy;
}

std::string TitleCase(std::string_view text) {
  std::string cased = Tidy(text);
  char before = ' ';
  for (char& c : cased) {
    const bool within =
        IsUpper(before) || IsLower(before) || IsDigit(before) || before == '\'' || before < 0;
    before = c;
    c = within ? Lower(c) : Upper(c);
  }
  return cased;
}

bool NamesAProduct(std::string_view description) {
  if (description.size() < 4 || description.find('?') != std::string_view::npos) return false;
  return std::count_if(description.begin(), description.end(), IsUpper) >
         std::count_if(description.begin(), description.end(), IsLower);
}

}  // namespace starling::import
