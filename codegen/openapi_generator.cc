#include "codegen/openapi_generator.h"

#include <algorithm>
#include <vector>

namespace starling::codegen {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += ' ';
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string Reference(const Descriptor& message) {
  return "{\"$ref\":\"#/components/schemas/" + message.full_name() + "\"}";
}

// The schema of a well-known type, or "" for a message of its own.
std::string WellKnown(const std::string& name) {
  static const std::map<std::string, std::string> schemas = {
      {"google.protobuf.Timestamp", R"({"type":"string","format":"date-time"})"},
      {"google.protobuf.Duration", R"({"type":"string","pattern":"^-?[0-9]+(\\.[0-9]{1,9})?s$"})"},
      {"google.protobuf.FieldMask",
       R"({"type":"string","description":"Field names, separated by commas."})"},
      {"google.protobuf.Empty", R"({"type":"object"})"},
      {"google.protobuf.Struct", R"({"type":"object","additionalProperties":true})"},
      {"google.protobuf.Value", "{}"},
      {"google.protobuf.ListValue", R"({"type":"array","items":{}})"},
      {"google.protobuf.Any",
       R"({"type":"object","required":["@type"],"additionalProperties":true})"},
      {"google.protobuf.StringValue", R"({"type":["string","null"]})"},
      {"google.protobuf.BytesValue", R"({"type":["string","null"],"contentEncoding":"base64"})"},
      {"google.protobuf.BoolValue", R"({"type":["boolean","null"]})"},
      {"google.protobuf.Int32Value", R"({"type":["integer","null"],"format":"int32"})"},
      {"google.protobuf.UInt32Value", R"({"type":["integer","null"],"minimum":0})"},
      {"google.protobuf.Int64Value", R"({"type":["string","null"],"format":"int64"})"},
      {"google.protobuf.UInt64Value", R"({"type":["string","null"],"format":"uint64"})"},
      {"google.protobuf.FloatValue", R"({"type":["number","null"],"format":"float"})"},
      {"google.protobuf.DoubleValue", R"({"type":["number","null"],"format":"double"})"},
  };
  const auto at = schemas.find(name);
  return at == schemas.end() ? "" : at->second;
}

std::string SingleSchema(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_BOOL:
      return R"({"type":"boolean"})";
    case FieldDescriptor::TYPE_STRING:
      return R"({"type":"string"})";
    case FieldDescriptor::TYPE_BYTES:
      return R"({"type":"string","contentEncoding":"base64"})";
    case FieldDescriptor::TYPE_DOUBLE:
      return R"({"type":"number","format":"double"})";
    case FieldDescriptor::TYPE_FLOAT:
      return R"({"type":"number","format":"float"})";
    case FieldDescriptor::TYPE_INT32:
    case FieldDescriptor::TYPE_SINT32:
    case FieldDescriptor::TYPE_SFIXED32:
      return R"({"type":"integer","format":"int32"})";
    case FieldDescriptor::TYPE_UINT32:
    case FieldDescriptor::TYPE_FIXED32:
      return R"({"type":"integer","minimum":0,"maximum":4294967295})";
    case FieldDescriptor::TYPE_INT64:
    case FieldDescriptor::TYPE_SINT64:
    case FieldDescriptor::TYPE_SFIXED64:
      return R"({"type":"string","format":"int64"})";
    case FieldDescriptor::TYPE_UINT64:
    case FieldDescriptor::TYPE_FIXED64:
      return R"({"type":"string","format":"uint64"})";
    case FieldDescriptor::TYPE_ENUM: {
      std::string values;
      std::string text = Comment(*field.enum_type());
      for (int i = 0; i < field.enum_type()->value_count(); ++i) {
        const auto& value = *field.enum_type()->value(i);
        values += (i > 0 ? "," : "") + Quote(value.name());
        text += " " + value.name() + ": " + Comment(value);
      }
      return "{\"type\":\"string\",\"enum\":[" + values + "],\"description\":" + Quote(text) + "}";
    }
    default: {
      const std::string known = WellKnown(field.message_type()->full_name());
      return known.empty() ? Reference(*field.message_type()) : known;
    }
  }
}

std::string WithDescription(const std::string& schema, const std::string& description) {
  if (description.empty() || schema.find("\"description\":") != std::string::npos) return schema;
  if (schema == "{}") return "{\"description\":" + Quote(description) + "}";
  return schema.substr(0, schema.size() - 1) + ",\"description\":" + Quote(description) + "}";
}

std::string FieldSchema(const FieldDescriptor& field) {
  std::string schema;
  if (field.is_map()) {
    schema = "{\"type\":\"object\",\"additionalProperties\":" +
             SingleSchema(*field.message_type()->map_value()) + "}";
  } else if (field.is_repeated()) {
    schema = "{\"type\":\"array\",\"items\":" + SingleSchema(field) + "}";
  } else {
    schema = SingleSchema(field);
  }
  return WithDescription(schema, Comment(field));
}

