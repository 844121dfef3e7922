// Writes a service's C++ interface (<contract>.service.h) and everything between it and its callers
// (<contract>.binding.cc): the in-process binding, the gRPC client, and the tables that the gRPC
// server and the HTTP edge run on. See platform/rpc/descriptor.h for what the tables mean.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

namespace starling::codegen {

// False, with what is wrong and where, when a method breaks a rule: no access rule, client
// streaming, an owner or a path variable that names no field, a body that is not a message, ...
bool CheckServices(const google::protobuf::FileDescriptor& file, std::string* error);

// Both are written for every contract, also for one without services, so that the build knows its
// files beforehand.
std::string ServiceHeader(const google::protobuf::FileDescriptor& file);
std::string BindingSource(const google::protobuf::FileDescriptor& file);

}  // namespace starling::codegen
