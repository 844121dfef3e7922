#include "codegen/service_generator.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <map>
#include <vector>

#include "codegen/method.h"
#include "codegen/names.h"
#include "codegen/openapi_generator.h"

namespace starling::codegen {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::io::Printer;
using google::protobuf::io::StringOutputStream;
using Vars = std::map<std::string, std::string>;

constexpr char kNotice[] = "// Written by protoc-gen-starling from $file$. Do not edit.\n";

std::vector<Method> ReadMethods(const ServiceDescriptor& service) {
  std::vector<Method> methods(service.method_count());
  std::string error;
  for (int i = 0; i < service.method_count(); ++i)
    ReadMethod(*service.method(i), &methods[i], &error);
  return methods;
}

bool Mutates(const Method& method) {
  return method.descriptor->options().idempotency_level() !=
         google::protobuf::MethodOptions::NO_SIDE_EFFECTS;
}

// request.user().user_id() for "user.user_id".
std::string Getter(const std::string& path) {
  std::string getter = "request.";
  for (const char c : path) {
    if (c == '.') {
      getter += "().";
    } else {
      getter += c;
    }
  }
  return getter + "()";
}

Vars MethodVars(const Method& method, int index) {
  const auto& descriptor = *method.descriptor;
  return {{"method", descriptor.name()},
          {"service", descriptor.service()->name()},
          {"full_service", descriptor.service()->full_name()},
          {"request", QualifiedName(*descriptor.input_type())},
          {"response", QualifiedName(*descriptor.output_type())},
          {"index", std::to_string(index)},
          {"owner", method.owner.empty() ? "{}" : Getter(method.owner)}};
}

const char* Signature(const Method& method) {
  return method.descriptor->server_streaming()
             ? "Task<Status> $method$(rpc::CallContext& context, const $request$& request, "
               "rpc::Stream<$response$>& "
               "out)"
             : "Task<StatusOr<$response$>> $method$(rpc::CallContext& context, const $request$& "
               "request)";
}

void PrintComment(Printer& printer, const std::string& comment) {
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) printer.PrintRaw(line + "\n");
  };
  for (size_t at = 0; at < comment.size();) {
    const size_t end = std::min(comment.find(' ', at), comment.size());
    const std::string word = comment.substr(at, end - at);
    if (line.empty() || line.size() + word.size() > 90) {
      flush();
      line = "//";
    }
    line += " " + word;
    at = end + 1;
  }
  flush();
}

void PrintLocal(Printer& printer, const ServiceDescriptor& service,
                const std::vector<Method>& methods) {
  printer.Print(
      "// Calls the implementation on the caller's thread, after the rules that hold for every "
      "call.\n"
      "class $service$Local final : public $service$ {\n public:\n"
      "  $service$Local(std::shared_ptr<$service$> implementation, rpc::ServiceRuntime& runtime)\n"
      "      : implementation_(std::move(implementation)), runtime_(runtime) {}\n",
      "service", service.name());
  for (size_t i = 0; i < methods.size(); ++i) {
    Vars vars = MethodVars(methods[i], static_cast<int>(i));
    const bool reads = !Mutates(methods[i]) && !methods[i].descriptor->server_streaming();
    vars["refuse"] = reads ? "Refuse<" + vars["response"] + ">(request)" : "refusal()";
    vars["finish"] = reads ? "Finish(response, request)" : "Finish(response)";
    printer.Print("  ");
    printer.Print(vars, Signature(methods[i]));
    printer.Print(vars,
                  " override {\n"
                  "    rpc::ServerCall call(runtime_.method($index$), context, $owner$);\n"
                  "    if (!call.admitted()) co_return call.$refuse$;\n");
    if (methods[i].descriptor->server_streaming()) {
      printer.Print(
          vars,
          "    Status status = co_await implementation_->$method$(call.context(), request, out);\n"
          "    call.Finish(status);\n    co_return status;\n  }\n");
      continue;
    }
    if (Mutates(methods[i])) {
      printer.Print(vars,
                    "    if (call.has_idempotency_key()) {\n"
                    "      StatusOr<$response$> once = co_await rpc::CallOnce<$response$>(\n"
                    "          call, request, [&] { return "
                    "implementation_->$method$(call.context(), request); });\n"
                    "      call.Finish(once);\n      co_return once;\n"
                    "    }\n");
    }
    printer.Print(vars,
                  "    Task<StatusOr<$response$>> running = "
                  "implementation_->$method$(call.context(), request);\n"
                  "    StatusOr<$response$>& response = co_await running;\n"
                  "    call.$finish$;\n    co_return std::move(response);\n  }\n");
  }
  printer.Print(
      "\n private:\n  const std::shared_ptr<$service$> implementation_;\n  rpc::ServiceRuntime& "
      "runtime_;\n};\n\n",
      "service", service.name());
}

