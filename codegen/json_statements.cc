#include "codegen/json_statements.h"

#include <string_view>

#include "codegen/names.h"

namespace starling::codegen {
namespace {

namespace pb = google::protobuf;
using pb::Descriptor;
using pb::EnumDescriptor;
using pb::FieldDescriptor;
using pb::FileDescriptor;

// How a type's values travel, by the name of the Reader's and Writer's functions for it.
struct Scalar {
  std::string_view method;
  std::string_view type;
};

Scalar ScalarOf(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return {"Int32", "int32_t"};
    case FieldDescriptor::CPPTYPE_INT64:
      return {"Int64", "int64_t"};
    case FieldDescriptor::CPPTYPE_UINT32:
      return {"UInt32", "uint32_t"};
    case FieldDescriptor::CPPTYPE_UINT64:
      return {"UInt64", "uint64_t"};
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return {"Double", "double"};
    case FieldDescriptor::CPPTYPE_FLOAT:
      return {"Float", "float"};
    case FieldDescriptor::CPPTYPE_BOOL:
      return {"Bool", "bool"};
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? Scalar{"Bytes", "std::string"}
                                                         : Scalar{"String", "std::string"};
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return {};
}

bool IsNullValue(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM &&
         field.enum_type()->full_name() == "google.protobuf.NullValue";
}

// The namespace whose WriteJson and ReadJson serve a type.
std::string CodecNamespace(const FileDescriptor& file) {
  if (IsProtobufsOwn(file)) return "::starling::json";
  const std::string name = Namespace(file);
  return name.empty() ? "" : "::" + name;
}

}  // namespace

bool IsProtobufsOwn(const FileDescriptor& file) {
  return file.name().rfind("google/protobuf/", 0) == 0;
}

bool HasRuntimeForm(const Descriptor& message) {
  return message.well_known_type() != Descriptor::WELLKNOWNTYPE_UNSPECIFIED ||
         message.full_name() == "google.protobuf.Empty";
}

bool MeansNull(const FieldDescriptor& field) {
  if (field.is_repeated()) return false;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return field.message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_VALUE;
  }
  return IsNullValue(field);
}

bool IsString(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
}
bool IsMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

std::string PresenceCondition(const FieldDescriptor& field) {
  const std::string name = Accessor(field);
  if (field.has_presence()) return "message.has_" + name + "()";
  if (field.is_map() || IsString(field)) return "!message." + name + "().empty()";
  if (field.is_repeated()) return "message." + name + "_size() > 0";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:  // by the bits: -0.0 is not the default
      return "std::bit_cast<uint64_t>(message." + name + "()) != 0";
    case FieldDescriptor::CPPTYPE_FLOAT:
      return "std::bit_cast<uint32_t>(message." + name + "()) != 0";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "message." + name + "()";
    default:
      return "message." + name + "() != 0";
  }
}

std::string WriteStatement(const FieldDescriptor& field, const std::string& value) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    const Descriptor& type = *field.message_type();
    if (IsProtobufsOwn(*type.file()) && !HasRuntimeForm(type)) {
      return "::starling::json::WriteByReflection(" + value + ", writer);";
    }
    return CodecNamespace(*type.file()) + "::WriteJson(" + value + ", writer);";
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    const EnumDescriptor& type = *field.enum_type();
    if (IsProtobufsOwn(*type.file()) && !IsNullValue(field)) {
      return "::starling::json::WriteEnumByReflection(*" + QualifiedName(type) + "_descriptor(), " +
             value + ", writer);";
    }
    return CodecNamespace(*type.file()) + "::WriteJson(static_cast<" + QualifiedName(type) + ">(" +
           value + "), writer);";
  }
  return "writer." + std::string(ScalarOf(field).method) + "(" + value + ");";
}

std::string ReadExpression(const FieldDescriptor& field, const std::string& target) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    const Descriptor& type = *field.message_type();
    if (IsProtobufsOwn(*type.file()) && !HasRuntimeForm(type)) {
      return "::starling::json::ReadByReflection(reader, " + target + ")";
    }
    return CodecNamespace(*type.file()) + "::ReadJson(reader, " + target + ")";
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    const EnumDescriptor& type = *field.enum_type();
    if (IsProtobufsOwn(*type.file()) && !IsNullValue(field)) {
      return "::starling::json::ReadEnumByReflection(*" + QualifiedName(type) +
             "_descriptor(), reader, reinterpret_cast<int*>(" + target + "))";
    }
    return CodecNamespace(*type.file()) + "::ReadJson(reader, " + target + ")";
  }
  return "reader." + std::string(ScalarOf(field).method) + "(" + target + ")";
}

std::string LocalType(const FieldDescriptor& field) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) return QualifiedName(*field.enum_type());
  return std::string(ScalarOf(field).type);
}

}  // namespace starling::codegen
