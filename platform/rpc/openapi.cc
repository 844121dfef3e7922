#include "platform/rpc/openapi.h"

#include <algorithm>
#include <map>

namespace starling::rpc {
namespace {

constexpr std::string_view kProblem =
    R"({"type":"object","description":"RFC 9457 problem details.","properties":{
"type":{"type":"string","description":"A URI that names the kind of problem."},
"title":{"type":"string"},
"status":{"type":"integer","description":"The HTTP status."},
"detail":{"type":"string","description":"What was wrong, with which value, and what to do."},
"instance":{"type":"string","description":"The path that was asked for."},
"trace_id":{"type":"string","description":"To find the call in logs and traces."},
"violations":{"type":"array","items":{"type":"object","properties":{
"field":{"type":"string"},"description":{"type":"string"}}}}}})";

std::string WithoutNewlines(std::string_view text) {
  std::string line;
  std::copy_if(text.begin(), text.end(), std::back_inserter(line),
               [](char c) { return c != '\n'; });
  return line;
}

// OpenAPI knows only {name}: "{name=a/*}" loses its pattern.
std::string OpenApiPath(std::string_view path) {
  std::string result;
  bool pattern = false;
  for (const char c : path) {
    if (c == '}') pattern = false;
    if (c == '=') pattern = true;
    if (!pattern) result += c;
  }
  return result;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return lower;
}

}  // namespace

std::string OpenApiDocument(std::span<const ServiceDescriptor* const> services,
                            std::string_view version) {
  std::map<std::string, std::map<std::string, std::string_view>> paths;
  std::map<std::string_view, std::string_view> schemas;
  std::string tags;
  for (const ServiceDescriptor* service : services) {
    const auto has_route = [](const MethodDescriptor& method) { return !method.http.empty(); };
    if (std::none_of(service->methods.begin(), service->methods.end(), has_route)) continue;
    const std::string_view name = service->full_name.substr(service->full_name.rfind('.') + 1);
    std::string comment;
    for (const char c : service->comment) {
      if (c == '"' || c == '\\') comment += '\\';
      comment += c;
    }
    tags += fmt::format(R"({}{{"name":"{}","description":"{}"}})", tags.empty() ? "" : ",", name,
                        comment);
    for (const MethodDescriptor& method : service->methods) {
      for (size_t i = 0; i < method.http.size(); ++i) {
        paths[OpenApiPath(method.http[i].path)][Lower(method.http[i].verb)] = method.openapi[i];
      }
    }
    for (const OpenApiSchema& schema : service->schemas) schemas[schema.name] = schema.json;
  }

  std::string document = fmt::format(
      R"({{"openapi":"3.1.0","info":{{"title":"Starling","version":"{}","license":{{"name":"Apache-2.0","identifier":"Apache-2.0"}}}},"tags":[{}],"paths":{{)",
      version, tags);
  std::string_view comma;
  for (const auto& [path, operations] : paths) {
    document += fmt::format(R"({}"{}":{{)", comma, path);
    std::string_view inner;
    for (const auto& [verb, operation] : operations) {
      document += fmt::format(R"({}"{}":{})", inner, verb, operation);
      inner = ",";
    }
    document += '}';
    comma = ",";
  }
  document += R"(},"components":{"securitySchemes":{"bearer":{"type":"http","scheme":"bearer"}},)";
  document +=
      R"("responses":{"Problem":{"description":"What went wrong.","content":{"application/problem+json":)";
  document += R"({"schema":{"$ref":"#/components/schemas/Problem"}}}}},"schemas":{"Problem":)";
  document += WithoutNewlines(kProblem);
  for (const auto& [name, json] : schemas) document += fmt::format(R"(,"{}":{})", name, json);
  document += "}}}";
  return document;
}

}  // namespace starling::rpc
