// The Parquet module: a Parquet file as a RowSource. Only this and the other parquet_module files
// include Arrow; they are linked into libstarling_parquet.so alone.
#include "platform/tabular/parquet_module.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "platform/base/nearest.h"
#include "platform/tabular/parquet_module_column.h"

namespace starling::tabular {
namespace {

constexpr int64_t kSliceRows = 1024;  // as cells that stay in the core's cache

class ParquetSource final : public RowSource {
 public:
  explicit ParquetSource(ParquetRequest request)
      : name_(std::move(request.name)), options_(std::move(request.options)) {}

  Status Open(int descriptor) {
    auto file = arrow::io::ReadableFile::Open(descriptor, pool_);
    if (!file.ok()) {
      ::close(descriptor);
      return Unusable(file.status());
    }
    const auto size = (*file)->GetSize();
    if (!size.ok()) return Unusable(size.status());
    bytes_ = static_cast<uint64_t>(*size);

    parquet::ReaderProperties reading(pool_);
    reading.enable_buffered_stream();
    reading.set_buffer_size(256 << 10);
    reading.set_page_checksum_verification(true);
    parquet::ArrowReaderProperties decoding(/*use_threads=*/false);
    decoding.set_batch_size(options_.batch_rows);
    decoding.set_pre_buffer(false);
    decoding.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
    parquet::arrow::FileReaderBuilder builder;
    if (const auto status = builder.Open(*std::move(file), reading); !status.ok()) {
      return Unusable(status);
    }
    builder.memory_pool(pool_);
    builder.properties(decoding);
    auto reader = builder.Build();
    if (!reader.ok()) return Unusable(reader.status());
    reader_ = *std::move(reader);
    all_rows_ = reader_->parquet_reader()->metadata()->num_rows();
    STARLING_RETURN_IF_ERROR(ChooseColumns());
    return MoveToStart();
  }

  const std::string& name() const override { return name_; }
  Position position() const override { return {0, rows_, rows_, 0}; }
  Progress progress() const override {
    const double share =
        all_rows_ > 0 ? static_cast<double>(rows_) / static_cast<double>(all_rows_) : 1;
    return {static_cast<uint64_t>(share * static_cast<double>(bytes_)), bytes_, rows_, all_rows_};
  }

  StatusOr<Read> Next() override {
    if (in_slice_ == slice_.rows) {
      STARLING_ASSIGN_OR_RETURN(const bool more, NextSlice());
      if (!more) return Read::kEnd;
    }
    ++rows_;
    row_.number = row_.line = rows_;
    row_.cells = std::span(slice_.cells)
                     .subspan(static_cast<size_t>(in_slice_) * slice_.columns, slice_.columns);
    const int64_t row = in_slice_++;
    if (!slice_.faults.empty()) [[unlikely]] {
      for (const CellFault& fault : slice_.faults) {
        if (fault.row != row) continue;
        bad_row_ = {name_, rows_,       rows_,       columns_[fault.column],
                    0,     fault.value, fault.fault, fault.reason};
        return Read::kBadRow;
      }
    }
    return Read::kRow;
  }

 private:
  Status Unusable(const arrow::Status& status) const {
    if (status.IsIOError()) return Unavailable("reading '{}': {}", name_, status.message());
    if (status.IsOutOfMemory()) return ResourceExhausted("no memory to read '{}'", name_);
    return DataLoss("'{}' is no Parquet file, or damaged: {}; get the file again", name_,
                    status.message());
  }

  // Top-level fields by name, and the leaves of the file's schema that make them.
  Status ChooseColumns() {
    std::shared_ptr<arrow::Schema> schema;
    if (const auto status = reader_->GetSchema(&schema); !status.ok()) return Unusable(status);
    const std::vector<std::string> names = schema->field_names();
    for (const std::string& wanted : options_.columns) {
      if (std::find(names.begin(), names.end(), wanted) != names.end()) continue;
      return InvalidField("columns", "'{}' has no column '{}'{}; it has {}", name_, wanted,
                          DidYouMean(wanted, names), fmt::join(names, ", "));
    }
    std::vector<bool> chosen(names.size(), options_.columns.empty());
    for (size_t i = 0; i < names.size(); ++i) {
      const auto& wanted = options_.columns;
      if (std::find(wanted.begin(), wanted.end(), names[i]) != wanted.end()) chosen[i] = true;
      if (!chosen[i]) continue;
      const arrow::DataType& type = *schema->field(static_cast<int>(i))->type();
      if (!IsReadable(type)) {
        return Unimplemented(
            "column '{}' of '{}' has type {}, which is not read; name the columns "
            "that are wanted without it",
            names[i], name_, type.ToString());
      }
      columns_.push_back(names[i]);
    }
    if (columns_.empty()) return InvalidArgument("'{}' has no columns", name_);
    const parquet::SchemaDescriptor& leaves = *reader_->parquet_reader()->metadata()->schema();
    for (int leaf = 0; leaf < leaves.num_columns(); ++leaf) {
      const int field = leaves.group_node()->FieldIndex(*leaves.GetColumnRoot(leaf));
      if (field >= 0 && chosen[static_cast<size_t>(field)]) leaves_.push_back(leaf);
    }
    slice_.columns = columns_.size();
    slice_.cells.resize(static_cast<size_t>(kSliceRows) * columns_.size());
    return OkStatus();
  }

