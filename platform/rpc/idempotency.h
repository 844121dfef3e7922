// Idempotency keys: a call that changes something, sent again with the same key, acts once and
// gives the same answer. Source: draft-ietf-httpapi-idempotency-key-header-07.
//
//   first call           acts, its answer (success, or a refusal that a retry would get again) is
//   stored again, same request  the stored answer again, other request INVALID_ARGUMENT, reason
//   IDEMPOTENCY_KEY_REUSED (422) while it still runs  ABORTED, reason IDEMPOTENCY_KEY_IN_FLIGHT
//   (409)
//
// Keys are kept per caller and method, for 24 hours, at most 1,000,000 of them; beyond, the oldest
// go. An answer that a retry may change (UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, ...) is not
// stored: the key is free again. A process that dies in between leaves the key free too (where
// several processes share the keys, 15 s later): the retry acts again, which is why services keep
// their writes idempotent by id as well.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/rpc/server_call.h"

namespace starling::rpc {

// Thread-safe.
class IdempotencyStore {
 public:
  struct Answer {
    Status status;         // code and message; payloads are kept as the public parts of a status
    std::string response;  // serialised, when status is OK
  };
  virtual ~IdempotencyStore() = default;
  // Claims the key, or gives the stored answer, or refuses as above. `fingerprint` is a hash of the
  // request.
  virtual Task<StatusOr<std::optional<Answer>>> Begin(std::string scope, std::string key,
                                                      std::string fingerprint) = 0;
  // Stores the answer of a claimed key, durably; or frees the key when the answer is not to be
  // kept.
  virtual Task<Status> Finish(std::string scope, std::string key, const Answer& answer) = 0;
  // What the store has to do beside; to be spawned, and to go on until the last Finish. It may not
  // end by itself.
  virtual Task<void> Run() = 0;
};

// "user:42 starling.catalog.v1.Catalog/CreateProduct"
std::string IdempotencyScope(const ServerCall& call, const security::Identity& caller);
// SHA-256 of the request's bytes.
std::string Fingerprint(std::string_view request);
// At most 255 printable ASCII characters.
Status CheckIdempotencyKey(std::string_view key);
// Whether a retry would get the same answer.
bool IsFinal(const Status& status);

template <typename Response, typename Request, typename Act>
Task<StatusOr<Response>> CallOnce(ServerCall& call, const Request& request, Act act) {
  IdempotencyStore* store = call.method().idempotency;
  if (store == nullptr) {
    co_return FailedPrecondition(
        "this process keeps no idempotency keys; send the call without one");
  }
  CO_RETURN_IF_ERROR(CheckIdempotencyKey(call.idempotency_key()));
  const std::string scope = IdempotencyScope(call, *call.context().caller);
  StatusOr<std::optional<IdempotencyStore::Answer>> stored = co_await store->Begin(
      scope, call.idempotency_key(), Fingerprint(request.SerializeAsString()));
  if (!stored.ok()) co_return stored.status();
  if (stored->has_value()) {
    if (!(*stored)->status.ok()) co_return (*stored)->status;
    Response response;
    if (!response.ParseFromString((*stored)->response)) {
      co_return DataLoss("the stored answer of idempotency key '{}' is damaged; use a new key",
                         call.idempotency_key());
    }
    co_return response;
  }
  StatusOr<Response> response = co_await act();
  IdempotencyStore::Answer answer{response.status(),
                                  response.ok() ? response->SerializeAsString() : ""};
  const Status finished = co_await store->Finish(scope, call.idempotency_key(), answer);
  // The change is made: not being able to store its answer must not turn it into a failure.
  (void)finished;
  co_return response;
}

}  // namespace starling::rpc
