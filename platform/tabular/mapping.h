// Which columns of a foreign file are which of our fields, and of which type.
//
//   STARLING_ASSIGN_OR_RETURN(const Mapping mapping, Mapping::FromYaml(R"(
//   fields:
//     order_id: {from: [Invoice, InvoiceNo], required: true}
//     price: {from: [Price, UnitPrice], type: number}
//     bought_at: {from: InvoiceDate, type: time, format: [auto, "%d/%m/%Y %H:%M"]}
//     country: {from: Country, default: GB}
//     sku: StockCode
//   )", "retail.yaml"));
//   STARLING_ASSIGN_OR_RETURN(auto source, OpenRows("online_retail.csv.zst"));
//   STARLING_ASSIGN_OR_RETURN(source, Mapped(std::move(source), mapping));
//   source->columns();                  // order_id, price, bought_at, country, sku
//   source->row()[1].real();            // typed: number, or nothing
//
// Finding a column: `from` lists the names that are accepted, the target's own name when it is
// absent. A column of the very name wins, then one that differs in case, spaces, '_', '-' and '.'
// only: "Customer ID" is CustomerID and customer_id. When several accepted columns are there, each
// row takes the first that is not empty. Columns that no field accepts are passed over.
//
// Types: text (anything becomes text), integer (also 13085.0), number (format: comma for 1.234,50),
// boolean (true false, yes no, y n, t f, 1 0), time (time_format.h). Text is trimmed of spaces for
// all but text. An empty cell is nothing; for text an empty text stays one.
//
// required: the file must have a column for it, and a row without a value is bad (kMissing).
// default: stands for nothing, also when no column is there; text of the field's type.
// A value of the wrong type makes the row bad (kValue), naming column, value and what was expected.
//
// Thread-safe once made. A mapped cell costs 5 to 50 ns more.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/tabular/row_source.h"
#include "platform/tabular/time_format.h"

namespace starling::tabular {

enum class FieldType { kText, kInteger, kNumber, kBoolean, kTime };
enum class Presence { kOptional, kRequired };

struct FieldMapping {
  std::string target;
  std::vector<std::string> from;  // accepted names, the better first
  FieldType type = FieldType::kText;
  Presence presence = Presence::kOptional;
  std::optional<std::string> default_value;
  std::vector<std::string> formats;  // of kTime; of kNumber: comma
};

// Which columns feed each field, in the fields' order; none for a field with only its default.
struct MappedColumns {
  std::vector<std::vector<size_t>> of_field;
  std::vector<std::string> unused;  // columns that no field takes
};

class Mapping {
 public:
  // INVALID_ARGUMENT names the fields that are there twice, have a default of another type, or a
  // format that is none.
  static StatusOr<Mapping> Make(std::vector<FieldMapping> fields);
  // INVALID_ARGUMENT names each mistake with file:line:column. `source` names the text.
  static StatusOr<Mapping> FromYaml(std::string_view text, std::string_view source);

  const std::vector<FieldMapping>& fields() const { return fields_; }
  const TimeFormats& times(size_t field) const { return times_[field]; }
  // Every accepted name: what JsonLinesOptions::more_columns takes.
  std::vector<std::string> SourceNames() const;

  // INVALID_ARGUMENT names each required field without a column, the columns that were there and
  // the nearest one; and accepted names that two columns answer to.
  StatusOr<MappedColumns> Resolve(const std::vector<std::string>& columns,
                                  std::string_view source) const;

 private:
  std::vector<FieldMapping> fields_;
  std::vector<TimeFormats> times_;  // of each field
};

// The rows of `source` as the mapping's fields; bad rows of `source` pass through. FieldMapping's
// order is the columns' order.
StatusOr<std::unique_ptr<RowSource>> Mapped(std::unique_ptr<RowSource> source, Mapping mapping);

}  // namespace starling::tabular
