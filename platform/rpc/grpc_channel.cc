#include "platform/rpc/grpc_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <mutex>
#include <optional>

#include "platform/rpc/call_metadata.h"
#include "platform/rpc/channel_states.h"
#include "platform/rpc/grpc_link.h"
#include "platform/rpc/grpc_status.h"

namespace starling::rpc {
namespace {

using Message = std::optional<std::string>;

// Reads a stream one message at a time, only when the coroutine asks: a slow reader slows the
// server.
class StreamReactor final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit StreamReactor(const std::string& request) : request_(ToBuffer(request)) {}

  void Start(grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer>& stub,
             const std::string& path) {
    stub.PrepareBidiStreamingCall(&context, path, {}, this);
    StartWriteLast(&request_, {});
    AddHold();  // between two reads nothing else keeps the call
    StartCall();
  }

  Task<Message> Next() {
    co_return co_await Suspend<Message>([this](Completion<Message> completion) {
      next_ = std::move(completion);
      StartRead(&response_);
    });
  }

  Task<Status> Done() {
    RemoveHold();
    co_return co_await Suspend<Status>([this](Completion<Status> completion) {
      std::unique_lock lock(mutex_);
      if (!status_) {
        done_ = std::move(completion);
        return;
      }
      lock.unlock();
      completion(*status_);
    });
  }

  grpc::ClientContext context;

 private:
  void OnReadDone(bool ok) override {
    Completion<Message> next = std::move(next_);
    next(ok ? Message(ToString(response_)) : std::nullopt);
  }
  void OnDone(const grpc::Status& status) override {
    Completion<Status> done;
    {
      const std::lock_guard lock(mutex_);
      status_ = FromGrpc(status);
      done = std::move(done_);
    }
    if (done) done(*status_);
  }

  grpc::ByteBuffer request_, response_;
  Completion<Message> next_;
  std::mutex mutex_;
  std::optional<Status> status_;
  Completion<Status> done_;
};

// A numeric address without gRPC's resolver of names, which after a failed connection rests before
// it looks again.
std::string Numeric(const std::string& target) {
  if (target.starts_with('[')) return "ipv6:" + target;
  const std::string host = target.substr(0, target.rfind(':'));
  const bool numeric = !host.empty() && host.find_first_not_of("0123456789.") == std::string::npos;
  return numeric ? "ipv4:" + target : target;
}

class GrpcChannel final : public Channel {
 public:
  explicit GrpcChannel(GrpcChannelOptions options)
      : options_(std::move(options)),
        states_(ChannelStates::Shared()),
        channel_(MakeChannel(options_)),
        stub_(channel_),
        link_(std::make_shared<GrpcLink>(options_, channel_)) {
    states_->Watch(channel_, [link = link_](grpc_connectivity_state now) { link->OnState(now); });
  }
  ~GrpcChannel() override { link_->Close(); }

  bool Usable() override { return link_->Usable(); }
  Status Refusal() override { return link_->Refusal(); }

  Task<StatusOr<std::string>> Call(const MethodDescriptor& method, CallContext& context,
                                   std::string request) override {
    CO_RETURN_IF_ERROR(CheckDeadline(method, context));
    CO_RETURN_IF_ERROR(link_->MayCall());
    struct State {
      grpc::ClientContext context;
      grpc::ByteBuffer request, response;
    };
    const auto state = std::make_shared<State>();
    state->request = ToBuffer(request);
    Describe(context, state->context);
    const auto on_cancel = context.cancellation.OnCancel([state] { state->context.TryCancel(); });
    const Status status = co_await Suspend<Status>([&](Completion<Status> completion) {
      auto shared = std::make_shared<Completion<Status>>(std::move(completion));
      stub_.UnaryCall(&state->context, std::string(method.grpc_path), {}, &state->request,
                      &state->response,
                      [state, shared](const grpc::Status& status) { (*shared)(FromGrpc(status)); });
    });
    if (!status.ok()) co_return Explain(status, context);
    const auto& trailers = state->context.GetServerTrailingMetadata();
    if (const auto at = trailers.find(metadata::kDegraded); at != trailers.end())
      context.AddDegraded({at->second.data(), at->second.size()});
    co_return ToString(state->response);
  }

  Task<Status> CallStream(const MethodDescriptor& method, CallContext& context, std::string request,
                          ByteSink& sink) override {
    CO_RETURN_IF_ERROR(CheckDeadline(method, context));
    CO_RETURN_IF_ERROR(link_->MayCall());
    const auto reactor = std::make_shared<StreamReactor>(request);
    Describe(context, reactor->context);
    const auto on_cancel =
        context.cancellation.OnCancel([reactor] { reactor->context.TryCancel(); });
    reactor->Start(stub_, std::string(method.grpc_path));
    Status written;
    while (true) {
      Message message = co_await reactor->Next();
      if (!message) break;
      written = co_await sink.Write(*std::move(message));
      if (!written.ok()) {
        reactor->context.TryCancel();
        break;
      }
    }
    const Status status = co_await reactor->Done();
    if (!written.ok()) co_return written;
    co_return Explain(status, context);
  }

  std::string_view target() const override { return options_.target; }

 private:
  static std::shared_ptr<grpc::Channel> MakeChannel(const GrpcChannelOptions& options) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 500);
    return grpc::CreateCustomChannel(Numeric(options.target), grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  static Status CheckDeadline(const MethodDescriptor& method, const CallContext& context) {
    if (context.Remaining() > Duration(0)) return OkStatus();
    return DeadlineExceeded("{}: the deadline passed before the call was sent", method.full_name);
  }

  void Describe(const CallContext& from, grpc::ClientContext& to) const {
    to.set_deadline(std::chrono::system_clock::now() + from.Remaining());
    to.AddMetadata(metadata::kTraceparent, from.trace.ToTraceparent());
    if (!options_.cluster_key.empty()) {
      to.AddMetadata(metadata::kClusterKey, options_.cluster_key);
      if (from.priority)
        to.AddMetadata(metadata::kPriority, std::to_string(static_cast<int>(*from.priority)));
      to.AddMetadata(metadata::kCallerService, std::string(from.via_service));
      to.AddMetadata(metadata::kIdentity, security::SerializeIdentity(*from.caller));
    }
    if (!options_.bearer_token.empty())
      to.AddMetadata(metadata::kAuthorization, "Bearer " + options_.bearer_token);
    if (!from.idempotency_key.empty())
      to.AddMetadata(metadata::kIdempotencyKey, from.idempotency_key);
  }

  Status Explain(const Status& status, const CallContext& context) const {
    // Nobody here ended the call: the other process did, which stops before it took it.
    if (status.code() == StatusCode::kCancelled && !context.Cancelled())
      return Unavailable("{}: the other process ended the call", options_.target);
    if (status.code() != StatusCode::kUnavailable || !Reason(status).empty()) return status;
    return Annotate(status, options_.target);
  }

  const GrpcChannelOptions options_;
  const std::shared_ptr<ChannelStates> states_;  // goes after the channel
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub_;
  const std::shared_ptr<GrpcLink> link_;
};

}  // namespace

std::shared_ptr<Channel> MakeGrpcChannel(GrpcChannelOptions options) {
  return std::make_shared<GrpcChannel>(std::move(options));
}

}  // namespace starling::rpc
