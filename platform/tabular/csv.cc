#include "platform/tabular/csv.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "platform/tabular/byte_window.h"
#include "platform/tabular/csv_row.h"

namespace starling::tabular {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

class CsvSource final : public RowSource {
 public:
  CsvSource(std::unique_ptr<ByteSource> bytes, CsvOptions options)
      : name_(bytes->name()),
        options_(std::move(options)),
        window_(std::move(bytes), options_.max_row_bytes),
        parser_(options_.delimiter) {}

  Status Open() {
    STARLING_RETURN_IF_ERROR(Begin());
    if (options_.delimiter == '\0') {
      options_.delimiter = DetectDelimiter({window_.begin(), window_.size()});
    }
    parser_ = CsvRowParser(options_.delimiter);
    parser_.Begin(window_.begin());
    STARLING_RETURN_IF_ERROR(ReadColumns());
    return MoveToStart();
  }

  const std::string& name() const override { return name_; }
  Position position() const override { return {0, rows_, lines_, window_.offset()}; }
  Progress progress() const override {
    return {window_.source().bytes_done(), window_.source().bytes_total(), rows_, std::nullopt};
  }

  StatusOr<Read> Next() override {
    for (;;) {
      const CsvRow row = parser_.Parse(window_.begin(), window_.end(), window_.at_end());
      switch (row.outcome) {
        case CsvRow::kComplete:
          return Deliver(row.end);
        case CsvRow::kBlank:
          if (row.end == window_.begin()) return Read::kEnd;
          lines_ += 1;
          window_.Advance(static_cast<size_t>(row.end - window_.begin()));
          continue;
        case CsvRow::kNeedsMore: {
          STARLING_ASSIGN_OR_RETURN(const bool full, Fill());
          if (!full) continue;
          if (row.opened == nullptr) {
            return Bad(Fault::kTooLarge, window_.begin(), window_.begin(), window_.end(),
                       fmt::format("the row has more than {} bytes", options_.max_row_bytes));
          }
          return Bad(Fault::kQuote, row.opened, row.opened, row.opened,
                     fmt::format("a quote is opened here and not closed within {} bytes",
                                 options_.max_row_bytes));
        }
        case CsvRow::kOpenQuote:
          return Bad(Fault::kQuote, row.fault, row.opened, row.opened,
                     "a quote is opened here and not closed before the end of the file");
        case CsvRow::kBehindQuote:
          return Bad(Fault::kQuote, row.fault, row.opened, row.opened,
                     "text stands behind a closing quote; a quote inside quotes is written twice");
      }
    }
  }

 private:
  // To the first byte behind a byte order mark.
  Status Begin() {
    lines_ = 0;
    STARLING_RETURN_IF_ERROR(window_.MoveTo(0).status());
    STARLING_RETURN_IF_ERROR(Fill().status());
    const std::string_view start(window_.begin(), window_.size());
    if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff")) {
      return InvalidArgument("'{}' is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE",
                             name_);
    }
    if (start.starts_with("PK\x03\x04") || start.starts_with("PAR1")) {
      return InvalidArgument("'{}' is {}, no CSV; give the file its own suffix", name_,
                             start[1] == 'K' ? "a zip archive or a spreadsheet" : "Parquet");
    }
    if (start.starts_with(kByteOrderMark)) window_.Advance(kByteOrderMark.size());
    return OkStatus();
  }

