// The templates behind the function pointers of a MethodDescriptor. Included by generated bindings
// alone.
#pragma once

#include <google/protobuf/empty.pb.h>

#include <string>
#include <type_traits>

#include "platform/json/codec.h"
#include "platform/rpc/channel.h"
#include "platform/rpc/descriptor.h"
#include "platform/rpc/fill_request.h"
#include "platform/rpc/idempotency.h"
#include "platform/rpc/server_call.h"

namespace starling::rpc {

template <typename Service, typename Request, typename Response, auto kMethod>
struct UnaryEntry {
  static Task<StatusOr<std::string>> Bytes(void* service, CallContext& context,
                                           std::string_view bytes) {
    Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      co_return InvalidArgument("the request is not a serialised {}",
                                Request::descriptor()->full_name());
    }
    Task<StatusOr<Response>> call = (static_cast<Service*>(service)->*kMethod)(context, request);
    StatusOr<Response>& response = co_await call;
    if (!response.ok()) co_return std::move(response).status();
    co_return response->SerializeAsString();
  }

  static Task<Status> Json(void* service, CallContext& context, const HttpRule& rule,
                           const JsonInput& input, JsonOutput& output) {
    Request request;
    CO_RETURN_IF_ERROR(FillRequest(rule, input, request));
    Task<StatusOr<Response>> call = (static_cast<Service*>(service)->*kMethod)(context, request);
    StatusOr<Response>& response = co_await call;
    if (!response.ok()) co_return std::move(response).status();
    if constexpr (requires { response->etag(); }) output.etag = response->etag();
    if constexpr (std::is_same_v<Response, google::protobuf::Empty>) {
      output.empty = true;
    } else {
      json::AppendJson(*response, output.body);
    }
    co_return OkStatus();
  }
};

template <typename Service, typename Request, typename Response, auto kMethod>
struct StreamEntry {
  class BytesStream final : public Stream<Response> {
   public:
    explicit BytesStream(ByteSink& sink) : sink_(sink) {}
    Task<Status> Write(const Response& message) override {
      return sink_.Write(message.SerializeAsString());
    }

   private:
    ByteSink& sink_;
  };
  // One message a line (NDJSON).
  class JsonStream final : public Stream<Response> {
   public:
    explicit JsonStream(ByteSink& sink) : sink_(sink) {}
    Task<Status> Write(const Response& message) override {
      std::string line;
      json::AppendJson(message, line);
      line += '\n';
      return sink_.Write(std::move(line));
    }

   private:
    ByteSink& sink_;
  };

  static Task<Status> Bytes(void* service, CallContext& context, std::string_view bytes,
                            ByteSink& sink) {
    Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      co_return InvalidArgument("the request is not a serialised {}",
                                Request::descriptor()->full_name());
    }
    BytesStream stream(sink);
    co_return co_await (static_cast<Service*>(service)->*kMethod)(context, request, stream);
  }

  static Task<Status> Json(void* service, CallContext& context, const HttpRule& rule,
                           const JsonInput& input, ByteSink& sink) {
    Request request;
    CO_RETURN_IF_ERROR(FillRequest(rule, input, request));
    JsonStream stream(sink);
    co_return co_await (static_cast<Service*>(service)->*kMethod)(context, request, stream);
  }
};

}  // namespace starling::rpc
