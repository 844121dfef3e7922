// Status and StatusOr, as everything in Starling returns them, and how to make one that helps its
// reader.
//
//   if (page_size > 1000) {
//     return InvalidField("page_size", "{} is above the limit of 1000; ask for less and page on",
//     page_size);
//   }
//   STARLING_ASSIGN_OR_RETURN(Product product, Find(id));
//   CO_RETURN_IF_ERROR(co_await store.Put(product));   // in a coroutine
//
// Codes are gRPC's (google.rpc.Code); platform/http/problem.h has the one mapping to HTTP. A status
// may carry three things beside its message, which survive the gRPC and the HTTP edge: the fields
// that were wrong, a machine-readable reason, and how long to wait before another try.
//
// Thread-safe as absl::Status is: const use from any thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/core.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace starling {

using absl::OkStatus;
using absl::Status;
using absl::StatusCode;
using absl::StatusOr;

#define STARLING_STATUS_MAKER(Name, Code)                                              \
  template <typename... Args>                                                          \
  [[nodiscard]] Status Name(fmt::format_string<Args...> format, Args&&... args) {      \
    return Status(StatusCode::Code, fmt::format(format, std::forward<Args>(args)...)); \
  }
STARLING_STATUS_MAKER(InvalidArgument, kInvalidArgument)
STARLING_STATUS_MAKER(NotFound, kNotFound)
STARLING_STATUS_MAKER(AlreadyExists, kAlreadyExists)
STARLING_STATUS_MAKER(PermissionDenied, kPermissionDenied)
STARLING_STATUS_MAKER(Unauthenticated, kUnauthenticated)
STARLING_STATUS_MAKER(FailedPrecondition, kFailedPrecondition)
STARLING_STATUS_MAKER(ResourceExhausted, kResourceExhausted)
STARLING_STATUS_MAKER(Aborted, kAborted)
STARLING_STATUS_MAKER(OutOfRange, kOutOfRange)
STARLING_STATUS_MAKER(Unimplemented, kUnimplemented)
STARLING_STATUS_MAKER(Internal, kInternal)
STARLING_STATUS_MAKER(Unavailable, kUnavailable)
STARLING_STATUS_MAKER(DataLoss, kDataLoss)
STARLING_STATUS_MAKER(Cancelled, kCancelled)
STARLING_STATUS_MAKER(DeadlineExceeded, kDeadlineExceeded)
#undef STARLING_STATUS_MAKER

// One field of a request that was wrong. `field` is a path as the caller wrote it:
// "product.price.units".
struct FieldViolation {
  std::string field;
  std::string description;
  bool operator==(const FieldViolation&) const = default;
};

// INVALID_ARGUMENT that names fields. The message is "field: description; field: description".
[[nodiscard]] Status InvalidFields(const std::vector<FieldViolation>& violations);

template <typename... Args>
[[nodiscard]] Status InvalidField(std::string_view field, fmt::format_string<Args...> format,
                                  Args&&... args) {
  return InvalidFields({{std::string(field), fmt::format(format, std::forward<Args>(args)...)}});
}

// The same status, naming these fields beside its own message.
[[nodiscard]] Status WithViolations(Status status, const std::vector<FieldViolation>& violations);

// The fields named by a status; empty when it names none.
[[nodiscard]] std::vector<FieldViolation> FieldViolations(const Status& status);

// A reason that programs match on, UPPER_SNAKE_CASE (google.rpc.ErrorInfo.reason), where the code
// alone is too coarse.
[[nodiscard]] Status WithReason(Status status, std::string_view reason);
[[nodiscard]] std::string Reason(const Status& status);

// Reasons known to the HTTP edge.
namespace reason {
inline constexpr std::string_view kEtagMismatch = "ETAG_MISMATCH";                        // 412
inline constexpr std::string_view kIdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED";       // 422
inline constexpr std::string_view kIdempotencyKeyInFlight = "IDEMPOTENCY_KEY_IN_FLIGHT";  // 409
inline constexpr std::string_view kOverloaded = "OVERLOADED";                             // 503
inline constexpr std::string_view kQuotaExceeded = "QUOTA_EXCEEDED";                      // 429
inline constexpr std::string_view kPayloadTooLarge = "PAYLOAD_TOO_LARGE";                 // 413
inline constexpr std::string_view kUnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE";       // 415
inline constexpr std::string_view kMethodNotAllowed = "METHOD_NOT_ALLOWED";               // 405
inline constexpr std::string_view kFieldsTooLarge = "FIELDS_TOO_LARGE";                   // 431
inline constexpr std::string_view kRequestTimeout = "REQUEST_TIMEOUT";                    // 408
inline constexpr std::string_view kStorageFailed = "STORAGE_FAILED";                      // 503
}  // namespace reason

// When the caller may try again (google.rpc.RetryInfo, HTTP Retry-After).
[[nodiscard]] Status WithRetryAfter(Status status, std::chrono::milliseconds delay);
[[nodiscard]] std::optional<std::chrono::milliseconds> RetryAfter(const Status& status);

// UNAVAILABLE for a bound that was reached: shed, with the delay after which a retry makes sense.
[[nodiscard]] Status Overloaded(std::string_view message, std::chrono::milliseconds retry_after);

// A failure of this machine's storage (a full disk, I/O, a locked file, one that cannot be
// written): its message is for the operator's log.
[[nodiscard]] Status StorageFailed(Status status);
[[nodiscard]] Status DiskFull(std::string_view path);

// The same status with "context: " before its message; payloads stay. OK stays OK.
[[nodiscard]] Status Annotate(const Status& status, std::string_view context);

// Whether a status tells of the inside of this process (a bug, damaged data, its files): something
// for the operator's log and not for callers from outside.
[[nodiscard]] bool IsInternalFailure(const Status& status);

// The status as callers from outside may see it, over HTTP and over gRPC: the message of an
// internal one is replaced, its code, reason and delay stay. Others are given as they are.
[[nodiscard]] Status ForOutsiders(const Status& status);

// "NOT_FOUND: product 'x' is not in the catalogue", for logs.
[[nodiscard]] std::string ToString(const Status& status);

}  // namespace starling

#define STARLING_CONCAT_INNER(a, b) a##b
#define STARLING_CONCAT(a, b) STARLING_CONCAT_INNER(a, b)

#define STARLING_RETURN_IF_ERROR(expression)                                      \
  do {                                                                            \
    if (::absl::Status starling_status_ = (expression); !starling_status_.ok()) { \
      return starling_status_;                                                    \
    }                                                                             \
  } while (false)

#define STARLING_ASSIGN_OR_RETURN(target, expression) \
  STARLING_ASSIGN_OR_RETURN_INNER(STARLING_CONCAT(starling_or_, __LINE__), target, expression)
#define STARLING_ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                                       \
  if (!holder.ok()) return std::move(holder).status();              \
  target = *std::move(holder)

// The same for coroutines. The expression may co_await.
#define CO_RETURN_IF_ERROR(expression)                      \
  do {                                                      \
    ::absl::Status starling_status_ = (expression);         \
    if (!starling_status_.ok()) co_return starling_status_; \
  } while (false)

#define CO_ASSIGN_OR_RETURN(target, expression) \
  CO_ASSIGN_OR_RETURN_INNER(STARLING_CONCAT(starling_or_, __LINE__), target, expression)
#define CO_ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                                 \
  if (!holder.ok()) co_return std::move(holder).status();     \
  target = *std::move(holder)
