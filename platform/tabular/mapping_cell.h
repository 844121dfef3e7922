// A foreign cell as a field's type.
#pragma once

#include <optional>
#include <string>

#include "platform/tabular/mapping.h"

namespace starling::tabular {

// Nothing when the cell cannot be it; a null Cell for null, and for blank text of other types than
// text. `kept` holds the text of a cell that had none; it and the cell must outlive the result.
std::optional<Cell> ConvertCell(const Cell& cell, const FieldMapping& field,
                                const TimeFormats& times, std::string& kept);

// "a whole number", "a time (auto or unix)": for errors.
std::string ExpectedOf(const FieldMapping& field, const TimeFormats& times);

std::string_view TypeName(FieldType type);
std::optional<FieldType> TypeByName(std::string_view name);

}  // namespace starling::tabular
