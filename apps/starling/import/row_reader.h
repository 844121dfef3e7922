// Rows of one foreign file as our fields, bad ones set aside.
//
//   STARLING_ASSIGN_OR_RETURN(RowReader rows, RowReader::Open(location, mapping, position,
//   rejects)); while (true) {
//     STARLING_ASSIGN_OR_RETURN(const tabular::Row* row, rows.Next());
//     if (row == nullptr) break;                       // the end
//     if (...) { STARLING_RETURN_IF_ERROR(rows.Reject(3, "is 0")); continue; }
//   }
#pragma once

#include <memory>
#include <string>

#include "platform/tabular/mapping.h"
#include "platform/tabular/open.h"
#include "platform/tabular/reject_file.h"

namespace starling::import {

class RowReader {
 public:
  // `rejects` may be nullptr, for a second pass over rows whose faults are told already.
  static StatusOr<RowReader> Open(const std::string& location, const tabular::Mapping& mapping,
                                  const std::string& position, tabular::RejectFile* rejects);

  // The next good row, or nullptr at the end. Lives until the next call.
  StatusOr<const tabular::Row*> Next();
  // Sets the row aside that Next gave; the field's name and what is wrong with its value.
  Status Reject(size_t field, std::string reason);
  std::string position() const { return tabular::PositionText(source_->position()); }
  tabular::Progress progress() const { return source_->progress(); }

 private:
  RowReader(std::unique_ptr<tabular::RowSource> source, tabular::RejectFile* rejects)
      : source_(std::move(source)), rejects_(rejects) {}
  std::unique_ptr<tabular::RowSource> source_;
  tabular::RejectFile* rejects_;
};

// A cell's text, or "" for nothing.
inline std::string_view TextOf(const tabular::Cell& cell) {
  return cell.is_null() ? std::string_view() : cell.text();
}

}  // namespace starling::import
