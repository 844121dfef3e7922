#include "platform/rpc/grpc_server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <unordered_map>

#include "platform/rpc/call_metadata.h"
#include "platform/rpc/contract_version.h"
#include "platform/rpc/grpc_status.h"
#include "platform/security/authenticator.h"
#include "platform/security/token.h"
#include "platform/telemetry/log.h"

namespace starling::rpc {
namespace {

std::string Metadata(const grpc::CallbackServerContext& context, const char* name) {
  const auto& all = context.client_metadata();
  const auto at = all.find(name);
  return at == all.end() ? "" : std::string(at->second.data(), at->second.size());
}

Instant DeadlineOf(const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return Instant::max();
  return std::chrono::steady_clock::now() + (deadline - std::chrono::system_clock::now());
}

// nullopt when the caller says none.
std::optional<resilience::Priority> PriorityOf(const grpc::CallbackServerContext& context) {
  const std::string said = Metadata(context, metadata::kPriority);
  if (said.size() != 1 || said[0] < '0' || said[0] > '2') return std::nullopt;
  return static_cast<resilience::Priority>(said[0] - '0');
}

struct Route {
  const MethodDescriptor* method;
  void* service;
  MethodRuntime* runtime;  // nullptr: not limited
};

const MethodDescriptor kContractMethod{
    .name = "Get",
    .full_name = kContractCall.substr(1),
    .grpc_path = kContractCall,
    .call_bytes = [](void* book, CallContext&,
                     std::string_view request) -> Task<StatusOr<std::string>> {
      co_return static_cast<const ContractBook*>(book)->Answer(request);
    }};

}  // namespace

class GrpcServer::Core final : public grpc::CallbackGenericService {
 public:
  Core(Runtime& runtime, const Registry& registry, Options options)
      : runtime_(runtime),
        options_(std::move(options)),
        book_(options_.version, options_.contracts != nullptr
                                    ? *options_.contracts
                                    : *google::protobuf::DescriptorPool::generated_pool()) {
    routes_[std::string(kContractCall)] = {&kContractMethod, &book_, nullptr};
    for (const Binding& binding : registry.bindings()) {
      if (!binding.local()) continue;
      for (size_t i = 0; i < binding.descriptor->methods.size(); ++i) {
        const MethodDescriptor& method = binding.descriptor->methods[i];
        routes_[std::string(method.grpc_path)] = {&method, binding.service.get(),
                                                  &binding.runtime->method(static_cast<int>(i))};
      }
    }
  }

  StatusOr<int> Start() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // So that a peer that vanished without a word (its machine is gone, the network is cut) is
    // noticed in 25 s, where gRPC sends its pings: it did for two of three frozen peers. What must
    // not wait for ever has a sign of life of its own (services/events).
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 15'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    builder.SetMaxReceiveMessageSize(options_.max_message_bytes);
    builder.AddListeningPort(options_.address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return Unavailable(
          "gRPC cannot listen on {}; is another process there? choose another grpc.port",
          options_.address);
    }
    return port;
  }

  void Drain(Duration limit) {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + limit);
    server_->Wait();
    server_ = nullptr;
  }

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  class Call;
  friend class Call;

  Runtime& runtime_;
  const Options options_;
  ContractBook book_;
  std::unordered_map<std::string, Route> routes_;
  std::atomic<int> in_flight_{0};
  std::unique_ptr<grpc::Server> server_;
};

// One call, from its first byte to OnDone, which deletes it. gRPC calls OnDone only after Finish,
// and Finish is the coroutine's last act, so neither outlives the other.
class GrpcServer::Core::Call final : public grpc::ServerGenericBidiReactor, public ByteSink {
 public:
  Call(Core& core, grpc::GenericCallbackServerContext& context) : core_(core), context_(context) {
    const auto at = core_.routes_.find(context.method());
    if (at == core_.routes_.end()) {
      Finish(ToGrpc(Unimplemented("no service here has the method {}", context.method())));
      return;
    }
    route_ = at->second;
    if (core_.in_flight_.fetch_add(1) >= core_.options_.max_in_flight) {
      counted_ = true;
      Finish(ToGrpc(Overloaded("too many calls in flight", std::chrono::seconds(1))));
      return;
    }
    counted_ = true;
    if (route_.runtime != nullptr) {
      if (const Status refused = LetIn(); !refused.ok()) {
        Finish(ToGrpc(refused));
        return;
      }
    }
    StartRead(&request_);
  }