void PrintRemote(Printer& printer, const ServiceDescriptor& service,
                 const std::vector<Method>& methods) {
  printer.Print(
      "// Calls another process.\n"
      "class $service$Remote final : public $service$ {\n public:\n"
      "  explicit $service$Remote(std::shared_ptr<rpc::Channel> channel) : "
      "channel_(std::move(channel)) {}\n",
      "service", service.name());
  for (size_t i = 0; i < methods.size(); ++i) {
    Vars vars = MethodVars(methods[i], static_cast<int>(i));
    printer.Print("  ");
    printer.Print(vars, Signature(methods[i]));
    if (methods[i].descriptor->server_streaming()) {
      printer.Print(vars,
                    " override {\n    return rpc::StreamRemote<$response$>(*channel_, "
                    "Descriptor().methods[$index$], "
                    "context, request, out);\n  }\n");
    } else {
      printer.Print(vars,
                    " override {\n    return rpc::CallRemote<$response$>(*channel_, "
                    "Descriptor().methods[$index$], "
                    "context, request);\n  }\n");
    }
  }
  printer.Print("\n private:\n  const std::shared_ptr<rpc::Channel> channel_;\n};\n\n");
}

// The etag that If-Match sets: the request's own, or its body's.
std::string EtagSetter(const Method& method, const HttpBinding& http) {
  const auto* input = method.descriptor->input_type();
  if (input->FindFieldByName("etag") != nullptr) return "request.set_etag(std::string(etag))";
  if (http.body.empty() || http.body == "*") return "";
  const auto* body = input->FindFieldByName(http.body);
  if (body->message_type()->FindFieldByName("etag") == nullptr) return "";
  return "request.mutable_" + http.body + "()->set_etag(std::string(etag))";
}

bool HasUpdateMask(const Method& method) {
  const auto* mask = method.descriptor->input_type()->FindFieldByName("update_mask");
  return mask != nullptr && mask->message_type() != nullptr && !mask->is_repeated() &&
         mask->message_type()->full_name() == "google.protobuf.FieldMask";
}

void PrintParseBody(Printer& printer, const Method& method, const HttpBinding& http,
                    const Vars& vars) {
  printer.Print(vars,
                "     [](std::string_view json, google::protobuf::Message& message) -> Status {\n"
                "       auto& request = static_cast<$request$&>(message);\n");
  if (http.body == "*") {
    printer.Print("       return json::FromJson(json, &request);\n");
  } else if (http.verb == "PATCH" && HasUpdateMask(method)) {
    printer.Print(vars,
                  "       STARLING_ASSIGN_OR_RETURN(const std::vector<std::string> fields,\n"
                  "                                 json::FromJsonNamingFields(json, "
                  "request.mutable_$body$()));\n"
                  "       if (request.update_mask().paths().empty()) {\n"
                  "         for (const std::string& field : fields) "
                  "request.mutable_update_mask()->add_paths(field);\n"
                  "       }\n"
                  "       return OkStatus();\n");
  } else {
    printer.Print(vars, "       return json::FromJson(json, request.mutable_$body$());\n");
  }
  printer.Print("     },\n");
}

void PrintHttpRules(Printer& printer, const Method& method, int index) {
  if (method.http.empty()) return;
  Vars vars = MethodVars(method, index);
  printer.Print(vars, "const rpc::HttpRule k$service$$method$Http[] = {\n");
  for (const HttpBinding& http : method.http) {
    vars["verb"] = http.verb;
    vars["path"] = http.path;
    vars["body"] = http.body;
    printer.Print(vars, "    {\"$verb$\", \"$path$\", \"$body$\",\n");
    printer.Print(
        vars,
        "     [](std::string_view path, std::string_view text, google::protobuf::Message& request) "
        "{\n"
        "       return json::MergeText(path, text, &static_cast<$request$&>(request));\n     },\n");
    if (http.body.empty()) {
      printer.Print("     nullptr,\n");
    } else {
      PrintParseBody(printer, method, http, vars);
    }
    const std::string setter = EtagSetter(method, http);
    if (setter.empty()) {
      printer.Print("     nullptr},\n");
    } else {
      vars["setter"] = setter;
      printer.Print(
          vars,
          "     [](google::protobuf::Message& message, std::string_view etag) {\n"
          "       auto& request = static_cast<$request$&>(message);\n       $setter$;\n     }},\n");
    }
  }
  printer.Print("};\n");
  printer.Print(vars, "const std::string_view k$service$$method$OpenApi[] = {\n");
  for (size_t i = 0; i < method.http.size(); ++i) {
    printer.PrintRaw("    R\"json(" + OpenApiOperation(method, static_cast<int>(i)) + ")json\",\n");
  }
  printer.Print("};\n");
}

