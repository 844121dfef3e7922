#include "codegen/names.h"

#include <google/protobuf/compiler/cpp/names.h>

namespace starling::codegen {

namespace pb = google::protobuf;
namespace cpp = google::protobuf::compiler::cpp;

std::string Namespace(const pb::FileDescriptor& file) {
  std::string name;
  for (const char c : file.package()) {
    if (c == '.') {
      name += "::";
    } else {
      name += c;
    }
  }
  return name;
}

std::string ClassName(const pb::Descriptor& message) { return cpp::ClassName(&message); }
std::string QualifiedName(const pb::Descriptor& message) {
  return cpp::QualifiedClassName(&message);
}
std::string ClassName(const pb::EnumDescriptor& type) { return cpp::ClassName(&type); }
std::string QualifiedName(const pb::EnumDescriptor& type) { return cpp::QualifiedClassName(&type); }
std::string Accessor(const pb::FieldDescriptor& field) { return cpp::FieldName(&field); }
std::string BaseName(const pb::FileDescriptor& file) { return cpp::StripProto(file.name()); }

std::string PascalCase(std::string_view snake_case) {
  std::string name;
  bool upper = true;
  for (const char c : snake_case) {
    if (c == '_') {
      upper = true;
      continue;
    }
    name += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return name;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace starling::codegen