  // Row groups before the start are not read, rows before it in its group are decoded and dropped.
  Status MoveToStart() {
    const int64_t start = options_.start.row;
    if (start > all_rows_) {
      return FailedPrecondition(
          "'{}' has {} rows and ends before position {}: the file has changed; begin anew", name_,
          all_rows_, PositionText(options_.start));
    }
    const auto& metadata = *reader_->parquet_reader()->metadata();
    std::vector<int> groups;
    for (int group = 0; group < metadata.num_row_groups(); ++group) {
      const int64_t rows = metadata.RowGroup(group)->num_rows();
      if (groups.empty() && rows_ + rows <= start) {
        rows_ += rows;
      } else {
        groups.push_back(group);
      }
    }
    auto batches = reader_->GetRecordBatchReader(groups, leaves_);
    if (!batches.ok()) return Unusable(batches.status());
    batches_ = *std::move(batches);
    while (rows_ < start) {
      STARLING_ASSIGN_OR_RETURN(const bool more, NextBatch());
      if (!more) return DataLoss("'{}' ends before row {} of {}", name_, rows_, all_rows_);
      in_batch_ = std::min(batch_->num_rows(), start - rows_);
      rows_ += in_batch_;
    }
    return OkStatus();
  }

  StatusOr<bool> NextBatch() {
    in_batch_ = 0;
    batch_.reset();
    do {
      const auto status = batches_->ReadNext(&batch_);
      if (!status.ok()) return Unusable(status);
    } while (batch_ != nullptr && batch_->num_rows() == 0);
    return batch_ != nullptr;
  }

  StatusOr<bool> NextSlice() try {
    in_slice_ = slice_.rows = 0;
    if (batch_ == nullptr || in_batch_ == batch_->num_rows()) {
      STARLING_ASSIGN_OR_RETURN(const bool more, NextBatch());
      if (!more) return false;
    }
    slice_.first = in_batch_;
    slice_.rows = std::min(kSliceRows, batch_->num_rows() - in_batch_);
    slice_.texts.clear();
    slice_.faults.clear();
    for (size_t column = 0; column < slice_.columns; ++column) {
      FillColumn(*batch_->column(static_cast<int>(column)), column, slice_);
    }
    in_batch_ += slice_.rows;
    return true;
  } catch (const std::exception& error) {
    return Unusable(arrow::Status::Invalid(error.what()));
  }

  const std::string name_;
  const ParquetOptions options_;
  arrow::MemoryPool* const pool_ = arrow::system_memory_pool();
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::vector<int> leaves_;
  Slice slice_;
  int64_t in_batch_ = 0;  // rows of the batch that went into slices
  int64_t in_slice_ = 0;  // rows of the slice that were given out
  int64_t rows_ = 0;
  int64_t all_rows_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace
}  // namespace starling::tabular

using starling::tabular::ParquetRequest;
using starling::tabular::RowSource;

extern "C" __attribute__((visibility("default"))) int starling_parquet_interface() {
  return starling::tabular::kParquetInterface;
}

extern "C" __attribute__((visibility("default"))) void starling_open_parquet(
    ParquetRequest&& request, starling::StatusOr<std::unique_ptr<RowSource>>* source) {
  const int file = request.file;
  const std::string name = request.name;
  try {
    auto opened = std::make_unique<starling::tabular::ParquetSource>(std::move(request));
    const starling::Status status = opened->Open(file);
    if (status.ok()) {
      *source = std::move(opened);
    } else {
      *source = status;
    }
  } catch (const std::exception& error) {
    *source = starling::DataLoss("'{}' is no Parquet file, or damaged: {}; get the file again",
                                 name, error.what());
  }
}