  Status ReadColumns() {
    if (options_.header == Header::kNone && !options_.column_names.empty()) {
      columns_ = options_.column_names;
      return OkStatus();
    }
    STARLING_ASSIGN_OR_RETURN(const Read read, Next());
    if (read == Read::kEnd) {
      return InvalidArgument("'{}' is empty; expected a row with the names of its columns", name_);
    }
    if (read == Read::kBadRow) {
      return InvalidArgument("the first row of '{}' (line {}, byte {}) cannot be read: {}: '{}'",
                             name_, bad_row_.line, bad_row_.byte, bad_row_.reason, bad_row_.value);
    }
    for (size_t i = 0; i < row_.cells.size(); ++i) {
      if (options_.header == Header::kNone) {
        columns_.push_back(fmt::format("{}", i + 1));
      } else {
        columns_.push_back(Trimmed(CellText(row_.cells[i])));
      }
    }
    if (options_.header == Header::kFirstRow && !options_.column_names.empty()) {
      if (options_.column_names.size() != columns_.size()) {
        return InvalidField("column_names", "{} names for the {} columns of '{}'",
                            options_.column_names.size(), columns_.size(), name_);
      }
      columns_ = options_.column_names;
    }
    rows_ = 0;
    if (options_.header == Header::kFirstRow) return OkStatus();
    STARLING_RETURN_IF_ERROR(Begin());  // the first row is data: read it again
    valid_end_ = nullptr;
    return Look();
  }

  Status MoveToStart() {
    const Position& start = options_.start;
    if (start.offset == 0) {
      while (rows_ < start.row) {
        STARLING_ASSIGN_OR_RETURN(const Read read, Next());
        if (read == Read::kEnd) return Shorter();
      }
      return OkStatus();
    }
    STARLING_ASSIGN_OR_RETURN(const bool there, window_.MoveTo(start.offset - 1));
    STARLING_RETURN_IF_ERROR(Fill().status());
    if (!there || window_.size() == 0) return Shorter();
    if (*window_.begin() != '\n' && window_.size() > 1) {
      return FailedPrecondition(
          "no row of '{}' begins at byte {} (position {}): the file has changed; begin anew", name_,
          start.offset, PositionText(start));
    }
    window_.Advance(1);
    rows_ = start.row;
    lines_ = start.line;
    return Look();
  }
  Status Shorter() const {
    return FailedPrecondition("'{}' ends before position {}: the file has changed; begin anew",
                              name_, PositionText(options_.start));
  }

  // True when the window is as full as it may be and nothing more came.
  StatusOr<bool> Fill() {
    STARLING_ASSIGN_OR_RETURN(const bool came, window_.More());
    STARLING_RETURN_IF_ERROR(Look());
    return !came && !window_.at_end();
  }

  // After the window's bytes came or moved: UTF-8 is checked for all whole lines at once.
  Status Look() {
    parser_.Begin(window_.begin());
    char* end = window_.end();
    if (!window_.at_end()) {
      while (end > window_.begin() && end[-1] != '\n') --end;
    }
    const auto size = static_cast<size_t>(end - window_.begin());
    valid_end_ = simdjson::validate_utf8(window_.begin(), size) ? end : nullptr;
    return OkStatus();
  }

  Read Deliver(char* end) {
    char* const begin = window_.begin();
    row_.cells = parser_.cells();
    row_.number = rows_ + 1;
    row_.line = lines_ + 1;
    const bool wrong_count = row_.cells.size() != columns_.size() && !columns_.empty();
    const bool valid = end <= valid_end_ || CellsAreUtf8();
    if (wrong_count || !valid) [[unlikely]] {
      DescribeBad(begin, end, valid);
    }
    ++rows_;
    lines_ += parser_.inner_newlines() + 1;
    window_.Advance(static_cast<size_t>(end - begin));
    return wrong_count || !valid ? Read::kBadRow : Read::kRow;
  }

  // The cells, not the row: doubled quotes were taken out in place, and what that leaves behind a
  // cell may complete a character that the cell has only the beginning of.
  bool CellsAreUtf8() const {
    return std::all_of(row_.cells.begin(), row_.cells.end(), [](const Cell& cell) {
      return cell.is_null() || simdjson::validate_utf8(cell.text().data(), cell.text().size());
    });
  }

