#include "platform/rpc/grpc_link.h"

#include <grpcpp/generic/generic_stub.h>

#include "platform/rpc/call_metadata.h"
#include "platform/rpc/contract_version.h"
#include "platform/rpc/grpc_status.h"
#include "platform/security/identity.h"
#include "platform/telemetry/log.h"

namespace starling::rpc {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);  // for an answer

}  // namespace

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.TrySingleSlice(&slice).ok() && !buffer.DumpToSingleSlice(&slice).ok()) return "";
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

struct GrpcLink::Question {
  explicit Question(std::shared_ptr<grpc::Channel> to) : stub(std::move(to)) {}
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub;
  grpc::ClientContext context;
  grpc::ByteBuffer request, response;
};

void GrpcLink::OnState(grpc_connectivity_state now) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  question_ = nullptr;  // an answer that is on its way is of a connection before
  if (now != GRPC_CHANNEL_READY) {
    state_ = kAway;
  } else if (options_.contract.empty()) {
    state_ = kUsable;
  } else {
    Ask();
  }
}

bool GrpcLink::Usable() {
  const State now = state_.load(std::memory_order_relaxed);
  if (now == kUsable) return true;
  if (now != kUnasked) return false;
  const std::lock_guard lock(mutex_);
  if (state_ == kUnasked && !closed_) Ask();
  return false;
}

Status GrpcLink::Refusal() const {
  if (state_ != kRefused) return OkStatus();
  const std::lock_guard lock(mutex_);
  return refusal_;
}

Status GrpcLink::MayCall() const {
  if (options_.contract.empty() || state_.load(std::memory_order_relaxed) == kUsable)
    return OkStatus();
  STARLING_RETURN_IF_ERROR(Refusal());
  return Unavailable("{} is not connected, or has not said yet which contract it has",
                     options_.target);
}

void GrpcLink::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  if (question_ != nullptr) question_->context.TryCancel();
  question_ = nullptr;
}

void GrpcLink::Ask() {
  std::shared_ptr<grpc::Channel> channel = channel_.lock();
  if (channel == nullptr) return;
  state_ = kAsking;
  const auto question = std::make_shared<Question>(std::move(channel));
  question_ = question;
  const auto ours =
      ContractFiles(*google::protobuf::DescriptorPool::generated_pool(), options_.contract);
  question->request = ToBuffer(options_.contract + " " + ContractDigest(ours));
  question->context.set_deadline(std::chrono::system_clock::now() + kPatience);
  if (!options_.cluster_key.empty()) {
    question->context.AddMetadata(metadata::kClusterKey, options_.cluster_key);
    question->context.AddMetadata(metadata::kIdentity, security::SerializeIdentity({}));
  }
  question->stub.UnaryCall(
      &question->context, std::string(kContractCall), {}, &question->request, &question->response,
      [self = shared_from_this(), question](const grpc::Status& status) {
        self->Answered(*question, FromGrpc(status), ToString(question->response));
      });
}

void GrpcLink::Answered(const Question& question, const Status& status, const std::string& answer) {
  const std::lock_guard lock(mutex_);
  if (question_.get() != &question) return;
  question_ = nullptr;
  state_ = Judge(status, answer);
}

GrpcLink::State GrpcLink::Judge(const Status& status, const std::string& answer) {
  // Lost on the way, or late: asked again by who wants to call.
  if (status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kDeadlineExceeded ||
      status.code() == StatusCode::kCancelled)
    return kUnasked;
  if (!status.ok()) {
    // An older program, one that does not serve it, or one that does not trust us: calls say so.
    Count("unknown");
    log::Warning("rpc", "{} does not say which version of {} it has", options_.target,
                 options_.contract)
        .With(status);
    return kUsable;
  }
  const StatusOr<ContractVerdict> verdict =
      JudgeContract(options_.contract, options_.version, answer);
  const bool breaking = !verdict.ok() || verdict->kind == ContractVerdict::kBreaking;
  if (!breaking && verdict->kind == ContractVerdict::kSame) {
    Count("same");
    return kUsable;
  }
  const std::string text = verdict.ok() ? verdict->text : std::string(verdict.status().message());
  if (!breaking) {
    Count("compatible");
    if (warned_ != text)
      log::Warning("rpc", "{} has another version of a contract: {}", options_.target, text);
    warned_ = text;
    return kUsable;
  }
  Count("breaking");
  refusal_ = WithReason(
      Unavailable("{} is not called, since it would be misread: {}; run programs whose contracts "
                  "go together",
                  options_.target, text),
      kContractMismatch);
  if (warned_ != text) log::Error("rpc", "a contract was refused").With(refusal_);
  warned_ = text;
  return kRefused;
}

void GrpcLink::Count(const char* result) const {
  if (options_.metrics == nullptr) return;
  options_.metrics
      ->AddCounter("starling_client_contracts_total",
                   "Connections by how the other side's contract differs from ours",
                   {{"contract", options_.contract}, {"result", result}})
      .Add();
}

}  // namespace starling::rpc
