// What a generated service header stands on: the types in its signatures. A service's author
// includes the generated header and needs nothing else of platform/rpc.
#pragma once

#include <memory>
#include <utility>

#include "platform/async/task.h"
#include "platform/base/status.h"
#include "platform/rpc/call_context.h"

namespace starling::rpc {

class Channel;
class ServiceRuntime;
struct ServiceDescriptor;

// Where a server-streaming method puts its answers, one after the other.
template <typename T>
class Stream {
 public:
  virtual ~Stream() = default;
  // Waits while the receiver is slow. CANCELLED once the receiver is gone: stop then.
  virtual Task<Status> Write(const T& message) = 0;
};

}  // namespace starling::rpc

namespace starling {
using rpc::CallContext;
}
