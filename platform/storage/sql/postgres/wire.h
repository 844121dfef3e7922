// Values as PostgreSQL's protocol carries them: binary, so that bytes travel as they are and a
// number costs no text.
//
//   Parameters parameters;
//   STARLING_RETURN_IF_ERROR(parameters.Encode(arguments));
//   int64_t left = Column{type, bytes}.Int();
//
// An argument's C++ type says its type: int64 BIGINT, double DOUBLE PRECISION, text TEXT, bytes
// BYTEA; what is NULL takes its type from the statement. A column may be of these, of the smaller
// integers and floats, BOOLEAN (as 0 or 1) and NUMERIC (sums of BIGINT are): the port's five kinds.
//
// Pure. Source: PostgreSQL 15 documentation, 55 "Frontend/Backend Protocol"; src/backend/utils/adt
// for the layouts.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/storage/sql/value.h"

namespace starling::sql {

// What PostgreSQL numbers its types with (pg_type.oid); these never change.
enum class PostgresType : uint32_t {
  kUnknown = 0,
  kBool = 16,
  kBytes = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kFloat4 = 700,
  kFloat8 = 701,
  kUnknownLiteral = 705,
  kChar = 1042,
  kVarchar = 1043,
  kNumeric = 1700,
};

// Whether a column of this type can be read through the port.
bool IsKnown(PostgresType type);

// The arguments of one statement. Text and bytes are borrowed.
class Parameters {
 public:
  // INVALID_ARGUMENT for an unsigned integer that does not fit.
  Status Encode(std::span<const Argument> arguments);

  int size() const { return static_cast<int>(types_.size()); }
  const uint32_t* types() const { return types_.data(); }
  const char* const* values() const { return values_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }  // all binary
  // A letter a type: statements are prepared for their types.
  const std::string& signature() const { return signature_; }

 private:
  void Add(PostgresType type, char letter, std::string_view bytes);
  std::vector<uint32_t> types_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
  std::vector<std::array<char, 8>> numbers_;
  std::string signature_;
};

// One column of one row.
struct Column {
  PostgresType type;
  std::string_view bytes;
  bool null = false;

  int64_t Int() const;
  double Real() const;
  // Decimal for a number; borrowed, or kept in `scratch`.
  std::string_view Text(std::string& scratch) const;
  Value Get() const;
};

}  // namespace starling::sql
