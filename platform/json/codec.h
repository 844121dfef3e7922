// Protobuf messages as JSON, by the proto3 JSON mapping with snake_case names.
//
//   #include "catalog/v1/catalog.json.h"          // generated; declares what the functions below
//   find
//
//   std::string body = json::ToJson(product);     // {"product_id":"p-1","price":{"units":"12"}}
//   STARLING_RETURN_IF_ERROR(json::FromJson(body, &product));
//
// Writing: fields without presence are left out when they hold their default, 64-bit integers are
// strings, enums are names, map entries are sorted by key, so equal messages give equal bytes.
// Bytes that are no UTF-8 become U+FFFD. What JSON cannot say (a Timestamp outside the years 1 to
// 9999, an Any of an unknown type) is written as null by ToJson and AppendJson; ToJsonChecked
// refuses it.
//
// Reading: replaces the message. Takes each field under its own name and its json_name
// (lowerCamelCase), integers as numbers or strings, null as absent. Refuses, with INVALID_ARGUMENT:
//   malformed JSON          "malformed JSON at byte 17: expected ',' or '}' after a value, found
//   ']'" an unknown field        "product.prcie: unknown field (did you mean 'price'?)" a wrong
//   type or value   "items[3].price.units: expected int64, found string "many"" more than 64 levels
//   of objects and arrays, more than one member of a oneof, a map key twice, null in an array.
// A singular field that comes twice: the last wins; messages are merged and arrays appended, as
// protobuf does. After an error the message holds what was read until then.
//
// Thread-safe. Cost: for 3 kB of typical JSON 1.6 us to write, 6 us to read (bench_json); a thread
// keeps its buffers (for at most 256 KiB of text) for the next document.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/json/reader.h"
#include "platform/json/well_known.h"
#include "platform/json/writer.h"

namespace starling::json {

template <typename M>
void AppendJson(const M& message, std::string& out) {
  Writer writer;
  WriteJson(message, writer);
  out.append(writer.text());
}

template <typename M>
[[nodiscard]] std::string ToJson(const M& message) {
  Writer writer;
  WriteJson(message, writer);
  return std::string(writer.text());
}

// As ToJson; INTERNAL when the message holds something that JSON cannot say.
template <typename M>
[[nodiscard]] StatusOr<std::string> ToJsonChecked(const M& message) {
  Writer writer;
  WriteJson(message, writer);
  STARLING_RETURN_IF_ERROR(writer.status());
  return std::string(writer.text());
}

template <typename M>
[[nodiscard]] Status FromJson(std::string_view json, M* message) {
  message->Clear();
  Reader reader(json);
  return reader.Finish(ReadJson(reader, message));
}

// The names (as in the .proto) of the fields that the JSON object had, null ones too, in its order:
// what an update_mask is made from when the caller sent none.
template <typename M>
[[nodiscard]] StatusOr<std::vector<std::string>> FromJsonNamingFields(std::string_view json,
                                                                      M* message) {
  message->Clear();
  Reader reader(json);
  reader.CollectTopLevelFields();
  STARLING_RETURN_IF_ERROR(reader.Finish(ReadJson(reader, message)));
  return reader.top_level_fields();
}

// The whole text is the value of one field of the message (google.api.http `body: "product"`); the
// field may be of any type, the message's other fields stay as they are. Errors name the path from
// the message on: "product.price.units". INTERNAL when the message has no such field.
template <typename M>
[[nodiscard]] Status FieldFromJson(std::string_view json, std::string_view field, M* message) {
  Reader reader(json);
  return reader.Finish(ReadField(reader, JsonFields(message), field, message));
}

// FieldFromJson, and the names of the fields that the value's own object had.
template <typename M>
[[nodiscard]] StatusOr<std::vector<std::string>> FieldFromJsonNamingFields(std::string_view json,
                                                                           std::string_view field,
                                                                           M* message) {
  Reader reader(json);
  reader.CollectTopLevelFields();
  STARLING_RETURN_IF_ERROR(reader.Finish(ReadField(reader, JsonFields(message), field, message)));
  return reader.top_level_fields();
}

// Sets one field from plain text, as it stands (decoded) in a URL's path or query:
// MergeText("page.size", "10", &m). The path goes through messages by dots; text for a repeated
// field is one more element; bool, enum names and numbers, Timestamp and so on are written as in
// JSON but without quotes. Errors as FromJson's.
template <typename M>
[[nodiscard]] Status MergeText(std::string_view path, std::string_view text, M* message) {
  Reader reader = Reader::OfText(path, text);
  return reader.Finish(ReadJson(reader, message));
}

}  // namespace starling::json
