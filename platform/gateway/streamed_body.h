// The body of a request on its way to an upstream while its client still sends it. Internal to the
// gateway; not thread-safe.
//
//   StreamedBody body(exchange, timeout, call_deadline);
//   body.SendTo(request, executor);        // reads the client beside whoever awaits the answer
//   ...
//   co_await body.LetGo();                 // before `request` goes; it can be sent to another
//   co_await body.Finish();                // once, at the end
//
// At most 64 KiB wait for the upstream, then the client waits. What was sent is kept, up to 64 KiB,
// so that it can be sent again. An error of the client's body ends the request with it.
#pragma once

#include <memory>

#include "platform/async/task.h"
#include "platform/gateway/h2_upstream.h"
#include "platform/http/exchange.h"

namespace starling::gateway {

class StreamedBody {
 public:
  // Until the answer begins, each piece gives the request `timeout` from then on.
  StreamedBody(http::Exchange& exchange, Duration timeout, Instant call_deadline);

  void SendTo(H2Request& request, const Executor& executor);
  Task<void> LetGo();
  Task<void> Finish();
  // All that the client sent is still there.
  bool replayable() const { return state_->replayable; }
  // Why the client's body ended before its end.
  const Status& error() const { return state_->error; }

 private:
  struct State {
    http::Exchange& exchange;
    Duration timeout;
    Instant call_deadline;
    H2Request* to = nullptr;
    std::string kept;
    bool replayable = true;
    bool begun = false;
    bool sending = false;  // in AppendAll
    bool done = false;     // nothing more is read
    bool whole = false;
    Status error;
    std::optional<Completion<bool>> waiter;  // for the end of `sending`, or for `done`
    void Wake();
    void Extend();
  };
  static Task<void> Read(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace starling::gateway
