// The codec for messages that no code was generated for, by protobuf's reflection: what an Any
// holds, and fields whose type is one of google/protobuf's own descriptions (Api, Type). Same text
// as the generated codec, several times slower.
//
// Messages must be of the binary's own classes (the generated factory's), not DynamicMessage.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

namespace starling::json {

class Reader;
class Writer;

void WriteByReflection(const google::protobuf::Message& message, Writer& writer);
[[nodiscard]] bool ReadByReflection(Reader& reader, google::protobuf::Message* message);

// The parts of an object that is open: its fields, and the value of the one field that `key` names.
void WriteFieldsByReflection(const google::protobuf::Message& message, Writer& writer);
[[nodiscard]] bool ReadFieldByReflection(Reader& reader, std::string_view key,
                                         google::protobuf::Message* message);

void WriteEnumByReflection(const google::protobuf::EnumDescriptor& type, int value, Writer& writer);
[[nodiscard]] bool ReadEnumByReflection(const google::protobuf::EnumDescriptor& type,
                                        Reader& reader, int* value);

// Whether the mapping gives the type a form of its own, other than an object of its fields.
bool HasOwnForm(const google::protobuf::Descriptor& type);

}  // namespace starling::json
