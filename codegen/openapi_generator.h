// Writes the OpenAPI 3.1 pieces of a service: one operation object a route, one schema a message.
// The process that serves the routes puts the pieces together (platform/rpc/openapi.h).
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <map>
#include <string>

#include "codegen/method.h"

namespace starling::codegen {

// The operation object of the method's `binding`-th route.
std::string OpenApiOperation(const Method& method, int binding);

// The schemas of every message that the service's methods with routes use, by full name. Types that
// the proto3 JSON mapping writes in a form of their own (Timestamp, wrappers, ...) are written in
// place and have none.
std::map<std::string, std::string> OpenApiSchemas(
    const google::protobuf::ServiceDescriptor& service);

}  // namespace starling::codegen
