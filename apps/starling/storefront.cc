#include "apps/starling/storefront.h"

#include <algorithm>

#include "apps/starling/demo_sign_in.h"
#include "apps/starling/version.h"
#include "embedded/storefront_files.h"
#include "platform/http/static_files.h"
#include "platform/telemetry/log.h"

namespace starling {
namespace {

using http::Exchange;
using http::Verb;

// The page's own scripts and styles and nothing else: no inline script, no other origin's, no
// frame around it, no text that becomes markup. A product's picture may be anywhere.
constexpr char kPolicy[] =
    "default-src 'self'; img-src 'self' data: http: https:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'";

// Called on each answer after its handler, which may have replaced the response.
http::Handler WithPageHeaders(http::Handler handler) {
  return [handler = std::move(handler)](Exchange& exchange) -> Task<void> {
    co_await handler(exchange);
    exchange.response.headers.Set("Content-Security-Policy", kPolicy);
    exchange.response.headers.Set("Referrer-Policy", "no-referrer");
    exchange.response.headers.Set("Cross-Origin-Opener-Policy", "same-origin");
    exchange.response.headers.Set("X-Content-Type-Options", "nosniff");
  };
}

bool CanCall(const rpc::Registry& services, std::string_view name) {
  return std::any_of(services.bindings().begin(), services.bindings().end(),
                     [&](const rpc::Binding& binding) { return binding.descriptor->name == name; });
}

http::Handler Offers(const StorefrontConfig& config, const rpc::Registry& services) {
  std::string offers =
      fmt::format(R"({{"version":"{}","demo_sign_in":{},"recommendations":{}}})", kVersion,
                  config.demo_sign_in, CanCall(services, "recommendation"));
  return [offers = std::move(offers)](Exchange& exchange) -> Task<void> {
    exchange.response.headers.Set("Cache-Control", "no-cache");
    exchange.response.SetBody("application/json", offers);
    co_return;
  };
}

Status AddStorefront(const StorefrontConfig& config, const host::HttpConfig& http,
                     http::Router& router, const rpc::Registry& services) {
  if (!config.enabled) return OkStatus();
  for (const std::string_view name : {"catalog", "profile", "ingestion"}) {
    if (!CanCall(services, name)) {
      log::Info("storefront", "not served: this process cannot call {}", name);
      return OkStatus();
    }
  }
  const http::Handler files = WithPageHeaders(http::ServeFiles(web::kStorefrontFiles, {}));
  STARLING_RETURN_IF_ERROR(router.Add(Verb::kGet, "/", files));
  STARLING_RETURN_IF_ERROR(router.Add(Verb::kGet, "/assets/{file=**}", files));
  STARLING_RETURN_IF_ERROR(router.Add(Verb::kGet, "/storefront.json", Offers(config, services)));
  if (!config.demo_sign_in) return OkStatus();
  log::Warning("storefront", "demo sign-in is on: who sits at this machine may be any user");
  return AddDemoSignIn(router, services.Get<profile::v1::Profile>(), http.address);
}

}  // namespace

std::function<Status(http::Router&, const rpc::Registry&)> StorefrontRoutes(
    const StorefrontConfig& storefront, const host::HttpConfig& http) {
  return [storefront, http](http::Router& router, const rpc::Registry& services) {
    return AddStorefront(storefront, http, router, services);
  };
}

}  // namespace starling
