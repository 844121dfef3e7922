#include "platform/tabular/json_lines.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "platform/tabular/byte_window.h"

namespace starling::tabular {
namespace {

namespace dom = simdjson::dom;
static_assert(ByteWindow::kPadding >= simdjson::SIMDJSON_PADDING);

constexpr size_t kMaxDepth = 64;

class JsonLinesSource final : public RowSource {
 public:
  JsonLinesSource(std::unique_ptr<ByteSource> bytes, JsonLinesOptions options)
      : name_(bytes->name()),
        options_(std::move(options)),
        window_(std::move(bytes), options_.max_row_bytes),
        parser_(options_.max_row_bytes) {}

  Status Open() {
    if (parser_.allocate(4096, kMaxDepth) != simdjson::SUCCESS) {
      return ResourceExhausted("no memory to read '{}'", name_);
    }
    STARLING_RETURN_IF_ERROR(Begin());
    const std::string_view start(window_.begin(), window_.size());
    const size_t first = start.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && start[first] == '[') {
      return InvalidArgument(
          "'{}' is one JSON list; give one object a line: "
          "jq -c '.[]' FILE > FILE.jsonl",
          name_);
    }
    STARLING_RETURN_IF_ERROR(SampleColumns());
    STARLING_RETURN_IF_ERROR(Begin());
    return MoveToStart();
  }

  const std::string& name() const override { return name_; }
  Position position() const override { return {0, rows_, lines_, window_.offset()}; }
  Progress progress() const override {
    return {window_.source().bytes_done(), window_.source().bytes_total(), rows_, std::nullopt};
  }

  StatusOr<Read> Next() override {
    STARLING_ASSIGN_OR_RETURN(const std::optional<std::string_view> line, NextLine());
    if (!line.has_value()) return Read::kEnd;
    row_.number = ++rows_;
    row_.line = lines_;
    if (too_large_) {
      return Bad(*line, Fault::kTooLarge,
                 {0, fmt::format("the line has more than {} bytes", options_.max_row_bytes)});
    }
    dom::object object;
    if (ParseObject(*line, object) != simdjson::SUCCESS) return BadSyntax(*line);
    return ReadObject(object, *line);
  }

 private:
  Status Begin() {
    rows_ = lines_ = 0;
    STARLING_RETURN_IF_ERROR(window_.MoveTo(0).status());
    STARLING_RETURN_IF_ERROR(window_.More().status());
    const std::string_view start(window_.begin(), window_.size());
    if (start.starts_with("\xef\xbb\xbf")) window_.Advance(3);
    return OkStatus();
  }

  // The next line that is not blank; nothing at the end. too_large_: only its beginning, the rest
  // is passed. Valid until the next call.
  StatusOr<std::optional<std::string_view>> NextLine() {
    too_large_ = false;
    for (;;) {
      const auto* const newline =
          static_cast<const char*>(std::memchr(window_.begin(), '\n', window_.size()));
      if (newline == nullptr && !window_.at_end()) {
        STARLING_ASSIGN_OR_RETURN(const bool came, window_.More());
        if (came || window_.at_end()) continue;
        return PassLargeLine();
      }
      if (newline == nullptr && window_.size() == 0) return std::nullopt;
      const char* const begin = window_.begin();
      const char* const end = newline == nullptr ? window_.end() : newline;
      ++lines_;
      window_.Advance(static_cast<size_t>(end - begin) + (newline == nullptr ? 0 : 1));
      const std::string_view line(begin, static_cast<size_t>(end - begin));
      if (line.find_first_not_of(" \t\r") != std::string_view::npos) return line;
    }
  }
  StatusOr<std::optional<std::string_view>> PassLargeLine() {
    too_large_ = true;
    large_line_.assign(window_.begin(), std::min(window_.size(), 2 * kMaxShownBytes));
    ++lines_;
    for (;;) {
      const auto* const newline =
          static_cast<const char*>(std::memchr(window_.begin(), '\n', window_.size()));
      window_.Advance(newline == nullptr ? window_.size()
                                         : static_cast<size_t>(newline - window_.begin()) + 1);
      if (newline != nullptr || window_.at_end()) return std::string_view(large_line_);
      STARLING_RETURN_IF_ERROR(window_.More().status());
    }
  }

  // The window has the padding that simdjson reads behind the line.
  simdjson::error_code ParseObject(std::string_view line, dom::object& object) {
    return parser_.parse(line.data(), line.size(), false).get_object().get(object);
  }

  Status SampleColumns() {
    while (window_.offset() < options_.sample_bytes) {
      STARLING_ASSIGN_OR_RETURN(const std::optional<std::string_view> line, NextLine());
      if (!line.has_value()) break;
      dom::object object;
      if (too_large_ || ParseObject(*line, object) != simdjson::SUCCESS) continue;
      for (const dom::key_value_pair pair : object) AddColumn(pair.key);
      if (columns_.size() > options_.max_columns) {
        return InvalidArgument(
            "'{}' has more than {} keys in its first {} lines: its keys are "
            "values; give rows the same keys",
            name_, options_.max_columns, lines_);
      }
    }
    for (const std::string& name : options_.more_columns) AddColumn(name);
    if (columns_.empty()) {
      return InvalidArgument("'{}' has no JSON object in its first lines; expected one a line",
                             name_);
    }
    cells_.resize(columns_.size());
    seen_.assign(columns_.size(), 0);
    order_.reserve(columns_.size());
    return OkStatus();
  }
  void AddColumn(std::string_view key) {
    if (indexes_.try_emplace(std::string(key), columns_.size()).second) columns_.emplace_back(key);
  }

