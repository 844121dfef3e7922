#include "tests/flow/json_channel.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/util/field_mask_util.h>
#include <google/protobuf/util/json_util.h>

#include "platform/http/problem.h"

namespace starling::testing_support {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const google::protobuf::MethodDescriptor* FindMethod(std::string_view full_name) {
  std::string name(full_name);
  name[name.find('/')] = '.';
  return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
}

std::unique_ptr<Message> New(const Descriptor* type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

std::string Json(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

std::string StringAt(const Message& message, const std::string& path) {
  const Message* at = &message;
  size_t start = 0;
  while (true) {
    const size_t dot = path.find('.', start);
    const FieldDescriptor* field =
        at->GetDescriptor()->FindFieldByName(path.substr(start, dot - start));
    if (dot == std::string::npos) return at->GetReflection()->GetString(*at, field);
    at = &at->GetReflection()->GetMessage(*at, field);
    start = dot + 1;
  }
}

void AddQuery(const Message& message, const FieldDescriptor& field, std::string& query) {
  const auto& reflection = *message.GetReflection();
  const auto add = [&](const std::string& value) {
    query += (query.empty() ? "?" : "&") + field.name() + "=" + http::PercentEncode(value);
  };
  const int count = field.is_repeated() ? reflection.FieldSize(message, &field)
                                        : (reflection.HasField(message, &field) ? 1 : 0);
  for (int i = 0; i < count; ++i) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        add(field.is_repeated() ? reflection.GetRepeatedString(message, &field, i)
                                : reflection.GetString(message, &field));
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        add(std::to_string(reflection.GetInt32(message, &field)));
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        add(reflection.GetEnum(message, &field)->name());
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        add(google::protobuf::util::FieldMaskUtil::ToString(
            static_cast<const google::protobuf::FieldMask&>(
                reflection.GetMessage(message, &field))));
        break;
      default:
        add("?");
        break;
    }
  }
}

class JsonChannel final : public rpc::Channel {
 public:
  JsonChannel(http::Client& client, std::string url, std::string token)
      : client_(client), url_(std::move(url)), token_(std::move(token)) {}

  Task<StatusOr<std::string>> Call(const rpc::MethodDescriptor& method, rpc::CallContext& context,
                                   std::string bytes) override {
    StatusOr<http::ClientResponse> response = co_await Send(method, context, bytes);
    if (!response.ok()) co_return response.status();
    const auto message = New(FindMethod(method.full_name)->output_type());
    if (!response->body.empty()) {
      const auto parsed =
          google::protobuf::util::JsonStringToMessage(response->body, message.get());
      if (!parsed.ok())
        co_return Internal("the answer is no {}: {}", message->GetTypeName(), response->body);
    }
    co_return message->SerializeAsString();
  }

  Task<Status> CallStream(const rpc::MethodDescriptor& method, rpc::CallContext& context,
                          std::string bytes, rpc::ByteSink& sink) override {
    StatusOr<http::ClientResponse> response = co_await Send(method, context, bytes);
    if (!response.ok()) co_return response.status();
    for (size_t start = 0; start < response->body.size();) {
      const size_t end = response->body.find('\n', start);
      const auto message = New(FindMethod(method.full_name)->output_type());
      const auto parsed = google::protobuf::util::JsonStringToMessage(
          response->body.substr(start, end - start), message.get());
      if (!parsed.ok()) co_return Internal("a line is no {}", message->GetTypeName());
      CO_RETURN_IF_ERROR(co_await sink.Write(message->SerializeAsString()));
      start = end + 1;
    }
    co_return OkStatus();
  }

  std::string_view target() const override { return url_; }

 private:
  Task<StatusOr<http::ClientResponse>> Send(const rpc::MethodDescriptor& method,
                                            rpc::CallContext& context, const std::string& bytes) {
    if (method.http.empty()) co_return Unimplemented("{} has no route", method.full_name);
    const rpc::HttpRule& rule = method.http.front();
    const auto request = New(FindMethod(method.full_name)->input_type());
    request->ParseFromString(bytes);
    std::string path, query;
    std::vector<std::string> in_path;
    for (size_t at = 0; at < rule.path.size(); ++at) {
      if (rule.path[at] != '{') {
        path += rule.path[at];
        continue;
      }
      const size_t end = rule.path.find('}', at);
      in_path.emplace_back(rule.path.substr(at + 1, end - at - 1));
      path += http::PercentEncode(StringAt(*request, in_path.back()));
      at = end;
    }
    http::ClientRequest out{
        .verb = http::ParseVerb(rule.verb), .url = "", .headers = {}, .body = ""};
    const std::string body(rule.body);
    for (int i = 0; i < request->GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor& field = *request->GetDescriptor()->field(i);
      const bool used = std::find(in_path.begin(), in_path.end(), field.name()) != in_path.end();
      if (body == "*" || field.name() == body || used) continue;
      AddQuery(*request, field, query);
    }
    if (body == "*") {
      out.body = Json(*request);
    } else if (!body.empty()) {
      out.body = Json(request->GetReflection()->GetMessage(
          *request, request->GetDescriptor()->FindFieldByName(body)));
    }
    out.url = url_ + path + query;
    out.timeout = context.Remaining();
    out.headers.Set("content-type", "application/json");
    if (!token_.empty()) out.headers.Set("authorization", "Bearer " + token_);
    if (!context.idempotency_key.empty())
      out.headers.Set("idempotency-key", context.idempotency_key);
    StatusOr<http::ClientResponse> response = co_await client_.Send(std::move(out));
    if (!response.ok()) co_return response.status();
    CO_RETURN_IF_ERROR(http::StatusFromHttp(response->status, response->headers, response->body));
    co_return response;
  }

  http::Client& client_;
  const std::string url_;
  const std::string token_;
};

}  // namespace

std::shared_ptr<rpc::Channel> MakeJsonChannel(http::Client& client, std::string url,
                                              std::string token) {
  return std::make_shared<JsonChannel>(client, std::move(url), std::move(token));
}

}  // namespace starling::testing_support
