// What the generator knows of a service, as constant tables: its methods, who may call them, how
// they look over HTTP, and the functions through which a gRPC server and the HTTP edge reach an
// implementation without knowing its types.
//
// Written by protoc-gen-starling into <contract>.binding.cc, one ServiceDescriptor a service; read
// by everything else in platform/rpc. Immutable, lives as long as the process, free to read from
// any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "platform/async/task.h"
#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/resilience/priority.h"

namespace google::protobuf {
class Message;
}

namespace starling::rpc {

class CallContext;

// Who may call (starling.options.v1.Access). Any way that is set lets a caller in.
struct AccessRule {
  bool anyone = false;
  bool user = false;
  bool internal = false;
  std::string_view scope;  // "" when none
  std::string_view owner;  // the request's field, "" when none
};

enum class Idempotency {
  kUnknown,        // a retry may act twice
  kNoSideEffects,  // it only reads
  kIdempotent,     // a retry acts once
};

// Takes the answers of a server-streaming method as serialised bytes.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Waits while the receiver is slow; CANCELLED once it is gone.
  virtual Task<Status> Write(std::string bytes) = 0;
};

// A request as it comes over HTTP, taken apart. Views live as long as the exchange.
struct JsonInput {
  struct Field {
    std::string_view name;  // "product.product_id"
    std::string_view value;
  };
  std::span<const Field> path;
  std::span<const Field> query;
  std::string_view body;
  std::string_view if_match;  // the entity tag without its quotes; "" when absent
};

// What a unary answer looks like over HTTP.
struct JsonOutput {
  std::string body;
  std::string etag;    // of the answer's field `etag`; "" when it has none
  bool empty = false;  // google.protobuf.Empty: no body
};

// One google.api.http binding of a method.
struct HttpRule {
  std::string_view verb;  // "GET"
  std::string_view path;  // "/v1/products/{product_id}"
  std::string_view body;  // "", "*" or a field's name
  // Sets a field from the text of a path or query parameter.
  Status (*merge_text)(std::string_view path, std::string_view text,
                       google::protobuf::Message& request);
  // Reads the body; a PATCH whose request has an update_mask that is empty gets the fields that the
  // body names. nullptr: takes no body.
  Status (*parse_body)(std::string_view json, google::protobuf::Message& request);
  // nullptr: knows no If-Match.
  void (*set_etag)(google::protobuf::Message& request, std::string_view etag);
};

struct MethodDescriptor {
  std::string_view name;       // "GetProduct"
  std::string_view full_name;  // "starling.catalog.v1.Catalog/GetProduct", the span's name and the
                               // idempotency scope
  std::string_view grpc_path;  // "/starling.catalog.v1.Catalog/GetProduct"
  AccessRule access;
  Idempotency idempotency = Idempotency::kUnknown;
  Duration deadline;
  Duration cache_for{0};
  int http_status = 200;
  int max_in_flight = 0;        // 0: the process' default
  bool tries_password = false;  // UNAUTHENTICATED means that a password was wrong
  resilience::Priority priority = resilience::Priority::kNormal;
  bool server_streaming = false;
  std::span<const HttpRule> http;
  std::span<const std::string_view> openapi;  // one operation object a rule of `http`, as JSON

  // `service` points to the generated interface. One of each pair is set.
  Task<StatusOr<std::string>> (*call_bytes)(void* service, CallContext& context,
                                            std::string_view request) = nullptr;
  Task<Status> (*stream_bytes)(void* service, CallContext& context, std::string_view request,
                               ByteSink& sink) = nullptr;
  Task<Status> (*call_json)(void* service, CallContext& context, const HttpRule& rule,
                            const JsonInput& input, JsonOutput& output) = nullptr;
  Task<Status> (*stream_json)(void* service, CallContext& context, const HttpRule& rule,
                              const JsonInput& input, ByteSink& sink) = nullptr;
};

struct OpenApiSchema {
  std::string_view name;  // "starling.catalog.v1.Product"
  std::string_view json;
};

struct ServiceDescriptor {
  std::string_view name;  // "catalog": what `starling serve`, configuration and metrics call it
  std::string_view full_name;  // "starling.catalog.v1.Catalog"
  std::string_view comment;
  std::span<const MethodDescriptor> methods;
  std::span<const OpenApiSchema> schemas;
};

}  // namespace starling::rpc
