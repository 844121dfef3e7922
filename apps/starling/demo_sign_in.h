// Signing in without a password, for demonstrations: only for a browser on the machine that
// Starling runs on, and only for Starling's own pages.
//
// A request is let in when all of these hold, and is refused with PERMISSION_DENIED otherwise:
//   the server listens on a loopback address      nobody else's packets reach it
//   the peer is a loopback address                whatever the server listens on
//   no header tells of a proxy                    behind which anybody could be
//   Host names localhost, 127.0.0.1 or [::1]      a page whose own name was rebound to 127.0.0.1
//                                                 sends that name
//   Origin, when there is one, is the same        another site's page sends its own
#pragma once

#include <memory>
#include <string>

#include "contracts/profile/v1/profile.service.h"
#include "platform/http/router.h"

namespace starling {

// `listens_on` is http.address.
Status CheckDemoCaller(const http::Request& request, std::string_view listens_on);

// GET /demo/users?limit= gives {"users": [{"user_id", "display_name"}]}, at most `limit` of them
// (24 when absent, 100 at most), in the order of their ids. POST /demo/sessions {"user_id"} gives a
// profile.v1.Session, 201.
Status AddDemoSignIn(http::Router& router, std::shared_ptr<profile::v1::Profile> profile,
                     std::string listens_on);

}  // namespace starling
