#include "platform/tabular/csv_row.h"

#include <algorithm>
#include <cstring>

namespace starling::tabular {

CsvRow CsvRowParser::Parse(char* begin, char* end, bool last) {
  cells_.clear();
  escaped_.clear();
  inner_newlines_ = 0;
  char* field = begin;
  for (;;) {
    if (field < end && *field == '"') [[unlikely]] {
      char* const content = field + 1;
      char* quote = content;
      bool doubled = false;
      for (;;) {
        quote = static_cast<char*>(std::memchr(quote, '"', static_cast<size_t>(end - quote)));
        if (quote == nullptr || (quote + 1 == end && !last)) {
          if (!last) return {CsvRow::kNeedsMore, nullptr, nullptr, field};
          return {CsvRow::kOpenQuote, nullptr, field, field};
        }
        if (quote + 1 == end || quote[1] != '"') break;
        doubled = true;
        quote += 2;
      }
      char* after = quote + 1;
      if (after < end && *after == '\r') {
        if (after + 1 == end && !last) return {CsvRow::kNeedsMore, nullptr, nullptr, nullptr};
        if (after + 1 == end || after[1] == '\n') ++after;
      }
      if (after < end && *after != '\n' && *after != delimiter_) {
        return {CsvRow::kBehindQuote, nullptr, quote + 1, field};
      }
      if (after == end && !last) return {CsvRow::kNeedsMore, nullptr, nullptr, nullptr};
      if (doubled) escaped_.push_back(cells_.size());
      inner_newlines_ += std::count(content, quote, '\n');
      cells_.push_back(Cell::Text({content, static_cast<size_t>(quote - content)}));
      if (after == end || *after == '\n') {
        UnescapeFields();
        char* const next = after == end ? end : after + 1;
        scan_.Begin(next);
        return {CsvRow::kComplete, next, nullptr, nullptr};
      }
      field = after + 1;
      scan_.Begin(field);
      continue;
    }
    char* const at = const_cast<char*>(scan_.Next(end));
    if (at == end && !last) return {CsvRow::kNeedsMore, nullptr, nullptr, nullptr};
    if (at < end && *at == delimiter_) {
      cells_.push_back(at == field ? Cell() : Cell::Text({field, static_cast<size_t>(at - field)}));
      field = at + 1;
      continue;
    }
    char* const field_end = at > field && at[-1] == '\r' ? at - 1 : at;
    char* const next = at == end ? end : at + 1;
    if (cells_.empty() && field_end == field) {
      return {CsvRow::kBlank, next, nullptr, nullptr};
    }
    cells_.push_back(
        field_end == field ? Cell() : Cell::Text({field, static_cast<size_t>(field_end - field)}));
    if (!escaped_.empty()) [[unlikely]]
      UnescapeFields();
    return {CsvRow::kComplete, next, nullptr, nullptr};
  }
}

void CsvRowParser::UnescapeFields() {
  for (const size_t index : escaped_) {
    const std::string_view text = cells_[index].text();
    char* const begin = const_cast<char*>(text.data());  // of Parse's own bytes
    char* out = begin;
    for (size_t at = 0; at < text.size(); ++at) {
      *out++ = text[at];
      if (text[at] == '"') ++at;  // its twin
    }
    cells_[index] = Cell::Text({begin, static_cast<size_t>(out - begin)});
  }
}

}  // namespace starling::tabular
