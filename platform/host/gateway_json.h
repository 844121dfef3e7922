// What a gateway has, as JSON for operators: routes, upstreams, certificates, limits, its cache.
//
// Each gives a whole document. Thread-safe, as what they are given is; some microseconds a row.
#pragma once

#include <string>
#include <vector>

#include "platform/gateway/cache/http_cache.h"
#include "platform/gateway/proxy_routes.h"
#include "platform/gateway/route_table.h"
#include "platform/http/tls.h"
#include "platform/rpc/gateway_limits.h"

namespace starling::host {

std::string RoutesJson(const gateway::RouteTable& routes);
std::string UpstreamsJson(const gateway::Upstreams& upstreams);
std::string CertificatesJson(const std::vector<http::TlsCertificate>& certificates, TimePoint now);
// `most`: of the callers that are nearest to a limit.
std::string LimitsJson(const rpc::GatewayLimits& limits, const gateway::RouteTable& routes,
                       size_t most);
std::string CacheJson(const gateway::HttpCacheStats& stats);

// Until it ends; below 0 when it has ended.
double DaysLeft(const http::TlsCertificate& certificate, TimePoint now);

}  // namespace starling::host
