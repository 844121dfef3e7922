#include "platform/rpc/grpc_status.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace starling::rpc {
namespace {
constexpr char kDomain[] = "starling";
}

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  if (const auto violations = FieldViolations(status); !violations.empty()) {
    google::rpc::BadRequest bad_request;
    for (const FieldViolation& violation : violations) {
      auto* field = bad_request.add_field_violations();
      field->set_field(violation.field);
      field->set_description(violation.description);
    }
    details.add_details()->PackFrom(bad_request);
  }
  if (const std::string reason = Reason(status); !reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain(kDomain);
    details.add_details()->PackFrom(info);
  }
  if (const auto delay = RetryAfter(status)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(delay->count() / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(delay->count() % 1000) * 1'000'000);
    details.add_details()->PackFrom(retry);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      details.details_size() > 0 ? details.SerializeAsString() : "");
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  Status result(static_cast<StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details()))
    return result;
  for (const auto& detail : details.details()) {
    google::rpc::BadRequest bad_request;
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&bad_request)) {
      std::vector<FieldViolation> violations;
      for (const auto& field : bad_request.field_violations()) {
        violations.push_back({field.field(), field.description()});
      }
      result = WithViolations(std::move(result), violations);
    } else if (detail.UnpackTo(&info)) {
      result = WithReason(std::move(result), info.reason());
    } else if (detail.UnpackTo(&retry)) {
      result = WithRetryAfter(std::move(result),
                              std::chrono::milliseconds(retry.retry_delay().seconds() * 1000 +
                                                        retry.retry_delay().nanos() / 1'000'000));
    }
  }
  return result;
}

}  // namespace starling::rpc
