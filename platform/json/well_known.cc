#include "platform/json/well_known.h"

#include "platform/json/reader.h"
#include "platform/json/shown.h"
#include "platform/json/time_text.h"
#include "platform/json/writer.h"

namespace starling::json {

namespace pb = google::protobuf;

#define STARLING_JSON_WRAPPER(Type, Value, Method)                                            \
  void WriteJson(const pb::Type& message, Writer& writer) { writer.Method(message.value()); } \
  bool ReadJson(Reader& reader, pb::Type* message) {                                          \
    Value value{};                                                                            \
    if (!reader.Method(&value)) return false;                                                 \
    message->set_value(std::move(value));                                                     \
    return true;                                                                              \
  }
STARLING_JSON_WRAPPER(BoolValue, bool, Bool)
STARLING_JSON_WRAPPER(BytesValue, std::string, Bytes)
STARLING_JSON_WRAPPER(DoubleValue, double, Double)
STARLING_JSON_WRAPPER(FloatValue, float, Float)
STARLING_JSON_WRAPPER(Int32Value, int32_t, Int32)
STARLING_JSON_WRAPPER(Int64Value, int64_t, Int64)
STARLING_JSON_WRAPPER(StringValue, std::string, String)
STARLING_JSON_WRAPPER(UInt32Value, uint32_t, UInt32)
STARLING_JSON_WRAPPER(UInt64Value, uint64_t, UInt64)
#undef STARLING_JSON_WRAPPER

void WriteJson(const pb::Timestamp& message, Writer& writer) {
  if (const auto text = TimestampText({message.seconds(), message.nanos()}))
    return writer.Plain(*text);
  writer.Unrepresentable(Internal("a Timestamp of {} s and {} ns is outside the years 1 to 9999",
                                  message.seconds(), message.nanos()));
}

bool ReadJson(Reader& reader, pb::Timestamp* message) {
  std::string_view text;
  if (!reader.Text("a time as \"2024-02-29T12:00:00Z\"", &text)) return false;
  const std::optional<SecondsAndNanos> time = ParseTimestamp(text);
  if (!time) {
    return reader.Invalid(
        fmt::format("expected a time as \"2024-02-29T12:00:00Z\", found \"{}\"", Shown(text)));
  }
  message->set_seconds(time->seconds);
  message->set_nanos(time->nanos);
  return true;
}

void WriteJson(const pb::Duration& message, Writer& writer) {
  if (const auto text = DurationText({message.seconds(), message.nanos()}))
    return writer.Plain(*text);
  writer.Unrepresentable(
      Internal("a Duration of {} s and {} ns is beyond 10,000 years or of mixed signs",
               message.seconds(), message.nanos()));
}

bool ReadJson(Reader& reader, pb::Duration* message) {
  std::string_view text;
  if (!reader.Text("a duration as \"1.5s\"", &text)) return false;
  const std::optional<SecondsAndNanos> duration = ParseDuration(text);
  if (!duration) {
    return reader.Invalid(
        fmt::format("expected a duration as \"1.5s\", found \"{}\"", Shown(text)));
  }
  message->set_seconds(duration->seconds);
  message->set_nanos(duration->nanos);
  return true;
}

void WriteJson(const pb::FieldMask& message, Writer& writer) {
  std::string text;
  for (const std::string& path : message.paths()) {
    if (!text.empty()) text += ',';
    bool upper = false;
    bool reversible = true;
    for (const char c : path) {
      if (c == '_') {
        reversible = reversible && !upper;
        upper = true;
        continue;
      }
      const bool lower_case = c >= 'a' && c <= 'z';
      reversible = reversible && (upper ? lower_case : !(c >= 'A' && c <= 'Z'));
      text += upper && lower_case ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
    }
    if (!reversible || upper) {
      writer.Note(Internal(
          "the FieldMask path '{}' is not snake_case, so JSON cannot hold it exactly", path));
    }
  }
  writer.String(text);
}

bool ReadJson(Reader& reader, pb::FieldMask* message) {
  std::string_view text;
  if (!reader.Text("field paths as \"title,price.currencyCode\"", &text)) return false;
  std::string path;
  const auto finish = [&] {
    if (!path.empty()) message->add_paths(std::move(path));
    path.clear();
  };
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (c == ',') {
      finish();
    } else if (upper) {
      path += '_';
      path += static_cast<char>(c - 'A' + 'a');
    } else if (c == '.' || c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      path += c;
    } else {
      return reader.Invalid(fmt::format(
          "expected field paths as \"title,price.currencyCode\", found \"{}\"", Shown(text)));
    }
  }
  finish();
  return true;
}

