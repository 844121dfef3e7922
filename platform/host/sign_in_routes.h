// The routes by which people sign in at an OpenID provider and out: /auth/login, redirect_path,
// /auth/logout.
//
// They are limited, seen and, when there is too much to do, refused as those of the services are:
// requests of an address, whose credentials are not looked at. An address that comes back from the
// provider too often with what is not good (gateway.failed_credentials) is refused before the
// provider is asked.
#pragma once

#include "platform/http/router.h"
#include "platform/identity/oidc_login.h"
#include "platform/rpc/edge_entry.h"

namespace starling::host {

// What is named must outlive the router. `edge` has limits.
Status AddSignInRoutes(identity::OidcLogin& login, const rpc::EdgeOptions& edge,
                       http::Router& router);

}  // namespace starling::host
