// A real server of gRPC with all four kinds of calls, and its stubs, written by hand so that no
// code needs to be generated. Messages are google.protobuf.StringValue.
#pragma once

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/method_handler.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace starling::gateway {

using Text = google::protobuf::StringValue;
using google::protobuf::MessageLite;

inline Text TextOf(std::string value) {
  Text text;
  text.set_value(std::move(value));
  return text;
}

// Echo. A unary call's text may say what is to happen: "error", "wait" (until the client is gone),
// "metadata".
class EchoService final : public grpc::Service {
 public:
  EchoService() {
    using grpc::internal::RpcMethod;
    Add<grpc::internal::RpcMethodHandler<EchoService, Text, Text, MessageLite, MessageLite>>(
        "/test.Echo/Unary", RpcMethod::NORMAL_RPC,
        [](EchoService* self, grpc::ServerContext* context, const Text* request, Text* answer) {
          return self->Unary(*context, *request, *answer);
        });
    Add<grpc::internal::ServerStreamingHandler<EchoService, Text, Text>>(
        "/test.Echo/Count", RpcMethod::SERVER_STREAMING,
        [](EchoService* self, grpc::ServerContext* context, const Text* request,
           grpc::ServerWriter<Text>* writer) { return self->Count(*context, *request, *writer); });
    Add<grpc::internal::ClientStreamingHandler<EchoService, Text, Text>>(
        "/test.Echo/Sum", RpcMethod::CLIENT_STREAMING,
        [](EchoService*, grpc::ServerContext*, grpc::ServerReader<Text>* reader, Text* answer) {
          size_t bytes = 0;
          for (Text text; reader->Read(&text);) bytes += text.value().size();
          answer->set_value(std::to_string(bytes));
          return grpc::Status::OK;
        });
    Add<grpc::internal::BidiStreamingHandler<EchoService, Text, Text>>(
        "/test.Echo/Chat", RpcMethod::BIDI_STREAMING,
        [](EchoService*, grpc::ServerContext*, grpc::ServerReaderWriter<Text, Text>* stream) {
          for (Text text; stream->Read(&text);) {
            if (!stream->Write(TextOf("re: " + text.value()))) break;
          }
          return grpc::Status::OK;
        });
  }

  std::atomic<int> running{0};
  std::atomic<int> cancelled{0};
  std::atomic<int64_t> deadline_ms{-1};  // that the last call had left

 private:
  template <typename Handler, typename Function>
  void Add(const char* name, grpc::internal::RpcMethod::RpcType type, Function function) {
    AddMethod(new grpc::internal::RpcServiceMethod(name, type, new Handler(function, this)));
  }

  grpc::Status Unary(grpc::ServerContext& context, const Text& request, Text& answer) {
    const auto left = context.deadline() - std::chrono::system_clock::now();
    deadline_ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    if (request.value() == "error")
      return {grpc::StatusCode::FAILED_PRECONDITION, "50 % is \xc3\xa9nough\n", "details\x01"};
    if (request.value() == "wait") {
      ++running;
      while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++cancelled;
      return grpc::Status::CANCELLED;
    }
    if (request.value() == "metadata") {
      for (const auto& [name, value] : context.client_metadata()) {
        if (!name.starts_with("my_") && !name.starts_with("x-")) continue;
        const std::string key(name.data(), name.size()), text(value.data(), value.size());
        context.AddInitialMetadata("got-" + key, text);
        context.AddTrailingMetadata("end-" + key, text);
      }
    }
    answer.set_value(request.value());
    return grpc::Status::OK;
  }
  // "3": 0, 1, 2; "-1": until the client is gone.
  grpc::Status Count(grpc::ServerContext& context, const Text& request,
                     grpc::ServerWriter<Text>& writer) {
    const int most = std::stoi(request.value());
    ++running;
    for (int i = 0; most < 0 || i < most; ++i) {
      if (!writer.Write(TextOf(std::to_string(i)))) {
        if (context.IsCancelled()) ++cancelled;
        break;
      }
    }
    return grpc::Status::OK;
  }
};

// Calls that wait until so many are there: shows that they run at once.
class GatherService final : public grpc::CallbackGenericService {
 public:
  explicit GatherService(size_t wanted) : wanted_(wanted) {}
  std::atomic<size_t> most{0};

 private:
  class Call final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Call(GatherService& service) : service_(service) { StartRead(&message_); }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::CANCELLED);
      service_.Arrived(*this);
    }
    void Answer() { StartWriteAndFinish(&message_, {}, grpc::Status::OK); }
    void OnDone() override { delete this; }

   private:
    GatherService& service_;
    grpc::ByteBuffer message_;
  };
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Call(*this);
  }
  void Arrived(Call& call) {
    std::vector<Call*> all;
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(&call);
      most = std::max(most.load(), waiting_.size());
      if (waiting_.size() < wanted_) return;
      all.swap(waiting_);
    }
    for (Call* one : all) one->Answer();
  }

  const size_t wanted_;
  std::mutex mutex_;
  std::vector<Call*> waiting_;
};

