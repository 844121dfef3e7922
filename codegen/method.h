// A method of a contract with its options read and checked: what the generators of bindings and of
// OpenAPI share.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace starling::codegen {

struct HttpBinding {
  std::string verb;                    // "GET"
  std::string path;                    // "/v1/products/{product_id}"
  std::string body;                    // "", "*" or a field's name
  std::vector<std::string> variables;  // "product.product_id"
};

struct Method {
  const google::protobuf::MethodDescriptor* descriptor;
  bool anyone = false;
  bool user = false;
  bool internal = false;
  std::string scope;
  std::string owner;
  int64_t deadline_ns = 5'000'000'000;
  int64_t cache_for_ns = 0;
  int http_status = 200;
  int max_in_flight = 0;
  bool tries_password = false;
  std::string priority;  // "kSheddable", an enumerator of resilience::Priority
  std::vector<HttpBinding> http;
  bool returns_empty = false;
};

// False, with "file:line: service.method: what is wrong; what to do", when a rule is broken.
bool ReadMethod(const google::protobuf::MethodDescriptor& descriptor, Method* method,
                std::string* error);

// The field that a dotted path names, its parents first; empty when there is none.
std::vector<const google::protobuf::FieldDescriptor*> FieldPath(
    const google::protobuf::Descriptor& message, const std::string& path);

// The comment above an element, lines joined by a space, trimmed; "" when there is none.
template <typename Descriptor>
std::string Comment(const Descriptor& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return "";
  std::string text;
  bool space = false;
  for (const char c : location.leading_comments) {
    if (c == '\n' || c == ' ' || c == '\t') {
      space = !text.empty();
    } else {
      if (space) text += ' ';
      space = false;
      text += c;
    }
  }
  return text;
}

}  // namespace starling::codegen
