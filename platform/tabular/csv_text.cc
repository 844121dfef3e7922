// CSV as text: which delimiter it has, and how a row is written.
#include <algorithm>
#include <string>

#include "platform/tabular/byte_window.h"
#include "platform/tabular/csv.h"
#include "platform/tabular/csv_row.h"

namespace starling::tabular {

// Each candidate divides up to 20 rows; the one whose rows agree with the first most often wins,
// then the one with more fields.
char DetectDelimiter(std::string_view beginning) {
  constexpr size_t kRows = 20;
  constexpr size_t kMostBytes = 64 << 10;
  beginning = beginning.substr(0, kMostBytes);
  char best = ',';
  std::pair<size_t, size_t> best_score{0, 1};
  for (const char candidate : {',', ';', '\t', '|'}) {
    std::string text(beginning);  // parsing changes it
    const size_t size = text.size();
    text.append(ByteWindow::kPadding, '\0');
    CsvRowParser parser(candidate);
    parser.Begin(text.data());
    size_t fields = 0;
    size_t agreeing = 0;
    char* at = text.data();
    char* const end = text.data() + size;
    for (size_t row = 0; row < kRows && at < end;) {
      const CsvRow parsed = parser.Parse(at, end, size < kMostBytes);
      if (parsed.outcome != CsvRow::kComplete && parsed.outcome != CsvRow::kBlank) break;
      at = parsed.end;
      if (parsed.outcome == CsvRow::kBlank) continue;
      if (row == 0) fields = parser.cells().size();
      agreeing += parser.cells().size() == fields ? 1 : 0;
      ++row;
    }
    const std::pair<size_t, size_t> score{agreeing, fields};
    if (fields > 1 && score > best_score) {
      best = candidate;
      best_score = score;
    }
  }
  return best;
}

void AppendCsvRow(const std::vector<std::optional<std::string_view>>& fields, std::string& out,
                  char delimiter) {
  const char special[] = {delimiter, '"', '\n', '\r'};
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += delimiter;
    // A row of one missing field would be a blank line, which is no row.
    const bool only = fields.size() == 1;
    if (!fields[i].has_value()) {
      if (only) out += "\"\"";
      continue;
    }
    const std::string_view text = *fields[i];
    // A byte order mark at the start of a file would be taken for one.
    if (!text.empty() && text.find_first_of({special, 4}) == std::string_view::npos &&
        !text.starts_with("\xef\xbb\xbf")) {
      out += text;
      continue;
    }
    out += '"';
    for (const char c : text) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }
  out += "\r\n";
}

}  // namespace starling::tabular