class GrpcTestServer {
 public:
  explicit GrpcTestServer(size_t gathered = 1) : gather(gathered) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(64 << 20);
    builder.RegisterService(&echo);
    builder.RegisterCallbackGenericService(&gather);
    grpc::EnableDefaultHealthCheckService(true);
    server_ = builder.BuildAndStart();
  }
  ~GrpcTestServer() { Kill(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // Cuts what runs.
  void Kill() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }
  EchoService echo;
  GatherService gather;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A client on a connection of its own.
class EchoStub {
 public:
  explicit EchoStub(uint16_t port) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(64 << 20);
    channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                        grpc::InsecureChannelCredentials(), arguments);
  }
  grpc::Status Unary(grpc::ClientContext& context, const Text& request, Text& answer,
                     const char* method = "/test.Echo/Unary") {
    return grpc::internal::BlockingUnaryCall<Text, Text, MessageLite, MessageLite>(
        channel.get(), Method(method, grpc::internal::RpcMethod::NORMAL_RPC), &context, request,
        &answer);
  }
  std::unique_ptr<grpc::ClientReader<Text>> Count(grpc::ClientContext& context,
                                                  const std::string& most) {
    count_ = std::make_unique<grpc::internal::RpcMethod>(
        Method("/test.Echo/Count", grpc::internal::RpcMethod::SERVER_STREAMING));
    return std::unique_ptr<grpc::ClientReader<Text>>(
        grpc::internal::ClientReaderFactory<Text>::Create(channel.get(), *count_, &context,
                                                          TextOf(most)));
  }
  std::unique_ptr<grpc::ClientWriter<Text>> Sum(grpc::ClientContext& context, Text& answer) {
    return std::unique_ptr<grpc::ClientWriter<Text>>(
        grpc::internal::ClientWriterFactory<Text>::Create(
            channel.get(), Method("/test.Echo/Sum", grpc::internal::RpcMethod::CLIENT_STREAMING),
            &context, &answer));
  }
  std::unique_ptr<grpc::ClientReaderWriter<Text, Text>> Chat(grpc::ClientContext& context) {
    return std::unique_ptr<grpc::ClientReaderWriter<Text, Text>>(
        grpc::internal::ClientReaderWriterFactory<Text, Text>::Create(
            channel.get(), Method("/test.Echo/Chat", grpc::internal::RpcMethod::BIDI_STREAMING),
            &context));
  }
  grpc::internal::RpcMethod Method(const char* name, grpc::internal::RpcMethod::RpcType type) {
    return grpc::internal::RpcMethod(name, type, channel);
  }
  std::shared_ptr<grpc::Channel> channel;

 private:
  std::unique_ptr<grpc::internal::RpcMethod> count_;
};

}  // namespace starling::gateway