void PrintDescriptor(Printer& printer, const ServiceDescriptor& service,
                     const std::vector<Method>& methods) {
  for (size_t i = 0; i < methods.size(); ++i)
    PrintHttpRules(printer, methods[i], static_cast<int>(i));
  printer.Print("const rpc::MethodDescriptor k$service$Methods[] = {\n", "service", service.name());
  for (size_t i = 0; i < methods.size(); ++i) {
    const Method& method = methods[i];
    Vars vars = MethodVars(method, static_cast<int>(i));
    vars["anyone"] = method.anyone ? "true" : "false";
    vars["user"] = method.user ? "true" : "false";
    vars["internal"] = method.internal ? "true" : "false";
    vars["scope"] = method.scope;
    vars["owner_field"] = method.owner;
    vars["deadline"] = std::to_string(method.deadline_ns);
    vars["cache_for"] = std::to_string(method.cache_for_ns);
    vars["http_status"] = std::to_string(method.http_status);
    vars["max_in_flight"] = std::to_string(method.max_in_flight);
    vars["tries_password"] = method.tries_password ? "true" : "false";
    vars["priority"] = method.priority;
    switch (method.descriptor->options().idempotency_level()) {
      case google::protobuf::MethodOptions::NO_SIDE_EFFECTS:
        vars["idempotency"] = "kNoSideEffects";
        break;
      case google::protobuf::MethodOptions::IDEMPOTENT:
        vars["idempotency"] = "kIdempotent";
        break;
      default:
        vars["idempotency"] = "kUnknown";
    }
    printer.Print(vars,
                  "    {.name = \"$method$\",\n"
                  "     .full_name = \"$full_service$/$method$\",\n"
                  "     .grpc_path = \"/$full_service$/$method$\",\n"
                  "     .access = {$anyone$, $user$, $internal$, \"$scope$\", \"$owner_field$\"},\n"
                  "     .idempotency = rpc::Idempotency::$idempotency$,\n"
                  "     .deadline = Duration($deadline$),\n"
                  "     .cache_for = Duration($cache_for$),\n"
                  "     .http_status = $http_status$,\n"
                  "     .max_in_flight = $max_in_flight$,\n"
                  "     .tries_password = $tries_password$,\n"
                  "     .priority = resilience::Priority::$priority$,\n");
    const bool streaming = method.descriptor->server_streaming();
    vars["streaming"] = streaming ? "true" : "false";
    vars["entry"] = streaming ? "StreamEntry" : "UnaryEntry";
    vars["bytes"] = streaming ? "stream_bytes" : "call_bytes";
    vars["json"] = streaming ? "stream_json" : "call_json";
    printer.Print(vars, "     .server_streaming = $streaming$,\n");
    if (!method.http.empty()) {
      printer.Print(vars,
                    "     .http = k$service$$method$Http,\n"
                    "     .openapi = k$service$$method$OpenApi,\n");
    }
    const std::string entry =
        "rpc::$entry$<$service$, $request$, $response$, &$service$::$method$>";
    printer.Print(vars, ("     .$bytes$ = " + entry + "::Bytes").c_str());
    if (!method.http.empty())
      printer.Print(vars, (",\n     .$json$ = " + entry + "::Json").c_str());
    printer.Print("},\n");
  }
  printer.Print("};\n");

  // A service without a route over HTTP has none, and C++ has no array of none.
  const auto schemas = OpenApiSchemas(service);
  if (!schemas.empty()) {
    printer.Print("const rpc::OpenApiSchema k$service$Schemas[] = {\n", "service", service.name());
    for (const auto& [name, json] : schemas) {
      std::string line = "    {\"";
      line.append(name).append("\", R\"json(").append(json).append(")json\"},\n");
      printer.PrintRaw(line);
    }
    printer.Print("};\n");
  }

  const auto& package = service.file()->package();
  std::string short_name = package.substr(0, package.rfind('.'));
  short_name = short_name.substr(short_name.rfind('.') + 1);
  printer.Print(
      "const rpc::ServiceDescriptor k$service$Descriptor = {\n"
      "    .name = \"$name$\",\n    .full_name = \"$full$\",\n    .comment = $comment$,\n"
      "    .methods = k$service$Methods,\n    .schemas = $schemas$};\n\n",
      "service", service.name(), "name", short_name, "full", service.full_name(), "comment",
      Quoted(Comment(service)), "schemas",
      schemas.empty() ? "{}" : "k" + service.name() + "Schemas");
}

}  // namespace