void WriteJson(const pb::Struct& message, Writer& writer) {
  writer.Map(message.fields(), [&](const pb::Value& value) { WriteJson(value, writer); });
}

bool ReadJson(Reader& reader, pb::Struct* message) {
  return ReadMap(reader, message->mutable_fields(),
                 [&](pb::Value* value) { return ReadJson(reader, value); });
}

void WriteJson(const pb::ListValue& message, Writer& writer) {
  writer.BeginArray();
  for (const pb::Value& value : message.values()) WriteJson(value, writer);
  writer.EndArray();
}

bool ReadJson(Reader& reader, pb::ListValue* message) {
  return reader.Array([&] { return ReadJson(reader, message->add_values()); });
}

void WriteJson(const pb::Value& message, Writer& writer) {
  switch (message.kind_case()) {
    case pb::Value::kBoolValue:
      return writer.Bool(message.bool_value());
    case pb::Value::kNumberValue:
      return writer.Double(message.number_value());
    case pb::Value::kStringValue:
      return writer.String(message.string_value());
    case pb::Value::kStructValue:
      return WriteJson(message.struct_value(), writer);
    case pb::Value::kListValue:
      return WriteJson(message.list_value(), writer);
    case pb::Value::kNullValue:
    case pb::Value::KIND_NOT_SET:
      return writer.Null();
  }
}

bool ReadJson(Reader& reader, pb::Value* message) {
  switch (reader.Peek()) {
    case '{':
      return ReadJson(reader, message->mutable_struct_value());
    case '[':
      return ReadJson(reader, message->mutable_list_value());
    case '"':
      return reader.String(message->mutable_string_value());
    case 't':
    case 'f': {
      bool value = false;
      if (!reader.Bool(&value)) return false;
      message->set_bool_value(value);
      return true;
    }
    case 'n':
      message->set_null_value(pb::NULL_VALUE);
      return reader.SkipNull() || reader.Expected("a value");
    default: {
      double value = 0;
      if (!reader.Double(&value)) return false;
      message->set_number_value(value);
      return true;
    }
  }
}

void WriteJson(pb::NullValue, Writer& writer) { writer.Null(); }

bool ReadJson(Reader& reader, pb::NullValue* value) {
  *value = pb::NULL_VALUE;
  if (reader.SkipNull()) return true;
  static constexpr std::string_view kNames[] = {"NULL_VALUE"};
  static constexpr int32_t kZero = 0;
  static constexpr EnumNames kNullValue = {
      "google.protobuf.NullValue", kNames,
      [](std::string_view name) { return name == kNames[0] ? &kZero : nullptr; }};
  int32_t number = 0;
  if (!reader.Enum(kNullValue, &number)) return false;
  *value = static_cast<pb::NullValue>(number);
  return true;
}

void WriteJson(const pb::Empty&, Writer& writer) {
  writer.BeginObject();
  writer.EndObject();
}

bool ReadJson(Reader& reader, pb::Empty* message) {
  static constexpr Fields<pb::Empty> kEmpty = {"google.protobuf.Empty",
                                               {},
                                               [](std::string_view) { return -1; },
                                               [](Reader&, int, pb::Empty*) { return false; }};
  return ReadObject(reader, kEmpty, message);
}

}  // namespace starling::json
