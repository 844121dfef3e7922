// Puts a request message together from the parts of an HTTP request, as google.api.http says.
#pragma once

#include <google/protobuf/message.h>

#include "platform/base/status.h"
#include "platform/rpc/descriptor.h"

namespace starling::rpc {

// Query, then body, then path (which must agree with the body), then If-Match. A query parameter
// names a field by its path ("page_size", "filter.category") and may come again for a repeated
// field; it may not name what the body holds. INVALID_ARGUMENT names the field that is unknown,
// misplaced or of the wrong type.
Status FillRequest(const HttpRule& rule, const JsonInput& input,
                   google::protobuf::Message& request);

}  // namespace starling::rpc
