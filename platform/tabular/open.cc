#include "platform/tabular/open.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

namespace starling::tabular {
namespace {

namespace fs = std::filesystem;

std::optional<Format> FormatByName(std::string_view location) {
  std::string name(location);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string_view packed : {".zst", ".gz"}) {
    if (name.ends_with(packed)) name.resize(name.size() - packed.size());
  }
  for (const std::string_view suffix : {".csv", ".tsv", ".txt"}) {
    if (name.ends_with(suffix)) return Format::kCsv;
  }
  for (const std::string_view suffix : {".jsonl", ".ndjson"}) {
    if (name.ends_with(suffix)) return Format::kJsonLines;
  }
  if (name.ends_with(".parquet")) return Format::kParquet;
  return std::nullopt;
}

StatusOr<Format> FormatOf(std::string_view location, Format told) {
  if (told != Format::kByName) return told;
  if (const std::optional<Format> format = FormatByName(location)) return *format;
  return InvalidArgument(
      "the name '{}' does not say what the file is; known are .csv, .tsv, .txt, .jsonl, .ndjson "
      "(each also with .gz or .zst) and .parquet: rename it, or give the format",
      location);
}

StatusOr<std::unique_ptr<RowSource>> OpenOne(const std::string& location,
                                             const OpenOptions& options, const Position& start) {
  STARLING_ASSIGN_OR_RETURN(const Format format, FormatOf(location, options.format));
  if (format == Format::kParquet) {
    ParquetOptions parquet = options.parquet;
    parquet.start = start;
    return OpenParquet(location, parquet);
  }
  STARLING_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> bytes, OpenBytes(location));
  if (format == Format::kJsonLines) {
    JsonLinesOptions json_lines = options.json_lines;
    json_lines.start = start;
    return OpenJsonLines(std::move(bytes), std::move(json_lines));
  }
  CsvOptions csv = options.csv;
  csv.start = start;
  return OpenCsv(std::move(bytes), std::move(csv));
}

uint64_t SizeOf(const std::string& location) {
  std::error_code error;
  const uintmax_t size = fs::file_size(location, error);
  return error ? 0 : size;  // of a member of an archive: known when it is opened
}

class ManyFiles final : public RowSource {
 public:
  ManyFiles(std::vector<std::string> locations, OpenOptions options)
      : locations_(std::move(locations)), options_(std::move(options)) {}

  Status Open() {
    const size_t first = options_.start.file;
    if (first >= locations_.size()) {
      return FailedPrecondition(
          "position {} is in file {} of {}: the files have changed; begin anew",
          PositionText(options_.start), first, locations_.size());
    }
    for (const std::string& location : locations_) sizes_.push_back(SizeOf(location));
    if (first > 0) {  // the columns are those of the very first file
      STARLING_ASSIGN_OR_RETURN(file_, OpenOne(locations_[0], options_, {}));
      columns_ = file_->columns();
      for (size_t i = 0; i < first; ++i) done_bytes_ += sizes_[i];
    }
    index_ = first;
    return OpenCurrent(options_.start);
  }

  const std::string& name() const override { return file_->name(); }
  Position position() const override {
    Position position = file_->position();
    position.file = static_cast<uint32_t>(index_);
    return position;
  }
  Progress progress() const override {
    const Progress current = file_->progress();
    Progress all{done_bytes_ + current.bytes_done, done_bytes_ + current.bytes_total,
                 done_rows_ + current.rows_done, std::nullopt};
    for (size_t i = index_ + 1; i < sizes_.size(); ++i) all.bytes_total += sizes_[i];
    return all;
  }

  StatusOr<Read> Next() override {
    for (;;) {
      STARLING_ASSIGN_OR_RETURN(const Read read, file_->Next());
      if (read == Read::kBadRow) bad_row_ = file_->bad_row();
      if (read == Read::kRow) TakeRow();
      if (read != Read::kEnd || index_ + 1 == locations_.size()) return read;
      const Progress ended = file_->progress();
      done_bytes_ += ended.bytes_total;
      done_rows_ += ended.rows_done;
      ++index_;
      STARLING_RETURN_IF_ERROR(OpenCurrent({}));
    }
  }

 private:
  Status OpenCurrent(const Position& start) {
    STARLING_ASSIGN_OR_RETURN(file_, OpenOne(locations_[index_], options_, start));
    if (columns_.empty()) columns_ = file_->columns();
    places_.clear();
    if (file_->columns() == columns_) return OkStatus();
    for (const std::string& column : columns_) {
      const std::optional<size_t> place = file_->FindColumn(column);
      if (!place.has_value()) return OtherColumns();
      places_.push_back(*place);
    }
    if (file_->columns().size() != columns_.size()) return OtherColumns();
    cells_.resize(columns_.size());
    return OkStatus();
  }
  Status OtherColumns() const {
    return InvalidArgument(
        "'{}' has the columns {}, but '{}' has {}; give files of the same columns",
        locations_[index_], fmt::join(file_->columns(), ", "), locations_[0],
        fmt::join(columns_, ", "));
  }
  void TakeRow() {
    row_ = file_->row();
    if (places_.empty()) return;
    for (size_t i = 0; i < places_.size(); ++i) cells_[i] = file_->row()[places_[i]];
    row_.cells = cells_;
  }

  const std::vector<std::string> locations_;
  const OpenOptions options_;
  std::vector<uint64_t> sizes_;
  size_t index_ = 0;
  std::unique_ptr<RowSource> file_;
  std::vector<size_t> places_;  // where the columns stand in this file; empty: as they are
  std::vector<Cell> cells_;
  uint64_t done_bytes_ = 0;
  int64_t done_rows_ = 0;
};

}  // namespace

StatusOr<std::unique_ptr<RowSource>> OpenFiles(std::vector<std::string> locations,
                                               OpenOptions options) {
  if (locations.empty()) return InvalidField("files", "there is none; give at least one");
  if (locations.size() == 1 && options.start.file == 0) {
    return OpenOne(locations[0], options, options.start);
  }
  auto source = std::make_unique<ManyFiles>(std::move(locations), std::move(options));
  STARLING_RETURN_IF_ERROR(source->Open());
  return source;
}

StatusOr<std::unique_ptr<RowSource>> OpenRows(std::string_view location, OpenOptions options) {
  const fs::path path(location);
  std::error_code error;
  if (!fs::is_directory(path, error)) return OpenFiles({std::string(location)}, std::move(options));
  std::vector<std::string> files;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.') || !entry->is_regular_file(error)) continue;
    if (options.format == Format::kByName && !FormatByName(name).has_value()) continue;
    files.push_back(entry->path().string());
  }
  if (error) return FileStatus(error.value(), location, "listing");
  if (files.empty()) {
    return NotFound(
        "the folder '{}' has no file that ends in .csv, .tsv, .txt, .jsonl, .ndjson or "
        ".parquet",
        location);
  }
  std::sort(files.begin(), files.end());
  return OpenFiles(std::move(files), std::move(options));
}

}  // namespace starling::tabular
