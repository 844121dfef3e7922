#include "codegen/method.h"

#include <algorithm>

#include "contracts/options/v1/options.pb.h"
#include "google/api/annotations.pb.h"

namespace starling::codegen {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;

bool Fail(const MethodDescriptor& method, const std::string& what, std::string* error) {
  google::protobuf::SourceLocation location;
  int line = 0;
  if (method.GetSourceLocation(&location)) line = location.start_line + 1;
  *error =
      method.file()->name() + ":" + std::to_string(line) + ": " + method.full_name() + ": " + what;
  return false;
}

int64_t Nanoseconds(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1'000'000'000 + duration.nanos();
}

// The names between braces: "/v1/{product.product_id}/x/{y=z/*}" gives {"product.product_id", "y"}.
std::vector<std::string> Variables(const std::string& path) {
  std::vector<std::string> names;
  for (size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1)) {
    const size_t end = path.find_first_of("=}", at);
    if (end == std::string::npos) break;
    names.push_back(path.substr(at + 1, end - at - 1));
  }
  return names;
}

std::string Priority(options::v1::Priority priority) {
  switch (priority) {
    case options::v1::PRIORITY_SHEDDABLE:
      return "kSheddable";
    case options::v1::PRIORITY_CRITICAL:
      return "kCritical";
    default:
      return "kNormal";
  }
}

bool ReadHttp(const MethodDescriptor& method, const google::api::HttpRule& rule,
              HttpBinding* binding, std::string* error) {
  switch (rule.pattern_case()) {
    case google::api::HttpRule::kGet:
      *binding = {"GET", rule.get(), rule.body(), {}};
      break;
    case google::api::HttpRule::kPut:
      *binding = {"PUT", rule.put(), rule.body(), {}};
      break;
    case google::api::HttpRule::kPost:
      *binding = {"POST", rule.post(), rule.body(), {}};
      break;
    case google::api::HttpRule::kDelete:
      *binding = {"DELETE", rule.delete_(), rule.body(), {}};
      break;
    case google::api::HttpRule::kPatch:
      *binding = {"PATCH", rule.patch(), rule.body(), {}};
      break;
    default:
      return Fail(method, "google.api.http needs one of get, put, post, patch, delete", error);
  }
  if (binding->path.empty() || binding->path[0] != '/') {
    return Fail(method, "the path '" + binding->path + "' must begin with '/'", error);
  }
  if (!rule.response_body().empty()) {
    return Fail(method, "response_body is not known here; answer with the message itself", error);
  }
  if ((binding->verb == "GET" || binding->verb == "DELETE") && !binding->body.empty()) {
    return Fail(method, binding->verb + " takes no body; leave `body` out", error);
  }
  binding->variables = Variables(binding->path);
  for (const std::string& variable : binding->variables) {
    const auto fields = FieldPath(*method.input_type(), variable);
    if (fields.empty()) {
      return Fail(
          method,
          "the path names '" + variable + "', which is no field of " + method.input_type()->name(),
          error);
    }
    if (fields.back()->is_repeated() || fields.back()->type() == FieldDescriptor::TYPE_MESSAGE) {
      return Fail(method, "the path names '" + variable + "', which must be one plain value",
                  error);
    }
  }
  if (!binding->body.empty() && binding->body != "*") {
    const FieldDescriptor* field = method.input_type()->FindFieldByName(binding->body);
    if (field == nullptr || field->is_repeated() ||
        field->type() != FieldDescriptor::TYPE_MESSAGE) {
      return Fail(method,
                  "body '" + binding->body + "' must name a message field of " +
                      method.input_type()->name() + ", or be '*'",
                  error);
    }
  }
  return true;
}

}  // namespace

