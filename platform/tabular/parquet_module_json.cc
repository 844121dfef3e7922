// Lists, structs and maps as JSON: a map is an object when its keys are texts, else a list of
// [key, value]; times are RFC 3339, decimals texts, what is no number (NaN) null.
#include <cmath>

#include "platform/tabular/parquet_module_column.h"

namespace starling::tabular {
namespace {

void AppendQuoted(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

// A value that is neither list nor struct: as FillColumn sees it.
bool AppendScalar(const arrow::Array& array, int64_t index, std::string& out) {
  Slice one;
  one.columns = 1;
  one.cells.resize(1);
  one.first = index;
  one.rows = 1;
  FillColumn(array, 0, one);
  const Cell& cell = one.cells[0];
  if (!one.faults.empty()) {
    out = one.faults[0].value;
    return false;
  }
  switch (cell.kind()) {
    case Cell::Kind::kNull:
      out += "null";
      return true;
    case Cell::Kind::kReal:
      out += std::isfinite(cell.real()) ? CellText(cell) : "null";
      return true;
    case Cell::Kind::kText:
    case Cell::Kind::kTime:
      AppendQuoted(CellText(cell), out);
      return true;
    case Cell::Kind::kInteger:
    case Cell::Kind::kBoolean:
    case Cell::Kind::kJson:
      out += CellText(cell);
      return true;
  }
  return true;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the file's schema, which Arrow bounds
bool AppendElements(const arrow::Array& values, int64_t begin, int64_t end, std::string& out) {
  out += '[';
  for (int64_t i = begin; i < end; ++i) {
    if (i > begin) out += ',';
    if (!AppendJson(values, i, out)) return false;
  }
  out += ']';
  return true;
}

// NOLINTNEXTLINE(misc-no-recursion)
bool AppendMap(const arrow::MapArray& map, int64_t index, std::string& out) {
  const arrow::Array& keys = *map.keys();
  const arrow::Type::type type = keys.type_id();
  const bool texts = type == arrow::Type::STRING || type == arrow::Type::LARGE_STRING;
  out += texts ? '{' : '[';
  for (int64_t i = map.value_offset(index); i < map.value_offset(index + 1); ++i) {
    if (i > map.value_offset(index)) out += ',';
    if (!texts) out += '[';
    if (!AppendJson(keys, i, out)) return false;
    out += texts ? ':' : ',';
    if (!AppendJson(*map.items(), i, out)) return false;
    if (!texts) out += ']';
  }
  out += texts ? '}' : ']';
  return true;
}

// NOLINTNEXTLINE(misc-no-recursion)
bool AppendStruct(const arrow::StructArray& object, int64_t index, std::string& out) {
  out += '{';
  for (int i = 0; i < object.num_fields(); ++i) {
    if (i > 0) out += ',';
    AppendQuoted(object.struct_type()->field(i)->name(), out);
    out += ':';
    if (!AppendJson(*object.field(i), index, out)) return false;
  }
  out += '}';
  return true;
}

}  // namespace

// NOLINTNEXTLINE(misc-no-recursion)
bool AppendJson(const arrow::Array& array, int64_t index, std::string& out) {
  if (array.IsNull(index)) {
    out += "null";
    return true;
  }
  switch (array.type_id()) {
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListArray&>(array);
      return AppendElements(*list.values(), list.value_offset(index), list.value_offset(index + 1),
                            out);
    }
    case arrow::Type::LARGE_LIST: {
      const auto& list = static_cast<const arrow::LargeListArray&>(array);
      return AppendElements(*list.values(), list.value_offset(index), list.value_offset(index + 1),
                            out);
    }
    case arrow::Type::MAP:
      return AppendMap(static_cast<const arrow::MapArray&>(array), index, out);
    case arrow::Type::STRUCT:
      return AppendStruct(static_cast<const arrow::StructArray&>(array), index, out);
    default:
      return AppendScalar(array, index, out);
  }
}

}  // namespace starling::tabular