bool CheckServices(const FileDescriptor& file, std::string* error) {
  for (int s = 0; s < file.service_count(); ++s) {
    const ServiceDescriptor& service = *file.service(s);
    if (Comment(service).empty()) {
      *error = file.name() + ": service " + service.name() + " has no comment; say what it is for";
      return false;
    }
    for (int i = 0; i < service.method_count(); ++i) {
      Method method;
      if (!ReadMethod(*service.method(i), &method, error)) return false;
    }
  }
  return true;
}

std::string ServiceHeader(const FileDescriptor& file) {
  std::string text;
  StringOutputStream stream(&text);
  Printer printer(&stream, '$');
  const std::string base = BaseName(file);
  printer.Print(kNotice, "file", file.name());
  printer.Print("#pragma once\n\n#include \"$base$.pb.h\"\n", "base", base);
  if (file.service_count() > 0) {
    for (int i = 0; i < file.dependency_count(); ++i) {
      printer.Print("#include \"$base$.pb.h\"\n", "base", BaseName(*file.dependency(i)));
    }
    printer.Print("#include \"platform/rpc/service.h\"\n\nnamespace $namespace$ {\n\n", "namespace",
                  Namespace(file));
    for (int s = 0; s < file.service_count(); ++s) {
      const ServiceDescriptor& service = *file.service(s);
      PrintComment(printer, Comment(service));
      printer.Print(
          "class $service$ {\n public:\n"
          "  virtual ~$service$() = default;\n\n"
          "  static const rpc::ServiceDescriptor& Descriptor();\n"
          "  // The in-process binding: `implementation` behind the access rules, deadline, span "
          "and metrics of each "
          "method.\n"
          "  // `runtime` must outlive it.\n"
          "  static std::shared_ptr<$service$> Bind(std::shared_ptr<$service$> implementation, "
          "rpc::ServiceRuntime& "
          "runtime);\n"
          "  // The same interface in another process.\n"
          "  static std::shared_ptr<$service$> Connect(std::shared_ptr<rpc::Channel> channel);\n\n",
          "service", service.name());
      printer.Indent();
      const std::vector<Method> methods = ReadMethods(service);
      for (size_t i = 0; i < methods.size(); ++i) {
        PrintComment(printer, Comment(*methods[i].descriptor));
        printer.Print("virtual ");
        printer.Print(MethodVars(methods[i], static_cast<int>(i)), Signature(methods[i]));
        printer.Print(" = 0;\n");
      }
      printer.Outdent();
      printer.Print("};\n\n");
    }
    printer.Print("}  // namespace $namespace$\n", "namespace", Namespace(file));
  }
  return text;
}

std::string BindingSource(const FileDescriptor& file) {
  std::string text;
  StringOutputStream stream(&text);
  Printer printer(&stream, '$');
  const std::string base = BaseName(file);
  printer.Print(kNotice, "file", file.name());
  if (file.service_count() == 0) return text;
  printer.Print("#include \"$base$.json.h\"\n#include \"$base$.service.h\"\n", "base", base);
  printer.Print(
      "#include \"platform/rpc/entry_points.h\"\n\nnamespace $namespace$ {\nnamespace {\n\n",
      "namespace", Namespace(file));
  for (int s = 0; s < file.service_count(); ++s) {
    const std::vector<Method> methods = ReadMethods(*file.service(s));
    PrintLocal(printer, *file.service(s), methods);
    PrintRemote(printer, *file.service(s), methods);
    PrintDescriptor(printer, *file.service(s), methods);
  }
  printer.Print("}  // namespace\n\n");
  for (int s = 0; s < file.service_count(); ++s) {
    printer.Print(
        "const rpc::ServiceDescriptor& $service$::Descriptor() { return k$service$Descriptor; }\n\n"
        "std::shared_ptr<$service$> $service$::Bind(std::shared_ptr<$service$> implementation,\n"
        "                                           rpc::ServiceRuntime& runtime) {\n"
        "  return std::make_shared<$service$Local>(std::move(implementation), runtime);\n}\n\n"
        "std::shared_ptr<$service$> $service$::Connect(std::shared_ptr<rpc::Channel> channel) {\n"
        "  return std::make_shared<$service$Remote>(std::move(channel));\n}\n\n",
        "service", file.service(s)->name());
  }
  printer.Print("}  // namespace $namespace$\n", "namespace", Namespace(file));
  return text;
}

}  // namespace starling::codegen
