// A problem document as a page, for people: what a browser shows who follows a link to nowhere.
//
//   if (WantsPage(request, response)) MakePage(response);
//
// For a client whose Accept names text/html and no JSON, and for problems that are ours: what a
// server behind us says stays. The page has the status and the trace's id, and nothing that a
// client sent.
#pragma once

#include "platform/http/message.h"

namespace starling::gateway {

bool WantsPage(const http::Request& request, const http::Response& response);
void MakePage(http::Response& response);

}  // namespace starling::gateway
