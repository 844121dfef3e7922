// The routes by which people sign in at an OpenID provider and out: /auth/login, redirect_path,
// /auth/logout.
//
// They are limited as callers are: an address that comes back from the provider too often with what
// is not good (gateway.failed_credentials) is refused before the provider is asked.
#pragma once

#include "platform/http/router.h"
#include "platform/identity/oidc_login.h"
#include "platform/rpc/gateway_limits.h"

namespace starling::host {

// What is named must outlive the router.
Status AddSignInRoutes(identity::OidcLogin& login, rpc::GatewayLimits& limits,
                       http::Router& router);

}  // namespace starling::host