  Task<Status> Write(std::string bytes) override {
    const grpc::Slice slice(bytes);
    response_ = grpc::ByteBuffer(&slice, 1);
    co_return co_await Suspend<Status>([this](Completion<Status> completion) {
      written_ = std::move(completion);
      StartWrite(&response_);
    });
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(ToGrpc(InvalidArgument("{}: the call brought no request", context_.method())));
      return;
    }
    Spawn(core_.runtime_.NextExecutor(), Run());
  }
  void OnWriteDone(bool ok) override {
    Completion<Status> written = std::move(written_);
    if (written) written(ok ? OkStatus() : Cancelled("the caller is gone"));
  }
  void OnCancel() override { cancellation_.Cancel(); }
  void OnDone() override {
    if (counted_) core_.in_flight_.fetch_sub(1);
    delete this;
  }

  // Whether it brought the cluster key.
  bool Trusted() const {
    const std::string key = Metadata(context_, metadata::kClusterKey);
    return !key.empty() && security::ConstantTimeEqual(key, core_.options_.cluster_key);
  }

  // At once, before the call waits for an io thread: who is overloaded says so soon.
  Status LetIn() {
    if (Trusted()) priority_ = PriorityOf(context_);
    const resilience::Priority priority = priority_.value_or(route_.runtime->priority.load());
    place_ = route_.runtime->limiter->Admit(priority);
    if (!place_) {
      const auto trace = telemetry::TraceContext::Parse(Metadata(context_, metadata::kTraceparent));
      telemetry::Span span =
          route_.runtime->tracer->StartAt(route_.method->full_name, telemetry::Span::kServer,
                                          trace.value_or(telemetry::TraceContext()), arrived_);
      const Status refused = route_.runtime->Shed(span, priority);
      const Instant end = std::chrono::steady_clock::now();
      route_.runtime->metrics->Record(refused.code(), end - arrived_);
      span.EndAt(refused, end);
      return refused;
    }
    if (route_.method->server_streaming) place_ = {};
    return OkStatus();
  }

  Task<StatusOr<std::shared_ptr<const security::Identity>>> Caller(std::string_view& via_service) {
    if (!Metadata(context_, metadata::kClusterKey).empty()) {
      if (!Trusted()) {
        co_return Unauthenticated(
            "the cluster key is not this process'; give both the same grpc.cluster_key");
      }
      trusted_ = true;
      via_service = Metadata(context_, metadata::kCallerService).empty() ? "" : "remote";
      co_return security::ParseIdentity(Metadata(context_, metadata::kIdentity));
    }
    std::string credentials = Metadata(context_, metadata::kAuthorization);
    if (credentials.empty() || core_.options_.authenticator == nullptr)
      co_return security::Anonymous();
    if (credentials.starts_with("Bearer ")) credentials.erase(0, 7);
    co_return co_await core_.options_.authenticator->Authenticate(credentials);
  }

  Task<void> Run() {
    std::string_view via_service;
    StatusOr<std::shared_ptr<const security::Identity>> caller = co_await Caller(via_service);
    if (!caller.ok()) {
      Finish(ToGrpc(caller.status()));
      co_return;
    }
    CallContext context(*std::move(caller), DeadlineOf(context_));
    context.via_service = via_service;
    context.priority = priority_;
    if (route_.runtime != nullptr) context.let_in_at = arrived_;
    context.cancellation = cancellation_.token();
    context.idempotency_key = Metadata(context_, metadata::kIdempotencyKey);
    if (const auto trace =
            telemetry::TraceContext::Parse(Metadata(context_, metadata::kTraceparent))) {
      context.trace = *trace;
    }
    grpc::Slice slice;
    if (!request_.TrySingleSlice(&slice).ok() && !request_.DumpToSingleSlice(&slice).ok()) {
      FinishWith(Internal("the request could not be read"), context);
      co_return;
    }
    const std::string_view request(reinterpret_cast<const char*>(slice.begin()), slice.size());
    if (route_.method->server_streaming) {
      const Status status =
          co_await route_.method->stream_bytes(route_.service, context, request, *this);
      FinishWith(status, context);
      co_return;
    }
    const StatusOr<std::string> response =
        co_await route_.method->call_bytes(route_.service, context, request);
    if (!response.ok()) {
      FinishWith(response.status(), context);
      co_return;
    }
    if (!context.degraded.empty())
      context_.AddTrailingMetadata(metadata::kDegraded, context.degraded);
    const grpc::Slice answer(*response);
    response_ = grpc::ByteBuffer(&answer, 1);
    StartWriteAndFinish(&response_, {}, grpc::Status::OK);
  }

  // Another process of ours is told everything; whoever else calls, as much as over HTTP.
  void FinishWith(const Status& status, const CallContext& context) {
    if (IsInternalFailure(status))
      log::Error(route_.method->full_name, "call failed").With(status).In(context.trace);
    Finish(ToGrpc(trusted_ ? status : ForOutsiders(status)));
  }

  Core& core_;
  grpc::GenericCallbackServerContext& context_;
  const Instant arrived_ = std::chrono::steady_clock::now();
  Route route_{};
  std::optional<resilience::Priority> priority_;  // that the caller says
  resilience::ConcurrencyLimiter::Admission place_;
  bool counted_ = false;
  bool trusted_ = false;  // it brought the cluster key
  grpc::ByteBuffer request_, response_;
  Completion<Status> written_;
  CancellationSource cancellation_;
};

grpc::ServerGenericBidiReactor* GrpcServer::Core::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  return new Call(*this, *context);
}

GrpcServer::GrpcServer(Runtime& runtime, const Registry& registry, Options options)
    : core_(std::make_unique<Core>(runtime, registry, std::move(options))) {}

GrpcServer::~GrpcServer() { core_->Drain(std::chrono::seconds(1)); }

StatusOr<int> GrpcServer::Start() { return core_->Start(); }

void GrpcServer::Drain(Duration limit) { core_->Drain(limit); }

}  // namespace starling::rpc