  Status MoveToStart() {
    const Position& start = options_.start;
    if (start.offset == 0) {
      while (rows_ < start.row) {
        STARLING_ASSIGN_OR_RETURN(const std::optional<std::string_view> line, NextLine());
        if (!line.has_value()) return Shorter();
        ++rows_;
      }
      return OkStatus();
    }
    STARLING_ASSIGN_OR_RETURN(const bool there, window_.MoveTo(start.offset - 1));
    STARLING_RETURN_IF_ERROR(window_.More().status());
    if (!there || window_.size() == 0) return Shorter();
    if (*window_.begin() != '\n' && window_.size() > 1) {
      return FailedPrecondition(
          "no row of '{}' begins at byte {} (position {}): the file has changed; begin anew", name_,
          start.offset, PositionText(start));
    }
    window_.Advance(1);
    rows_ = start.row;
    lines_ = start.line;
    return OkStatus();
  }
  Status Shorter() const {
    return FailedPrecondition("'{}' ends before position {}: the file has changed; begin anew",
                              name_, PositionText(options_.start));
  }

  StatusOr<Read> ReadObject(const dom::object& object, std::string_view line) {
    std::fill(cells_.begin(), cells_.end(), Cell());
    kept_.clear();
    size_t place = 0;  // keys mostly come in the order of the row before
    for (const dom::key_value_pair pair : object) {
      const std::optional<size_t> column = ColumnOf(pair.key, place++);
      if (!column.has_value()) {
        if (options_.unknown_keys == UnknownKeys::kPass) continue;
        return Bad(pair.key, Fault::kUnknownKey,
                   {0, fmt::format("the key '{}' is in no row of the first {} bytes; name it in "
                                   "the mapping, or leave such keys out",
                                   ShownValue(pair.key), options_.sample_bytes)});
      }
      if (seen_[*column] == rows_) {
        const Read read = Bad(line, Fault::kDuplicateKey,
                              {0, fmt::format("the key '{}' is there twice", columns_[*column])});
        bad_row_.column = columns_[*column];
        return read;
      }
      seen_[*column] = rows_;
      cells_[*column] = CellOf(pair.value);
    }
    row_.cells = cells_;
    return Read::kRow;
  }

  std::optional<size_t> ColumnOf(std::string_view key, size_t place) {
    if (place < order_.size() && columns_[order_[place]] == key) return order_[place];
    const auto found = indexes_.find(std::string(key));
    if (found == indexes_.end()) return std::nullopt;
    if (place < order_.size()) {
      order_[place] = found->second;
    } else if (place == order_.size()) {
      order_.push_back(found->second);
    }
    return found->second;
  }

  Cell CellOf(dom::element value) {
    switch (value.type()) {
      case dom::element_type::NULL_VALUE:
        return {};
      case dom::element_type::STRING:
        return Cell::Text(std::string_view(value));
      case dom::element_type::INT64:
        return Cell::Integer(int64_t(value));
      case dom::element_type::UINT64:
        return Cell::Text(Keep(fmt::format("{}", uint64_t(value))));
      case dom::element_type::DOUBLE:
        return Cell::Real(double(value));
      case dom::element_type::BOOL:
        return Cell::Boolean(bool(value));
      case dom::element_type::ARRAY:
      case dom::element_type::OBJECT:
        return Cell::Json(Keep(simdjson::minify(value)));
    }
    return {};
  }
  // Texts that are not in the parser's own memory, for as long as the row lives.
  std::string_view Keep(std::string text) {
    return *kept_.emplace_back(std::make_unique<std::string>(std::move(text)));
  }

  Read BadSyntax(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (const size_t at = FirstInvalidUtf8(line); at < line.size()) {
      const size_t from = at - std::min<size_t>(at, 20);
      return Bad(line.substr(from), Fault::kUtf8,
                 {static_cast<int64_t>(at) + 1, "bytes that are no UTF-8"});
    }
    return Bad(line, Fault::kSyntax, ExplainJson(line));
  }
  Read Bad(std::string_view value, Fault fault, JsonFault what) {
    bad_row_ = {
        name_, rows_, lines_, "", what.byte, ShownValue(value), fault, std::move(what.reason)};
    return Read::kBadRow;
  }

  const std::string name_;
  const JsonLinesOptions options_;
  ByteWindow window_;
  dom::parser parser_;
  std::unordered_map<std::string, size_t> indexes_;
  std::vector<size_t> order_;  // the column of the key at each place of the row before
  std::vector<Cell> cells_;
  std::vector<int64_t> seen_;  // of a column: the newest row that has it
  std::vector<std::unique_ptr<std::string>> kept_;
  std::string large_line_;
  bool too_large_ = false;
  int64_t rows_ = 0;
  int64_t lines_ = 0;
};

}  // namespace

StatusOr<std::unique_ptr<RowSource>> OpenJsonLines(std::unique_ptr<ByteSource> bytes,
                                                   JsonLinesOptions options) {
  if (options.max_row_bytes < 1024 || options.max_row_bytes > (1 << 30)) {
    return InvalidField("max_row_bytes", "{} is outside 1024 to 1073741824", options.max_row_bytes);
  }
  auto source = std::make_unique<JsonLinesSource>(std::move(bytes), std::move(options));
  STARLING_RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace starling::tabular