void Collect(const Descriptor& message, std::map<std::string, std::string>& schemas) {
  if (!WellKnown(message.full_name()).empty() || schemas.contains(message.full_name())) return;
  std::string properties;
  schemas[message.full_name()] = "";
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    properties += (i > 0 ? "," : "") + Quote(field.name()) + ":" + FieldSchema(field);
    const FieldDescriptor* value = field.is_map() ? field.message_type()->map_value() : &field;
    if (value->type() == FieldDescriptor::TYPE_MESSAGE) Collect(*value->message_type(), schemas);
  }
  schemas[message.full_name()] = WithDescription(
      "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" + properties + "}}",
      Comment(message));
}

std::string Parameter(const std::string& name, const std::string& in, const std::string& schema,
                      const std::string& description) {
  return "{\"name\":" + Quote(name) + ",\"in\":\"" + in + "\"" +
         (in == "path" ? ",\"required\":true" : "") +
         (description.empty() ? "" : ",\"description\":" + Quote(description)) +
         ",\"schema\":" + schema + "}";
}

bool IsQueryField(const FieldDescriptor& field) {
  if (field.is_map()) return false;
  if (field.type() != FieldDescriptor::TYPE_MESSAGE) return true;
  const std::string& name = field.message_type()->full_name();
  return !field.is_repeated() &&
         (name == "google.protobuf.Timestamp" || name == "google.protobuf.Duration" ||
          name == "google.protobuf.FieldMask");
}

}  // namespace

std::string OpenApiOperation(const Method& method, int binding) {
  const HttpBinding& http = method.http[binding];
  const auto& descriptor = *method.descriptor;
  const Descriptor& input = *descriptor.input_type();
  std::vector<std::string> parameters;
  for (const std::string& variable : http.variables) {
    const FieldDescriptor& field = *FieldPath(input, variable).back();
    parameters.push_back(Parameter(variable, "path", SingleSchema(field), Comment(field)));
  }
  if (http.body != "*") {
    for (int i = 0; i < input.field_count(); ++i) {
      const FieldDescriptor& field = *input.field(i);
      const bool in_path = std::find(http.variables.begin(), http.variables.end(), field.name()) !=
                           http.variables.end();
      if (in_path || field.name() == http.body || !IsQueryField(field)) continue;
      std::string schema = FieldSchema(field);
      parameters.push_back(Parameter(field.name(), "query", schema, Comment(field)));
    }
  }
  const bool reads =
      descriptor.options().idempotency_level() == google::protobuf::MethodOptions::NO_SIDE_EFFECTS;
  if (!reads) {
    parameters.push_back(
        Parameter("Idempotency-Key", "header", R"({"type":"string","maxLength":255})",
                  "Sent again with the same key within 24 hours, the call gives its caller the "
                  "answer of the first time; 409 while that runs, 422 to another request."));
  }
  const FieldDescriptor* body_field =
      http.body.empty() || http.body == "*" ? nullptr : input.FindFieldByName(http.body);
  const bool takes_etag =
      input.FindFieldByName("etag") != nullptr ||
      (body_field != nullptr && body_field->message_type()->FindFieldByName("etag") != nullptr);
  if (takes_etag && !reads) {
    parameters.push_back(
        Parameter("If-Match", "header", R"({"type":"string"})",
                  "An ETag: the change happens only while the resource is in that state."));
  }

  const std::string comment = Comment(descriptor);
  const std::string summary = comment.substr(0, comment.find_first_of(".;:"));
  const std::string service = descriptor.service()->name();
  std::string json =
      "{\"operationId\":" +
      Quote(service + "_" + descriptor.name() + (binding > 0 ? "_" + std::to_string(binding) : ""));
  json += ",\"tags\":[" + Quote(service) + "],\"summary\":" + Quote(summary) +
          ",\"description\":" + Quote(comment);
  json += ",\"parameters\":[";
  for (size_t i = 0; i < parameters.size(); ++i) json += (i > 0 ? "," : "") + parameters[i];
  json += "]";
  if (!http.body.empty()) {
    const Descriptor& body = body_field == nullptr ? input : *body_field->message_type();
    json += ",\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":" +
            Reference(body) + "}}}";
  }
  json +=
      ",\"responses\":{\"" + std::to_string(method.http_status) + "\":{\"description\":\"Success\"";
  if (!method.returns_empty) {
    const std::string type =
        descriptor.server_streaming() ? "application/x-ndjson" : "application/json";
    json +=
        ",\"content\":{\"" + type + "\":{\"schema\":" + Reference(*descriptor.output_type()) + "}}";
  }
  json += "},\"default\":{\"$ref\":\"#/components/responses/Problem\"}}";
  json += method.anyone ? ",\"security\":[]" : ",\"security\":[{\"bearer\":[]}]";
  return json + "}";
}

std::map<std::string, std::string> OpenApiSchemas(
    const google::protobuf::ServiceDescriptor& service) {
  std::map<std::string, std::string> schemas;
  for (int i = 0; i < service.method_count(); ++i) {
    Method method;
    std::string error;
    if (!ReadMethod(*service.method(i), &method, &error) || method.http.empty()) continue;
    for (const HttpBinding& http : method.http) {
      if (http.body == "*") Collect(*service.method(i)->input_type(), schemas);
      if (!http.body.empty() && http.body != "*") {
        Collect(*service.method(i)->input_type()->FindFieldByName(http.body)->message_type(),
                schemas);
      }
    }
    Collect(*service.method(i)->output_type(), schemas);
  }
  return schemas;
}

}  // namespace starling::codegen
