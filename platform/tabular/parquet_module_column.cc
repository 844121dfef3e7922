#include "platform/tabular/parquet_module_column.h"

#include <arrow/util/decimal.h>
#include <simdjson.h>

#include <limits>

namespace starling::tabular {
namespace {

// make(array, index in it, row of the slice) gives the cell of a value that is not null.
template <typename Array, typename MakeCell>
void Each(const arrow::Array& untyped, size_t column, Slice& slice, const MakeCell& make) {
  const auto& array = static_cast<const Array&>(untyped);
  const bool nulls = array.null_count() > 0;
  for (int64_t row = 0; row < slice.rows; ++row) {
    const int64_t index = slice.first + row;
    slice.At(row, column) = nulls && array.IsNull(index) ? Cell() : make(array, index, row);
  }
}

template <typename Array>
void FillIntegers(const arrow::Array& array, size_t column, Slice& slice) {
  Each<Array>(array, column, slice, [&](const Array& values, int64_t index, int64_t) {
    const auto value = values.Value(index);
    if constexpr (std::is_same_v<decltype(value), const uint64_t>) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return slice.KeptText(fmt::format("{}", value));
      }
    }
    return Cell::Integer(static_cast<int64_t>(value));
  });
}

template <typename Array>
void FillReals(const arrow::Array& array, size_t column, Slice& slice) {
  Each<Array>(array, column, slice, [](const Array& values, int64_t index, int64_t) {
    return Cell::Real(values.Value(index));
  });
}

Cell Faulty(Slice& slice, int64_t row, size_t column, Fault fault, std::string_view value,
            std::string reason) {
  slice.faults.push_back({row, column, fault, ShownValue(value), std::move(reason)});
  return {};
}

Cell CheckedText(Slice& slice, int64_t row, size_t column, std::string_view text) {
  if (FirstInvalidUtf8(text) < text.size()) {
    return Faulty(slice, row, column, Fault::kUtf8, text,
                  "bytes that are no UTF-8; leave the column out, or convert it");
  }
  if (text.size() > std::numeric_limits<uint32_t>::max()) {
    return Faulty(slice, row, column, Fault::kTooLarge, text.substr(0, 2 * kMaxShownBytes),
                  "the text has 4 GiB or more");
  }
  return Cell::Text(text);
}

bool IsInsideCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// The bytes of all texts are checked at once. They may be UTF-8 together though a text is not: when
// a character is begun in one text and ended in the next, which the first byte of each tells.
template <typename Array>
void FillTexts(const arrow::Array& untyped, size_t column, Slice& slice) {
  const auto& array = static_cast<const Array&>(untyped);
  const auto size = static_cast<size_t>(array.value_offset(slice.first + slice.rows) -
                                        array.value_offset(slice.first));
  const char* const begin = size == 0 ? nullptr
                                      : reinterpret_cast<const char*>(array.value_data()->data()) +
                                            array.value_offset(slice.first);
  const char* const end = begin + size;
  const bool together = size <= std::numeric_limits<uint32_t>::max() &&
                        (size == 0 || simdjson::validate_utf8(begin, size));
  Each<Array>(array, column, slice, [&](const Array& values, int64_t index, int64_t row) {
    const std::string_view text = values.GetView(index);
    if (text.empty()) return Cell::Text("");
    const char* const next = text.data() + text.size();
    if (!together || IsInsideCharacter(text[0]) || (next < end && IsInsideCharacter(*next)))
        [[unlikely]] {
      return CheckedText(slice, row, column, text);
    }
    return Cell::Text(text);
  });
}

template <typename Array>
void FillDictionary(const arrow::DictionaryArray& untyped, size_t column, Slice& slice) {
  const auto& entries = static_cast<const Array&>(*untyped.dictionary());
  Each<arrow::DictionaryArray>(
      untyped, column, slice,
      [&](const arrow::DictionaryArray& values, int64_t index, int64_t row) {
        const int64_t entry = values.GetValueIndex(index);
        if (entries.IsNull(entry)) return Cell();
        return CheckedText(slice, row, column, entries.GetView(entry));
      });
}

// `unit`: nanoseconds of one.
template <typename Array>
void FillTimes(const arrow::Array& array, size_t column, Slice& slice, int64_t unit) {
  Each<Array>(array, column, slice, [&](const Array& values, int64_t index, int64_t row) {
    int64_t nanoseconds = 0;
    const auto value = static_cast<int64_t>(values.Value(index));
    if (__builtin_mul_overflow(value, unit, &nanoseconds)) [[unlikely]] {
      return Faulty(slice, row, column, Fault::kValue, fmt::format("{}", value),
                    "a time outside the years 1678 to 2261");
    }
    return Cell::Time(TimePoint(Duration(nanoseconds)));
  });
}

