// Status on the wire of gRPC and back: code, message, and the details as google.rpc.Status in
// `grpc-status-details-bin` (BadRequest for fields, ErrorInfo for the reason, RetryInfo for the
// delay), as Google's APIs send them.
#pragma once

#include <grpcpp/support/status.h>

#include "platform/base/status.h"

namespace starling::rpc {

grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace starling::rpc