  void DescribeBad(char* begin, char* end, bool valid) {
    bad_row_ = {name_, rows_ + 1, lines_ + 1, "", 0, "", Fault::kFieldCount, ""};
    if (valid) {
      std::string_view shown(begin, static_cast<size_t>(end - begin));
      while (shown.ends_with('\n') || shown.ends_with('\r')) shown.remove_suffix(1);
      bad_row_.value = ShownValue(shown);
      const size_t count = row_.cells.size();
      bad_row_.reason = count < columns_.size()
                            ? fmt::format("{} of {} fields", count, columns_.size())
                            : fmt::format("{} fields for {} columns", count, columns_.size());
      return;
    }
    bad_row_.fault = Fault::kUtf8;
    bad_row_.reason = "bytes that are no UTF-8; convert the file: iconv -f WINDOWS-1252 -t UTF-8";
    for (size_t i = 0; i < row_.cells.size(); ++i) {
      const Cell& cell = row_.cells[i];
      if (cell.is_null()) continue;
      const size_t at = FirstInvalidUtf8(cell.text());
      if (at == cell.text().size()) continue;
      if (i < columns_.size()) bad_row_.column = columns_[i];
      bad_row_.value = ShownValue(cell.text());
      Locate(begin, cell.text().data() + at);
      // Each quote in a quoted cell was two in the file.
      const char* const text = cell.text().data();
      if (text > begin && text[-1] == '"') bad_row_.byte += std::count(text, text + at, '"');
      return;
    }
  }

  // Line and byte of a place in the row that begins at `begin`.
  void Locate(const char* begin, const char* place) {
    const char* line = begin;
    for (const char* at = begin; at < place; ++at) {
      if (*at != '\n') continue;
      ++bad_row_.line;
      line = at + 1;
    }
    bad_row_.byte = place - line + 1;
  }

  // A row that has no end: the fault is at `place`, its value begins at `shown`. Goes on below the
  // line of `resume_after`.
  StatusOr<Read> Bad(Fault fault, const char* place, const char* shown, const char* resume_after,
                     std::string reason) {
    bad_row_ = {name_, rows_ + 1, lines_ + 1, "", 0, "", fault, std::move(reason)};
    const size_t field = parser_.cells().size();
    if (fault == Fault::kQuote && field < columns_.size()) bad_row_.column = columns_[field];
    const auto rest = static_cast<size_t>(window_.end() - shown);
    const std::string_view value(shown, std::min(rest, 2 * kMaxShownBytes));
    bad_row_.value = ShownValue(value.substr(0, value.find('\n')));
    Locate(window_.begin(), place);
    ++rows_;
    STARLING_RETURN_IF_ERROR(PassLine(resume_after));
    return Read::kBadRow;
  }

  // Passes everything up to and with the first newline behind `from`.
  Status PassLine(const char* from) {
    for (;;) {
      const auto rest = static_cast<size_t>(window_.end() - from);
      const auto* newline = static_cast<const char*>(std::memchr(from, '\n', rest));
      const char* const next = newline == nullptr ? window_.end() : newline + 1;
      lines_ += std::count<const char*>(window_.begin(), next, '\n');
      window_.Advance(static_cast<size_t>(next - window_.begin()));
      parser_.Begin(window_.begin());
      if (newline != nullptr || window_.at_end()) return OkStatus();
      STARLING_RETURN_IF_ERROR(Fill().status());
      from = window_.begin();
    }
  }

  static std::string Trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return "";
    return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
  }

  const std::string name_;
  CsvOptions options_;
  ByteWindow window_;
  CsvRowParser parser_;
  const char* valid_end_ = nullptr;  // whole lines before it are UTF-8
  int64_t rows_ = 0;
  int64_t lines_ = 0;
};

}  // namespace

StatusOr<std::unique_ptr<RowSource>> OpenCsv(std::unique_ptr<ByteSource> bytes,
                                             CsvOptions options) {
  if (options.max_row_bytes < 1024 || options.max_row_bytes > (1 << 30)) {
    return InvalidField("max_row_bytes", "{} is outside 1024 to 1073741824", options.max_row_bytes);
  }
  const char delimiter = options.delimiter;
  if (delimiter == '"' || delimiter == '\n' || delimiter == '\r' ||
      static_cast<unsigned char>(delimiter) > 0x7f) {
    return InvalidField("delimiter", "byte 0x{:02x} cannot divide fields; give one ASCII character",
                        static_cast<unsigned char>(delimiter));
  }
  auto source = std::make_unique<CsvSource>(std::move(bytes), std::move(options));
  STARLING_RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace starling::tabular