int64_t Nanoseconds(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1'000'000'000;
    case arrow::TimeUnit::MILLI:
      return 1'000'000;
    case arrow::TimeUnit::MICRO:
      return 1'000;
    case arrow::TimeUnit::NANO:
      return 1;
  }
  return 1;
}

template <typename Array>
void FillDecimals(const arrow::Array& array, size_t column, Slice& slice) {
  Each<Array>(array, column, slice, [&](const Array& values, int64_t index, int64_t) {
    return slice.KeptText(values.FormatValue(index));
  });
}

void FillJson(const arrow::Array& array, size_t column, Slice& slice) {
  Each<arrow::Array>(
      array, column, slice, [&](const arrow::Array& values, int64_t index, int64_t row) {
        std::string json;
        if (!AppendJson(values, index, json)) {
          return Faulty(slice, row, column, Fault::kUtf8, json, "bytes that are no UTF-8");
        }
        return Cell::Json(slice.texts.emplace_back(std::move(json)));
      });
}

void FillAnyDictionary(const arrow::DictionaryArray& array, size_t column, Slice& slice) {
  const arrow::Type::type type = array.dictionary()->type_id();
  if (type == arrow::Type::LARGE_STRING || type == arrow::Type::LARGE_BINARY) {
    return FillDictionary<arrow::LargeBinaryArray>(array, column, slice);
  }
  FillDictionary<arrow::BinaryArray>(array, column, slice);
}

}  // namespace

void FillColumn(const arrow::Array& array, size_t column, Slice& slice) {
  using arrow::Type;
  switch (array.type_id()) {
    case Type::BOOL:
      return Each<arrow::BooleanArray>(
          array, column, slice, [](const arrow::BooleanArray& values, int64_t index, int64_t) {
            return Cell::Boolean(values.Value(index));
          });
    case Type::INT8:
      return FillIntegers<arrow::Int8Array>(array, column, slice);
    case Type::INT16:
      return FillIntegers<arrow::Int16Array>(array, column, slice);
    case Type::INT32:
      return FillIntegers<arrow::Int32Array>(array, column, slice);
    case Type::INT64:
      return FillIntegers<arrow::Int64Array>(array, column, slice);
    case Type::UINT8:
      return FillIntegers<arrow::UInt8Array>(array, column, slice);
    case Type::UINT16:
      return FillIntegers<arrow::UInt16Array>(array, column, slice);
    case Type::UINT32:
      return FillIntegers<arrow::UInt32Array>(array, column, slice);
    case Type::UINT64:
      return FillIntegers<arrow::UInt64Array>(array, column, slice);
    case Type::FLOAT:
      return FillReals<arrow::FloatArray>(array, column, slice);
    case Type::DOUBLE:
      return FillReals<arrow::DoubleArray>(array, column, slice);
    case Type::STRING:
    case Type::BINARY:
      return FillTexts<arrow::BinaryArray>(array, column, slice);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return FillTexts<arrow::LargeBinaryArray>(array, column, slice);
    case Type::DATE32:
      return FillTimes<arrow::Date32Array>(array, column, slice, 86'400'000'000'000);
    case Type::DATE64:
      return FillTimes<arrow::Date64Array>(array, column, slice, 1'000'000);
    case Type::TIMESTAMP:
      return FillTimes<arrow::TimestampArray>(
          array, column, slice,
          Nanoseconds(static_cast<const arrow::TimestampType&>(*array.type()).unit()));
    case Type::DECIMAL128:
      return FillDecimals<arrow::Decimal128Array>(array, column, slice);
    case Type::DECIMAL256:
      return FillDecimals<arrow::Decimal256Array>(array, column, slice);
    case Type::DICTIONARY:
      return FillAnyDictionary(static_cast<const arrow::DictionaryArray&>(array), column, slice);
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::STRUCT:
    case Type::MAP:
      return FillJson(array, column, slice);
    default:  // Type::NA; others were refused
      for (int64_t row = 0; row < slice.rows; ++row) slice.At(row, column) = Cell();
  }
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the file's schema, which Arrow bounds
bool IsReadable(const arrow::DataType& type) {
  using arrow::Type;
  switch (type.id()) {
    case Type::NA:
    case Type::BOOL:
    case Type::INT8:
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
    case Type::FLOAT:
    case Type::DOUBLE:
    case Type::STRING:
    case Type::BINARY:
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIMESTAMP:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return true;
    case Type::DICTIONARY: {
      const Type::type value = static_cast<const arrow::DictionaryType&>(type).value_type()->id();
      return value == Type::STRING || value == Type::LARGE_STRING || value == Type::BINARY ||
             value == Type::LARGE_BINARY;
    }
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::STRUCT:
    case Type::MAP:
      for (const auto& field : type.fields()) {
        if (!IsReadable(*field->type())) return false;
      }
      return true;
    default:
      return false;
  }
}

}  // namespace starling::tabular
