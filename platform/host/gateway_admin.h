// The gateway's own part of the admin port: what it routes to and how that is, and what an operator
// changes of it while it runs.
//
//   GET  /gateway/routes         GET  /gateway/upstreams     GET /gateway/certificates
//   GET  /gateway/limits         GET  /gateway/cache
//   POST /gateway/upstreams/{name}/endpoints/{address}:drain    and :undrain
//   POST /gateway/cache:purge?url=URL | prefix=URL | tag=TAG | all=true
//   POST /gateway:drain?grace=5s
//
// Whoever asks needs an API key with the scope gateway.admin, made for no user: a session, a JWT
// and a user's key are refused (403) whatever their scopes, so that nothing a browser holds opens
// this. Each change, and each refusal, is logged with who asked.
//
// What is drained is so in this process, until undrain or a restart. A URL is written as
// "http://shop.example/v1/products?page=2", without scheme too. A tag is a word of an answer's
// Surrogate-Key or Cache-Tag.
#pragma once

#include <functional>
#include <memory>

#include "platform/async/runtime.h"
#include "platform/host/gateway_json.h"
#include "platform/http/router.h"
#include "platform/security/authenticator.h"

namespace starling::host {

struct GatewayParts {
  Runtime* runtime;
  security::Authenticator* authenticator;
  const Clock* clock;
  const gateway::RouteTable* routes;
  const gateway::Upstreams* upstreams;
  const rpc::GatewayLimits* limits;
  gateway::HttpCache* cache;
  std::function<std::vector<http::TlsCertificate>()> certificates;
  // Says that this is not ready any more, and after `grace` takes no connection.
  std::function<void(Duration grace)> drain;
};

// What the parts name must outlive the router and its requests.
Status AddGatewayAdminRoutes(http::Router& router, GatewayParts parts);

}  // namespace starling::host
