// Writes the JSON codec of a .proto: <base>.json.h and <base>.json.cc, on top of platform/json.
//
// For every message M, in its own namespace, found by argument-dependent lookup from
// platform/json/codec.h:
//   void WriteJson(const M& message, ::starling::json::Writer& writer);
//   bool ReadJson(::starling::json::Reader& reader, M* message);
//   const ::starling::json::Fields<M>& JsonFields(const M*);
// and WriteJson and ReadJson for every enum. The code is straight lines over the message's own
// accessors: a literal a name, one case a field; no reflection.
#pragma once

#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/descriptor.h>

#include <string>

namespace starling::codegen {

// Writes both files, empty ones for a .proto without messages. False with an error (of proto2, say)
// otherwise.
bool GenerateJson(const google::protobuf::FileDescriptor& file,
                  google::protobuf::compiler::GeneratorContext* context, std::string* error);

}  // namespace starling::codegen
