// The body of a request on its way to an upstream, piece by piece, while the answer may come: each
// piece is read from the client once the one before has gone. Internal to the gateway.
//
//   AppendRequestHead(...); co_await connection.Send(head, "", false);
//   Upload upload(exchange, connection, policy, length);
//   upload.Start(executor);
//   ... connection.Next(response) ...                  // the answer
//   co_await upload.End();
//   if (!upload.client_error().ok()) ...               // the client broke it: so there is no
//   answer
//
// Until all is sent nothing but silence ends it: quiet_timeout of the upstream, body_timeout of the
// client. From then on the answer has `timeout` to begin. One io thread; End before destruction.
#pragma once

#include <memory>

#include "platform/gateway/upstream_connection.h"

namespace starling::gateway {

struct ForwardPolicy;

class Upload {
 public:
  // kTunnel: the bytes of a client after 101; the silence of both sides together ends it.
  enum class Framing : uint8_t { kAsItIs, kChunks, kTunnel };
  Upload(http::Exchange& exchange, UpstreamConnection& connection, const ForwardPolicy& policy,
         Framing framing);
  void Start(const Executor& executor);
  // Stops what is still under way and waits for it.
  Task<void> End();
  // The answer has begun, and has its own deadlines from here on.
  void AnswerBegan();

  bool sent_all() const;
  // Why the client did not send all of it.
  Status client_error() const;

 private:
  struct State;
  static Task<void> Run(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace starling::gateway
