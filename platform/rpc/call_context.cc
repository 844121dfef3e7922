#include "platform/rpc/call_context.h"

namespace starling::rpc {

CallContext CallContext::ForService(std::string_view service, Duration timeout) {
  CallContext context(security::Anonymous(), std::chrono::steady_clock::now() + timeout);
  context.via_service = service;
  return context;
}

}  // namespace starling::rpc
