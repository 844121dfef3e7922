// A POST or PATCH to an upstream that comes twice with one idempotency key acts once.
//
//   Once once(store, scope);
//   CO_ASSIGN_OR_RETURN(const Once::Begun begun, co_await once.Begin(exchange, needed));
//   if (begun == Once::kReplayed) co_return OkStatus();   // the exchange is answered
//   Once::Exchange kept(exchange, on_stream);
//   Status status = co_await upstream.Forward(exchange.request, kept, ...);
//   if (begun == Once::kActs) co_await once.Finish(status, kept);
//
// The rules and the store are those of the services' routes (rpc/idempotency.h): an answer is given
// again to the same caller for 24 hours, another request with the same key is refused (422), and so
// is one while the first runs (409). A request is the same when its method, its path and query, its
// Content-Type and its body are.
//
// What is kept: the upstream's answer with its fields, success or error, up to kMostKept bytes of
// body. Of a larger one only that there was one: the request again is then refused with 409, since
// to act again would be worse. Answers that say "try again" (408, 425, 429, 502, 503, 504), and
// those that did not come, free the key.
//
// A client that goes away does not end what it began: the answer is kept for when it asks again. A
// gateway that dies in between leaves the key free.
#pragma once

#include <functional>
#include <string>

#include "platform/http/exchange.h"
#include "platform/rpc/idempotency.h"

namespace starling::gateway {

class Once {
 public:
  static constexpr size_t kMostKept = size_t{256} << 10;
  enum Begun : uint8_t { kNoKey, kReplayed, kActs };

  // `scope`: who asks what, such as "user:ada proxy /pay". `store` outlives it.
  Once(rpc::IdempotencyStore& store, std::string scope) : store_(store), scope_(std::move(scope)) {}

  // INVALID_ARGUMENT (400) for a key that is none, or none where one is `needed`; what the store
  // refuses.
  enum Need : uint8_t { kMayHave, kMustHave };
  Task<StatusOr<Begun>> Begin(http::Exchange& exchange, Need need);
  // Of what acted: keeps its answer, or frees the key.
  Task<void> Finish(const Status& status, const http::Response& response, bool streamed);

  // The client's exchange for who acts: its end is not ours. `on_stream` is called before the
  // answer goes to the client piece by piece.
  class Kept final : public http::Exchange {
   public:
    Kept(http::Exchange& client, std::function<void()> on_stream)
        : client_(client), on_stream_(std::move(on_stream)) {}
    http::ResponseStream& OpenStream() override;
    bool streaming() const override { return client_.streaming(); }
    CancellationToken cancellation() override { return {}; }
    Task<Status> SendInterim(const http::Response& interim) override;

   private:
    http::Exchange& client_;
    const std::function<void()> on_stream_;
  };

 private:
  rpc::IdempotencyStore& store_;
  const std::string scope_;
  std::string key_;
};

// An answer as bytes, and back; nullopt for what Write did not make.
std::string WriteAnswer(const http::Response& response);
std::optional<http::Response> ReadAnswer(std::string_view bytes);

}  // namespace starling::gateway
