// The C++ that reads and writes one value in the generated JSON codec, by the kind of its field.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

namespace starling::codegen {

// Whether a .proto is one of protobuf's own, whose codec is in platform/json.
bool IsProtobufsOwn(const google::protobuf::FileDescriptor& file);

// Whether a null is the field's value rather than its absence.
bool MeansNull(const google::protobuf::FieldDescriptor& field);

bool IsString(const google::protobuf::FieldDescriptor& field);  // or bytes
bool IsMessage(const google::protobuf::FieldDescriptor& field);

// The condition on `message` under which the field is written.
std::string PresenceCondition(const google::protobuf::FieldDescriptor& field);

// A statement that writes the expression `value` to `writer`.
std::string WriteStatement(const google::protobuf::FieldDescriptor& field,
                           const std::string& value);

// An expression that reads from `reader` into `target`, a pointer to the value, and is false after
// an error.
std::string ReadExpression(const google::protobuf::FieldDescriptor& field,
                           const std::string& target);

// The type of a local that holds one value of a scalar or enum field.
std::string LocalType(const google::protobuf::FieldDescriptor& field);

}  // namespace starling::codegen
