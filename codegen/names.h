// What the things of a .proto are called in C++, as protoc's own generator names them.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>

namespace starling::codegen {

// "catalog::v1" for package catalog.v1; "" without a package.
std::string Namespace(const google::protobuf::FileDescriptor& file);

// "Outer_Inner", and with its namespace "::catalog::v1::Outer_Inner".
std::string ClassName(const google::protobuf::Descriptor& message);
std::string QualifiedName(const google::protobuf::Descriptor& message);
std::string ClassName(const google::protobuf::EnumDescriptor& type);
std::string QualifiedName(const google::protobuf::EnumDescriptor& type);

// What stands in the accessors: "title" in title(), set_title(); "class_" for a field named class.
std::string Accessor(const google::protobuf::FieldDescriptor& field);

// "catalog/v1/catalog" of catalog/v1/catalog.proto, to put a suffix to.
std::string BaseName(const google::protobuf::FileDescriptor& file);

// "snake_case_name" to "kSnakeCaseName" is for constants; this gives "SnakeCaseName".
std::string PascalCase(std::string_view snake_case);

// As a C++ literal with its quotes.
std::string Quoted(std::string_view text);

}  // namespace starling::codegen
