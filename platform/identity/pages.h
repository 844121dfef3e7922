// The few pages that somebody sees who signs in or out: no script, no picture, nothing of another
// site, not kept by anybody.
#pragma once

#include "platform/base/status.h"
#include "platform/http/message.h"

namespace starling::identity {

// Says what is wrong, and where to begin again.
void FillFailurePage(http::Response& response, int http_status, const Status& why);
// A button that signs out.
void FillLogoutPage(http::Response& response);

}  // namespace starling::identity
