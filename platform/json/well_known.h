// The google.protobuf types that the proto3 JSON mapping gives a form of their own.
//
//   Timestamp   "2024-02-29T12:00:00.500Z"     any offset is taken; up to nine decimals
//   Duration    "-1.500s"
//   FieldMask   "price.currencyCode,title"     read in snake_case too
//   Struct, Value, ListValue                   the JSON itself
//   wrappers    the value alone
//   Any         {"@type":"type.googleapis.com/catalog.v1.Product","title":"..."}; types of this
//   binary only Empty       {}
//
// A Value without a kind is written null; NaN and infinities in it as strings.
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/wrappers.pb.h>

namespace starling::json {

class Reader;
class Writer;

#define STARLING_JSON_WELL_KNOWN(Type)                            \
  void WriteJson(const google::protobuf::Type& message, Writer&); \
  [[nodiscard]] bool ReadJson(Reader&, google::protobuf::Type* message);
STARLING_JSON_WELL_KNOWN(Any)
STARLING_JSON_WELL_KNOWN(BoolValue)
STARLING_JSON_WELL_KNOWN(BytesValue)
STARLING_JSON_WELL_KNOWN(DoubleValue)
STARLING_JSON_WELL_KNOWN(Duration)
STARLING_JSON_WELL_KNOWN(Empty)
STARLING_JSON_WELL_KNOWN(FieldMask)
STARLING_JSON_WELL_KNOWN(FloatValue)
STARLING_JSON_WELL_KNOWN(Int32Value)
STARLING_JSON_WELL_KNOWN(Int64Value)
STARLING_JSON_WELL_KNOWN(ListValue)
STARLING_JSON_WELL_KNOWN(StringValue)
STARLING_JSON_WELL_KNOWN(Struct)
STARLING_JSON_WELL_KNOWN(Timestamp)
STARLING_JSON_WELL_KNOWN(UInt32Value)
STARLING_JSON_WELL_KNOWN(UInt64Value)
STARLING_JSON_WELL_KNOWN(Value)
#undef STARLING_JSON_WELL_KNOWN

void WriteJson(google::protobuf::NullValue value, Writer&);
[[nodiscard]] bool ReadJson(Reader&, google::protobuf::NullValue* value);

}  // namespace starling::json
