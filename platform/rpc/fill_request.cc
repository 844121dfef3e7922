#include "platform/rpc/fill_request.h"

#include <google/protobuf/descriptor.h>

namespace starling::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The text of the string field that a dotted path names; "" for what is unset or no string.
std::string StringAt(const Message& message, std::string_view path) {
  const Message* at = &message;
  while (true) {
    const size_t dot = path.find('.');
    const FieldDescriptor* field =
        at->GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr || field->is_repeated()) return "";
    if (dot == std::string_view::npos) {
      return field->cpp_type() == FieldDescriptor::CPPTYPE_STRING
                 ? at->GetReflection()->GetString(*at, field)
                 : "";
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return "";
    at = &at->GetReflection()->GetMessage(*at, field);
    path.remove_prefix(dot + 1);
  }
}

}  // namespace

Status FillRequest(const HttpRule& rule, const JsonInput& input, Message& request) {
  for (const JsonInput::Field& field : input.query) {
    const std::string_view top = field.name.substr(0, field.name.find('.'));
    if (rule.body == "*" || (!rule.body.empty() && top == rule.body)) {
      return InvalidField(field.name, "belongs into the body, not into the query");
    }
    STARLING_RETURN_IF_ERROR(rule.merge_text(field.name, field.value, request));
  }
  if (rule.parse_body != nullptr) {
    STARLING_RETURN_IF_ERROR(rule.parse_body(input.body, request));
  } else if (!input.body.empty()) {
    return InvalidArgument("{} {} takes no body; {} bytes were sent", rule.verb, rule.path,
                           input.body.size());
  }
  for (const JsonInput::Field& field : input.path) {
    if (!rule.body.empty()) {
      const std::string given = StringAt(request, field.name);
      if (!given.empty() && given != field.value) {
        return InvalidField(field.name,
                            "is '{}' in the body and '{}' in the path; leave it out of the body",
                            given, field.value);
      }
    }
    STARLING_RETURN_IF_ERROR(rule.merge_text(field.name, field.value, request));
  }
  if (!input.if_match.empty() && input.if_match != "*") {
    if (rule.set_etag == nullptr)
      return InvalidField("If-Match", "{} {} knows no entity tags", rule.verb, rule.path);
    rule.set_etag(request, input.if_match);
  }
  return OkStatus();
}

}  // namespace starling::rpc