bool ReadMethod(const MethodDescriptor& descriptor, Method* method, std::string* error) {
  *method = Method{.descriptor = &descriptor};
  if (descriptor.client_streaming()) {
    return Fail(descriptor, "client streaming is not known here; take a batch, or an operation",
                error);
  }
  const auto& options = descriptor.options();
  const auto& access = options.GetExtension(options::v1::access);
  method->anyone = access.anyone();
  method->user = access.user();
  method->internal = access.internal();
  method->scope = access.scope();
  method->owner = access.owner();
  if (!access.anyone() && !access.user() && !access.internal() && access.scope().empty() &&
      access.owner().empty()) {
    return Fail(descriptor,
                "says nobody may call it; add `option (starling.options.v1.access) = {...}` with "
                "one of anyone, user, "
                "scope, owner, internal",
                error);
  }
  if (access.anyone() &&
      (access.user() || access.internal() || !access.scope().empty() || !access.owner().empty())) {
    return Fail(descriptor, "access `anyone` makes every other rule idle; name only what is meant",
                error);
  }
  if (!access.owner().empty()) {
    const auto fields = FieldPath(*descriptor.input_type(), access.owner());
    if (fields.empty() || fields.back()->type() != FieldDescriptor::TYPE_STRING ||
        fields.back()->is_repeated()) {
      return Fail(descriptor,
                  "access owner '" + access.owner() + "' must name a string field of " +
                      descriptor.input_type()->name(),
                  error);
    }
  }
  const auto& call = options.GetExtension(options::v1::call);
  if (call.has_deadline()) method->deadline_ns = Nanoseconds(call.deadline());
  if (call.has_cache_for()) method->cache_for_ns = Nanoseconds(call.cache_for());
  if (method->deadline_ns <= 0) return Fail(descriptor, "its deadline must be above 0", error);
  if (method->cache_for_ns > 0 &&
      options.idempotency_level() != google::protobuf::MethodOptions::NO_SIDE_EFFECTS) {
    return Fail(descriptor, "cache_for needs idempotency_level = NO_SIDE_EFFECTS", error);
  }
  method->max_in_flight = call.max_in_flight();
  method->tries_password = call.tries_password();
  method->priority = Priority(call.priority());
  if (method->tries_password && !method->anyone) {
    return Fail(descriptor, "tries_password needs access `anyone`: who signs in is nobody yet",
                error);
  }
  method->returns_empty = descriptor.output_type()->full_name() == "google.protobuf.Empty";
  method->http_status = call.http_status() != 0 ? call.http_status()
                        : method->returns_empty ? 204
                                                : 200;
  if (method->http_status < 200 || method->http_status > 299) {
    return Fail(descriptor, "http_status " + std::to_string(method->http_status) + " is no success",
                error);
  }

  if (!options.HasExtension(google::api::http)) {
    if (!method->internal) {
      return Fail(descriptor, "has no google.api.http; give it a route, or access internal", error);
    }
    return true;
  }
  if (method->internal) {
    return Fail(descriptor, "is internal, so it must not have a route; drop google.api.http",
                error);
  }
  const auto& http = options.GetExtension(google::api::http);
  method->http.resize(1 + http.additional_bindings_size());
  if (!ReadHttp(descriptor, http, &method->http[0], error)) return false;
  for (int i = 0; i < http.additional_bindings_size(); ++i) {
    if (!ReadHttp(descriptor, http.additional_bindings(i), &method->http[i + 1], error))
      return false;
  }
  return true;
}

std::vector<const FieldDescriptor*> FieldPath(const google::protobuf::Descriptor& message,
                                              const std::string& path) {
  std::vector<const FieldDescriptor*> fields;
  const google::protobuf::Descriptor* at = &message;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('.', start), path.size());
    const FieldDescriptor* field =
        at == nullptr ? nullptr : at->FindFieldByName(path.substr(start, end - start));
    if (field == nullptr) return {};
    fields.push_back(field);
    at = field->type() == FieldDescriptor::TYPE_MESSAGE ? field->message_type() : nullptr;
    start = end + 1;
  }
  return fields;
}

}  // namespace starling::codegen
