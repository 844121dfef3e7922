// The storefront: what a shopper sees, served by the binary beside the API that it calls.
//
//   GET  /                        the page; GET /assets/{file}: its scripts and styles
//   GET  /storefront.json         what this process offers to the page
//   GET  /demo/users?limit=       shoppers to choose from         only with
//   storefront.demo_sign_in, POST /demo/sessions           a session without a password    see
//   demo_sign_in.h
//
// The files are web/storefront/, compiled in. A process that cannot call what the page needs
// (catalog, profile, ingestion) serves no storefront. docs/storefront.md is for its users.
#pragma once

#include <functional>

#include "platform/config/fields.h"
#include "platform/config/handle.h"
#include "platform/host/options.h"
#include "platform/http/router.h"
#include "platform/rpc/registry.h"

namespace starling {

struct StorefrontConfig {
  bool enabled = true;
  bool demo_sign_in = false;
  static void Describe(config::Fields<StorefrontConfig>& fields) {
    fields.Add("enabled", &StorefrontConfig::enabled, "serve the storefront at /").NeedsRestart();
    fields
        .Add("demo_sign_in", &StorefrontConfig::demo_sign_in,
             "let whoever sits at this machine sign in as any user, without a password; for "
             "demonstrations: refused unless http.address is a loopback address")
        .NeedsRestart();
  }
};

// For host::ProcessOptions::routes.
std::function<Status(http::Router&, const rpc::Registry&)> StorefrontRoutes(
    const StorefrontConfig& storefront, const host::HttpConfig& http);

}  // namespace starling
