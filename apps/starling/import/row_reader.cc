#include "apps/starling/import/row_reader.h"

namespace starling::import {

StatusOr<RowReader> RowReader::Open(const std::string& location, const tabular::Mapping& mapping,
                                    const std::string& position, tabular::RejectFile* rejects) {
  tabular::OpenOptions options;
  options.json_lines.more_columns = mapping.SourceNames();
  if (!position.empty()) {
    const auto start = tabular::ParsePosition(position);
    if (!start) return Internal("'{}' is no position in {}", position, location);
    options.start = *start;
  }
  STARLING_ASSIGN_OR_RETURN(auto source, tabular::OpenRows(location, std::move(options)));
  STARLING_ASSIGN_OR_RETURN(source, tabular::Mapped(std::move(source), mapping));
  return RowReader(std::move(source), rejects);
}

StatusOr<const tabular::Row*> RowReader::Next() {
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const tabular::Read read, source_->Next());
    if (read == tabular::Read::kRow) return &source_->row();
    if (read == tabular::Read::kEnd) return nullptr;
    if (rejects_ != nullptr) STARLING_RETURN_IF_ERROR(rejects_->Add(source_->bad_row()));
  }
}

Status RowReader::Reject(size_t field, std::string reason) {
  if (rejects_ == nullptr) return OkStatus();
  const tabular::Row& row = source_->row();
  return rejects_->Add({.source = source_->name(),
                        .number = row.number,
                        .line = row.line,
                        .column = source_->NameInFile(field),
                        .value = tabular::ShownValue(tabular::CellText(row[field])),
                        .fault = tabular::Fault::kValue,
                        .reason = std::move(reason)});
}

}  // namespace starling::import
