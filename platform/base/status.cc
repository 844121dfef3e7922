#include "platform/base/status.h"

#include <absl/strings/cord.h>

#include <charconv>

namespace starling {
namespace {

constexpr std::string_view kViolationsUrl = "starling/field-violations";
constexpr std::string_view kReasonUrl = "starling/reason";
constexpr std::string_view kRetryAfterUrl = "starling/retry-after-ms";

// A payload is a flat string: violations are field, US, description, RS (ASCII separators 0x1f and
// 0x1e).
constexpr char kUnitSeparator = '\x1f';
constexpr char kRecordSeparator = '\x1e';

std::optional<std::string> Payload(const Status& status, std::string_view url) {
  const absl::optional<absl::Cord> payload = status.GetPayload({url.data(), url.size()});
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

void SetPayload(Status& status, std::string_view url, std::string_view value) {
  status.SetPayload({url.data(), url.size()},
                    absl::Cord(absl::string_view(value.data(), value.size())));
}

}  // namespace

Status InvalidFields(const std::vector<FieldViolation>& violations) {
  std::string message;
  for (const FieldViolation& violation : violations) {
    if (!message.empty()) message += "; ";
    message += violation.field + ": " + violation.description;
  }
  return WithViolations(Status(StatusCode::kInvalidArgument, message), violations);
}

Status WithViolations(Status status, const std::vector<FieldViolation>& violations) {
  std::string payload;
  for (const FieldViolation& violation : violations) {
    payload += violation.field;
    payload += kUnitSeparator;
    payload += violation.description;
    payload += kRecordSeparator;
  }
  if (!status.ok()) SetPayload(status, kViolationsUrl, payload);
  return status;
}

std::vector<FieldViolation> FieldViolations(const Status& status) {
  std::vector<FieldViolation> violations;
  const std::optional<std::string> payload = Payload(status, kViolationsUrl);
  if (!payload) return violations;
  std::string_view rest = *payload;
  while (!rest.empty()) {
    const size_t end = rest.find(kRecordSeparator);
    const std::string_view record = rest.substr(0, end);
    const size_t middle = record.find(kUnitSeparator);
    if (middle != std::string_view::npos) {
      violations.push_back(
          {std::string(record.substr(0, middle)), std::string(record.substr(middle + 1))});
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return violations;
}

Status WithReason(Status status, std::string_view reason) {
  if (!status.ok()) SetPayload(status, kReasonUrl, reason);
  return status;
}

std::string Reason(const Status& status) { return Payload(status, kReasonUrl).value_or(""); }

Status WithRetryAfter(Status status, std::chrono::milliseconds delay) {
  if (!status.ok()) SetPayload(status, kRetryAfterUrl, std::to_string(delay.count()));
  return status;
}

std::optional<std::chrono::milliseconds> RetryAfter(const Status& status) {
  const std::optional<std::string> payload = Payload(status, kRetryAfterUrl);
  if (!payload) return std::nullopt;
  int64_t milliseconds = 0;
  std::from_chars(payload->data(), payload->data() + payload->size(), milliseconds);
  return std::chrono::milliseconds(milliseconds);
}

Status Overloaded(std::string_view message, std::chrono::milliseconds retry_after) {
  return WithRetryAfter(WithReason(Unavailable("{}", message), reason::kOverloaded), retry_after);
}

Status StorageFailed(Status status) {
  return WithRetryAfter(WithReason(std::move(status), reason::kStorageFailed),
                        std::chrono::seconds(5));
}

Status DiskFull(std::string_view path) {
  return StorageFailed(ResourceExhausted(
      "the disk of '{}' is full; free space and retry; nothing was acknowledged", path));
}

Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  Status annotated(status.code(),
                   fmt::format("{}: {}", context,
                               std::string_view(status.message().data(), status.message().size())));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

bool IsInternalFailure(const Status& status) {
  return status.code() == StatusCode::kInternal || status.code() == StatusCode::kUnknown ||
         status.code() == StatusCode::kDataLoss || Reason(status) == reason::kStorageFailed;
}

Status ForOutsiders(const Status& status) {
  if (!IsInternalFailure(status)) return status;
  const bool storage = Reason(status) == reason::kStorageFailed;
  Status shown(status.code(),
               storage ? "the server's storage is full, busy or failing; nothing was acknowledged; "
                         "try again later"
                       : "internal error");
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { shown.SetPayload(url, payload); });
  return shown;
}

std::string ToString(const Status& status) {
  if (status.ok()) return "OK";
  return absl::StatusCodeToString(status.code()) + ": " + std::string(status.message());
}

}  // namespace starling
