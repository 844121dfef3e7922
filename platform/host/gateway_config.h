// The section "gateway" of the configuration, and what it means to the HTTP edge.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "platform/config/fields.h"
#include "platform/gateway/answers/answer_filter.h"
#include "platform/gateway/route_config.h"
#include "platform/host/tls_config.h"
#include "platform/rpc/gateway_limits.h"

namespace starling::host {

struct RequestLimitConfig {
  double requests_per_second = 0;
  int burst = 0;
  static void Describe(config::Fields<RequestLimitConfig>& fields) {
    fields
        .Add("requests_per_second", &RequestLimitConfig::requests_per_second,
             "requests that an API key, a user, or an address without either may make a second; "
             "more are answered 429; 0: any number")
        .Range(0.0, 100'000.0);
    fields
        .Add("burst", &RequestLimitConfig::burst,
             "how many of them may come at once; 0: those of two seconds")
        .Range(0, 1'000'000);
  }
};

struct FailedCredentialsConfig {
  double per_minute = 12;
  int burst = 20;
  static void Describe(config::Fields<FailedCredentialsConfig>& fields) {
    fields
        .Add("per_minute", &FailedCredentialsConfig::per_minute,
             "wrong passwords, and apart from them bad tokens, that an address may send a minute; "
             "0: any number")
        .Range(0.0, 100'000.0);
    fields.Add("burst", &FailedCredentialsConfig::burst, "how many of them may come at once")
        .Range(1, 1'000'000);
  }
};

struct AccessLogConfig {
  std::string file;
  double sample = 1.0;
  static void Describe(config::Fields<AccessLogConfig>& fields) {
    fields
        .Add("file", &AccessLogConfig::file,
             "a line of JSON for each request is written there; -: to stderr; empty: none. It may "
             "be "
             "renamed while it is written")
        .NeedsRestart();
    fields
        .Add("sample", &AccessLogConfig::sample,
             "the part of requests that is logged; answers of 500 and above are always")
        .Range(0.0, 1.0)
        .NeedsRestart();
  }
};

struct CacheConfig {
  config::Bytes max_size = config::Bytes::MiB(64);
  config::Bytes max_object = config::Bytes::MiB(1);
  static void Describe(config::Fields<CacheConfig>& fields) {
    fields
        .Add("max_size", &CacheConfig::max_size,
             "memory for the answers of routes with `cache`; the least wanted make room")
        .NeedsRestart();
    fields.Add("max_object", &CacheConfig::max_object, "the largest body that is kept")
        .NeedsRestart();
  }
};

struct GatewayConfig {
  enum class LimitStore { kLocal, kRedis };
  RequestLimitConfig rate_limit;
  FailedCredentialsConfig failed_credentials;
  LimitStore limit_store = LimitStore::kLocal;
  config::Secret limit_url;
  AccessLogConfig access_log;
  CacheConfig cache;
  gateway::CompressionConfig compression;
  gateway::CorsConfig cors;
  std::map<std::string, std::string> answer_headers;
  std::vector<std::string> trusted_proxies;
  std::map<std::string, gateway::UpstreamConfig> upstreams;
  std::vector<gateway::RouteConfig> routes;
  TlsConfig tls;
  static void Describe(config::Fields<GatewayConfig>& fields) {
    fields.Add("rate_limit", &GatewayConfig::rate_limit, "requests of one caller");
    fields.Add("failed_credentials", &GatewayConfig::failed_credentials,
               "failures of one address to say who it is");
    fields
        .AddEnum("limit_store", &GatewayConfig::limit_store,
                 {{"local", LimitStore::kLocal}, {"redis", LimitStore::kRedis}},
                 "whose these limits are: local (each gateway counts for itself) or redis (all of "
                 "them together; while Redis is gone, each for itself)")
        .NeedsRestart();
    fields
        .Add("limit_url", &GatewayConfig::limit_url,
             "the Redis of limit_store: redis://user:password@host:6379/0; empty: storage.kv.url")
        .NeedsRestart();
    fields
        .Add("trusted_proxies", &GatewayConfig::trusted_proxies,
             "IP addresses of proxies whose X-Forwarded-For says which address a request is of: "
             "[127.0.0.1, '::1']")
        .Check([](const std::vector<std::string>& proxies) -> std::string {
          for (const std::string& proxy : proxies) {
            if (!rpc::IsAddress(proxy))
              return "a list of IP addresses, one of which is not '" + proxy + "'";
          }
          return "";
        });
    fields.Add("access_log", &GatewayConfig::access_log, "a line for each request");
    fields.Add("cache", &GatewayConfig::cache, "answers that are kept for others");
    fields.Add("compression", &GatewayConfig::compression, "of answers");
    fields.Add("cors", &GatewayConfig::cors, "which pages of other origins may call");
    fields.Add(
        "answer_headers", &GatewayConfig::answer_headers,
        "fields of answers instead of the usual ones (docs/gateway.md) or beside them, unless "
        "the answer has its own; an empty one: none");
    fields.Add("upstreams", &GatewayConfig::upstreams,
               "servers beside the services, by a name for the routes");
    fields.Add("routes", &GatewayConfig::routes, "which requests go to which upstream");
    fields.Add("tls", &GatewayConfig::tls, "the public API over TLS, beside the one without");
    fields.Check([](const GatewayConfig& config) {
      Status status = gateway::CheckRoutes(config.upstreams, config.routes);
      if (status.ok()) status = gateway::CheckAnswerRules(config.AnswerRules(), config.routes);
      return std::string(status.message());
    });
  }
  gateway::AnswerRules AnswerRules() const {
    return {.compression = compression, .cors = cors, .answer_headers = answer_headers};
  }
};

inline rpc::GatewayLimits::Options LimitsOf(const GatewayConfig& config) {
  rpc::GatewayLimits::Options options{.trusted_proxies = config.trusted_proxies};
  if (const double rate = config.rate_limit.requests_per_second; rate > 0) {
    const int64_t two_seconds = std::max<int64_t>(1, static_cast<int64_t>(2 * rate));
    options.requests = rpc::RateLimiter::Limit{
        .per_second = rate,
        .burst = config.rate_limit.burst > 0 ? config.rate_limit.burst : two_seconds};
  }
  if (config.failed_credentials.per_minute > 0) {
    options.failed_credentials =
        rpc::RateLimiter::Limit{.per_second = config.failed_credentials.per_minute / 60,
                                .burst = config.failed_credentials.burst};
  }
  return options;
}

}  // namespace starling::host
