#include "platform/json/reflection.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <set>
#include <vector>

#include "platform/base/nearest.h"
#include "platform/json/reader.h"
#include "platform/json/shown.h"
#include "platform/json/well_known.h"
#include "platform/json/writer.h"

namespace starling::json {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using pb::Message;
using pb::Reflection;

// Calls visit(static_cast<Type*>(nullptr)) with the class of a type that has a form of its own.
template <typename Visit>
bool VisitOwnForm(const pb::Descriptor& type, Visit visit) {
  switch (type.well_known_type()) {
    case pb::Descriptor::WELLKNOWNTYPE_UNSPECIFIED:
      return false;
    case pb::Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
      visit(static_cast<pb::DoubleValue*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_FLOATVALUE:
      visit(static_cast<pb::FloatValue*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_INT64VALUE:
      visit(static_cast<pb::Int64Value*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_UINT64VALUE:
      visit(static_cast<pb::UInt64Value*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_INT32VALUE:
      visit(static_cast<pb::Int32Value*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_UINT32VALUE:
      visit(static_cast<pb::UInt32Value*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_STRINGVALUE:
      visit(static_cast<pb::StringValue*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_BYTESVALUE:
      visit(static_cast<pb::BytesValue*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_BOOLVALUE:
      visit(static_cast<pb::BoolValue*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_ANY:
      visit(static_cast<pb::Any*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_FIELDMASK:
      visit(static_cast<pb::FieldMask*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_DURATION:
      visit(static_cast<pb::Duration*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_TIMESTAMP:
      visit(static_cast<pb::Timestamp*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_VALUE:
      visit(static_cast<pb::Value*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_LISTVALUE:
      visit(static_cast<pb::ListValue*>(nullptr));
      return true;
    case pb::Descriptor::WELLKNOWNTYPE_STRUCT:
      visit(static_cast<pb::Struct*>(nullptr));
      return true;
    default:
      return false;
  }
}

// Whether a null is the field's value rather than its absence.
bool MeansNull(const FieldDescriptor& field) {
  if (field.is_repeated()) return false;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return field.message_type()->well_known_type() == pb::Descriptor::WELLKNOWNTYPE_VALUE;
  }
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM &&
         field.enum_type()->full_name() == "google.protobuf.NullValue";
}

// One value of a field: the field itself when index is negative, else its element.
void WriteValue(const Message& message, const FieldDescriptor* field, int index, Writer& writer) {
  const Reflection& reflection = *message.GetReflection();
#define STARLING_GET(Type)                          \
  (index < 0 ? reflection.Get##Type(message, field) \
             : reflection.GetRepeated##Type(message, field, index))
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return writer.Int32(STARLING_GET(Int32));
    case FieldDescriptor::CPPTYPE_INT64:
      return writer.Int64(STARLING_GET(Int64));
    case FieldDescriptor::CPPTYPE_UINT32:
      return writer.UInt32(STARLING_GET(UInt32));
    case FieldDescriptor::CPPTYPE_UINT64:
      return writer.UInt64(STARLING_GET(UInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return writer.Double(STARLING_GET(Double));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return writer.Float(STARLING_GET(Float));
    case FieldDescriptor::CPPTYPE_BOOL:
      return writer.Bool(STARLING_GET(Bool));
    case FieldDescriptor::CPPTYPE_ENUM:
      return WriteEnumByReflection(*field->enum_type(), STARLING_GET(EnumValue), writer);
    case FieldDescriptor::CPPTYPE_STRING:
      return field->type() == FieldDescriptor::TYPE_BYTES ? writer.Bytes(STARLING_GET(String))
                                                          : writer.String(STARLING_GET(String));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return index < 0
                 ? WriteByReflection(reflection.GetMessage(message, field), writer)
                 : WriteByReflection(reflection.GetRepeatedMessage(message, field, index), writer);
  }
#undef STARLING_GET
}

bool KeyBefore(const Message& a, const Message& b, const FieldDescriptor* key) {
  const Reflection& reflection = *a.GetReflection();
  switch (key->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(a, key) < reflection.GetInt32(b, key);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(a, key) < reflection.GetInt64(b, key);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(a, key) < reflection.GetUInt32(b, key);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(a, key) < reflection.GetUInt64(b, key);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(a, key) < reflection.GetBool(b, key);
    default:
      return reflection.GetString(a, key) < reflection.GetString(b, key);
  }
}

void WriteMapKey(const Message& entry, const FieldDescriptor* key, Writer& writer) {
  const Reflection& reflection = *entry.GetReflection();
  switch (key->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return writer.MapKey(reflection.GetInt32(entry, key));
    case FieldDescriptor::CPPTYPE_INT64:
      return writer.MapKey(reflection.GetInt64(entry, key));
    case FieldDescriptor::CPPTYPE_UINT32:
      return writer.MapKey(reflection.GetUInt32(entry, key));
    case FieldDescriptor::CPPTYPE_UINT64:
      return writer.MapKey(reflection.GetUInt64(entry, key));
    case FieldDescriptor::CPPTYPE_BOOL:
      return writer.MapKey(reflection.GetBool(entry, key));
    default:
      return writer.MapKey(std::string_view(reflection.GetString(entry, key)));
  }
}

void WriteMap(const Message& message, const FieldDescriptor* field, Writer& writer) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* const key = field->message_type()->map_key();
  const FieldDescriptor* const value = field->message_type()->map_value();
  std::vector<const Message*> entries;
  entries.reserve(static_cast<size_t>(reflection.FieldSize(message, field)));
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    entries.push_back(&reflection.GetRepeatedMessage(message, field, i));
  }
  std::sort(entries.begin(), entries.end(),
            [key](const Message* a, const Message* b) { return KeyBefore(*a, *b, key); });
  writer.BeginObject();
  for (const Message* entry : entries) {
    WriteMapKey(*entry, key, writer);
    WriteValue(*entry, value, -1, writer);
  }
  writer.EndObject();
}

// Reads one value and sets the field to it, or adds it to a repeated one.
bool ReadValue(Reader& reader, Message* message, const FieldDescriptor* field) {
  const Reflection& reflection = *message->GetReflection();
  const bool add = field->is_repeated();
#define STARLING_READ(Name, Type, Reading)                    \
  {                                                           \
    Type value{};                                             \
    if (!(Reading)) return false;                             \
    if (add) {                                                \
      reflection.Add##Name(message, field, std::move(value)); \
    } else {                                                  \
      reflection.Set##Name(message, field, std::move(value)); \
    }                                                         \
    return true;                                              \
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      STARLING_READ(Int32, int32_t, reader.Int32(&value))
    case FieldDescriptor::CPPTYPE_INT64:
      STARLING_READ(Int64, int64_t, reader.Int64(&value))
    case FieldDescriptor::CPPTYPE_UINT32:
      STARLING_READ(UInt32, uint32_t, reader.UInt32(&value))
    case FieldDescriptor::CPPTYPE_UINT64:
      STARLING_READ(UInt64, uint64_t, reader.UInt64(&value))
    case FieldDescriptor::CPPTYPE_DOUBLE:
      STARLING_READ(Double, double, reader.Double(&value))
    case FieldDescriptor::CPPTYPE_FLOAT:
      STARLING_READ(Float, float, reader.Float(&value))
    case FieldDescriptor::CPPTYPE_BOOL:
      STARLING_READ(Bool, bool, reader.Bool(&value))
    case FieldDescriptor::CPPTYPE_ENUM:
      STARLING_READ(EnumValue, int, ReadEnumByReflection(*field->enum_type(), reader, &value))
    case FieldDescriptor::CPPTYPE_STRING:
      STARLING_READ(String, std::string,
                    field->type() == FieldDescriptor::TYPE_BYTES ? reader.Bytes(&value)
                                                                 : reader.String(&value))
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ReadByReflection(reader, add ? reflection.AddMessage(message, field)
                                          : reflection.MutableMessage(message, field));
  }
#undef STARLING_READ
  return false;
}

// The key as the map holds it, so that "1" and "01" cannot be two; nothing after an error.
template <typename Key, typename Set>
bool ReadKeyAs(Reader& reader, std::string_view text, std::string* canonical, Set set) {
  Key key{};
  if (!internal::ReadMapKey(reader, text, &key)) return false;
  *canonical = internal::MapKeyText(key);
  set(std::move(key));
  return true;
}

bool ReadMapKeyInto(Reader& reader, std::string_view text, Message* entry,
                    const FieldDescriptor* key, std::string* canonical) {
  const Reflection& reflection = *entry->GetReflection();
  switch (key->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return ReadKeyAs<int32_t>(reader, text, canonical,
                                [&](int32_t k) { reflection.SetInt32(entry, key, k); });
    case FieldDescriptor::CPPTYPE_INT64:
      return ReadKeyAs<int64_t>(reader, text, canonical,
                                [&](int64_t k) { reflection.SetInt64(entry, key, k); });
    case FieldDescriptor::CPPTYPE_UINT32:
      return ReadKeyAs<uint32_t>(reader, text, canonical,
                                 [&](uint32_t k) { reflection.SetUInt32(entry, key, k); });
    case FieldDescriptor::CPPTYPE_UINT64:
      return ReadKeyAs<uint64_t>(reader, text, canonical,
                                 [&](uint64_t k) { reflection.SetUInt64(entry, key, k); });
    case FieldDescriptor::CPPTYPE_BOOL:
      return ReadKeyAs<bool>(reader, text, canonical,
                             [&](bool k) { reflection.SetBool(entry, key, k); });
    default:
      return ReadKeyAs<std::string>(reader, text, canonical, [&](std::string k) {
        reflection.SetString(entry, key, std::move(k));
      });
  }
}

std::string MapKeyOf(const Message& entry, const FieldDescriptor* key) {
  const Reflection& reflection = *entry.GetReflection();
  switch (key->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return internal::MapKeyText(reflection.GetInt32(entry, key));
    case FieldDescriptor::CPPTYPE_INT64:
      return internal::MapKeyText(reflection.GetInt64(entry, key));
    case FieldDescriptor::CPPTYPE_UINT32:
      return internal::MapKeyText(reflection.GetUInt32(entry, key));
    case FieldDescriptor::CPPTYPE_UINT64:
      return internal::MapKeyText(reflection.GetUInt64(entry, key));
    case FieldDescriptor::CPPTYPE_BOOL:
      return internal::MapKeyText(reflection.GetBool(entry, key));
    default:
      return reflection.GetString(entry, key);
  }
}

bool ReadMapByReflection(Reader& reader, Message* message, const FieldDescriptor* field) {
  const FieldDescriptor* const key = field->message_type()->map_key();
  const FieldDescriptor* const value = field->message_type()->map_value();
  std::set<std::string> keys;
  // When the field comes a second time, its entries join those of the first.
  const Reflection& reflection = *message->GetReflection();
  for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
    keys.insert(MapKeyOf(reflection.GetRepeatedMessage(*message, field, i), key));
  }
  if (!reader.BeginObject("object")) return false;
  if (reader.Passed('}')) return reader.LeaveLevel();
  do {
    std::string_view text;
    if (!reader.Key() || !reader.DecodeKey(&text)) return false;
    Message* const entry = message->GetReflection()->AddMessage(message, field);
    std::string canonical;
    if (!ReadMapKeyInto(reader, text, entry, key, &canonical)) return reader.InMapEntry(text);
    if (!keys.insert(canonical).second) {
      reader.Invalid("the map has this key twice");
      return reader.InMapEntry(canonical);
    }
    if (!ReadValue(reader, entry, value)) return reader.InMapEntry(canonical);
  } while (reader.Passed(','));
  return reader.EndObject();
}

bool ReadFieldValue(Reader& reader, Message* message, const FieldDescriptor* field) {
  if (!MeansNull(*field) && reader.SkipNull()) return true;
  if (field->is_map()) return ReadMapByReflection(reader, message, field);
  if (field->is_repeated()) {
    return reader.Array([&] { return ReadValue(reader, message, field); });
  }
  if (const pb::OneofDescriptor* oneof = field->real_containing_oneof();
      oneof != nullptr && message->GetReflection()->HasOneof(*message, oneof)) {
    return reader.OneofTaken(oneof->name());
  }
  return ReadValue(reader, message, field);
}

}  // namespace

bool HasOwnForm(const pb::Descriptor& type) {
  return VisitOwnForm(type, [](auto*) {});
}

void WriteByReflection(const Message& message, Writer& writer) {
  const bool own_form = VisitOwnForm(*message.GetDescriptor(), [&]<typename Type>(Type*) {
    WriteJson(static_cast<const Type&>(message), writer);
  });
  if (own_form) return;
  writer.BeginObject();
  WriteFieldsByReflection(message, writer);
  writer.EndObject();
}

bool ReadByReflection(Reader& reader, Message* message) {
  bool read = false;
  const bool own_form = VisitOwnForm(*message->GetDescriptor(), [&]<typename Type>(Type*) {
    read = ReadJson(reader, static_cast<Type*>(message));
  });
  if (own_form) return read;
  if (!reader.BeginObject(message->GetDescriptor()->full_name())) return false;
  if (reader.Passed('}')) return reader.LeaveLevel();
  do {
    std::string_view key;
    if (!reader.Key() || !reader.DecodeKey(&key)) return false;
    if (!ReadFieldByReflection(reader, key, message)) return false;
  } while (reader.Passed(','));
  return reader.EndObject();
}

void WriteFieldsByReflection(const Message& message, Writer& writer) {
  const pb::Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    const int size = field->is_repeated() ? reflection.FieldSize(message, field) : 0;
    if (field->is_repeated() ? size == 0 : !reflection.HasField(message, field)) continue;
    writer.Name(std::string_view(field->name()));
    if (field->is_map()) {
      WriteMap(message, field, writer);
    } else if (field->is_repeated()) {
      writer.BeginArray();
      for (int index = 0; index < size; ++index) WriteValue(message, field, index, writer);
      writer.EndArray();
    } else {
      WriteValue(message, field, -1, writer);
    }
  }
}

bool ReadFieldByReflection(Reader& reader, std::string_view key, Message* message) {
  const pb::Descriptor& type = *message->GetDescriptor();
  std::vector<std::string_view> names;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    if (field->name() == key || field->json_name() == key) {
      return ReadFieldValue(reader, message, field) || reader.InField(field->name());
    }
    names.push_back(field->name());
  }
  return reader.UnknownField(key, names);
}

void WriteEnumByReflection(const pb::EnumDescriptor& type, int value, Writer& writer) {
  if (type.full_name() == "google.protobuf.NullValue") return writer.Null();
  const pb::EnumValueDescriptor* const known = type.FindValueByNumber(value);
  writer.Enum(known != nullptr ? std::string_view(known->name()) : std::string_view(), value);
}

bool ReadEnumByReflection(const pb::EnumDescriptor& type, Reader& reader, int* value) {
  if (type.full_name() == "google.protobuf.NullValue" && reader.SkipNull()) {
    *value = 0;
    return true;
  }
  const char c = reader.Peek();
  if (c == '-' || (c >= '0' && c <= '9')) return reader.Int32(value);
  std::string_view name;
  if (!reader.Text(type.full_name(), &name)) return false;
  if (const auto* known = type.FindValueByName({name.data(), name.size()}); known != nullptr) {
    *value = known->number();
    return true;
  }
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(type.value_count()));
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return reader.Invalid(fmt::format("'{}' is no value of {}{}", Shown(name), type.full_name(),
                                    DidYouMean(name, names)));
}

}  // namespace starling::json
