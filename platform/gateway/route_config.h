// What the configuration says of upstreams and routes: gateway.upstreams and gateway.routes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "platform/config/fields.h"
#include "platform/gateway/answers/answers_config.h"
#include "platform/gateway/route_limits_config.h"
#include "platform/resilience/priority.h"

namespace starling::gateway {

struct HealthCheckConfig {
  std::string path;
  Duration interval = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(2);
  int failures = 2;
  int successes = 1;
  bool operator==(const HealthCheckConfig&) const = default;
  static void Describe(config::Fields<HealthCheckConfig>& fields) {
    fields
        .Add("path", &HealthCheckConfig::path,
             "what each endpoint is asked, 2xx and 3xx being well: /healthz, or of gRPC "
             "/grpc.health.v1.Health/Check; empty: no check")
        .Check([](const std::string& path) {
          return path.empty() || path[0] == '/' ? "" : "a path that begins with '/', or nothing";
        });
    fields.Add("interval", &HealthCheckConfig::interval, "between two checks of an endpoint")
        .AtLeast(std::chrono::milliseconds(10));
    fields
        .Add("timeout", &HealthCheckConfig::timeout, "until an endpoint that is silent is not well")
        .AtLeast(std::chrono::milliseconds(1));
    fields.Add("failures", &HealthCheckConfig::failures, "failures in a row that take it out")
        .Range(1, 1000);
    fields.Add("successes", &HealthCheckConfig::successes, "successes in a row that bring it back")
        .Range(1, 1000);
  }
};

struct UpstreamTlsConfig {
  std::string ca;
  std::string name;
  std::string certificate;
  std::string key;
  bool operator==(const UpstreamTlsConfig&) const = default;
  static void Describe(config::Fields<UpstreamTlsConfig>& fields) {
    fields.Add("ca", &UpstreamTlsConfig::ca,
               "PEM file of the CAs that may have signed the servers' certificates; empty: the "
               "system's");
    fields.Add("name", &UpstreamTlsConfig::name,
               "whom the certificates must be for; empty: the endpoint's host");
    fields.Add("certificate", &UpstreamTlsConfig::certificate,
               "PEM file of the certificate that the gateway shows; empty: none");
    fields.Add("key", &UpstreamTlsConfig::key, "PEM file of its key");
  }
};

inline constexpr std::string_view kHttps = "https://";

struct UpstreamConfig {
  std::vector<std::string> endpoints;
  std::string protocol = "http1";
  UpstreamTlsConfig tls;
  HealthCheckConfig health;
  Duration keepalive = Duration(0);
  Duration connect_timeout = std::chrono::seconds(1);
  Duration idle_timeout = std::chrono::seconds(30);
  bool operator==(const UpstreamConfig&) const = default;
  static void Describe(config::Fields<UpstreamConfig>& fields) {
    fields
        .Add("endpoints", &UpstreamConfig::endpoints,
             "the servers that answer: [10.0.0.7:9001, 'search.local:9001'], or over TLS all of "
             "them: ['https://search.local:9443']")
        .NotEmpty();
    fields
        .Add("protocol", &UpstreamConfig::protocol,
             "what they speak: http1, or h2: HTTP/2, which gRPC needs, at once or agreed on by "
             "TLS")
        .Check([](const std::string& protocol) {
          return protocol == "http1" || protocol == "h2" ? "" : "http1 or h2";
        });
    fields.Add("tls", &UpstreamConfig::tls,
               "of https:// endpoints; their certificates are always checked");
    fields.Add(
        "keepalive", &UpstreamConfig::keepalive,
        "of h2: how long a connection with requests may be silent before it is asked by PING; "
        "servers of gRPC take one in 5 minutes unless they are told otherwise; 0: never");
    fields.Add("health", &UpstreamConfig::health, "how it is checked that they are well");
    fields.Add("connect_timeout", &UpstreamConfig::connect_timeout, "of a new connection")
        .AtLeast(std::chrono::milliseconds(1));
    fields
        .Add("idle_timeout", &UpstreamConfig::idle_timeout,
             "how long an unused connection is kept; less than the servers keep it")
        .AtLeast(std::chrono::milliseconds(1));
  }
};

struct MirrorConfig {
  std::string upstream;
  double sample = 1.0;
  int max_in_flight = 32;
  bool operator==(const MirrorConfig&) const = default;
  static void Describe(config::Fields<MirrorConfig>& fields) {
    fields.Add("upstream", &MirrorConfig::upstream,
               "gets a copy of requests, whose answers are dropped; empty: none");
    fields.Add("sample", &MirrorConfig::sample, "the part of requests that is copied, 0 to 1")
        .Range(0.0, 1.0);
    fields
        .Add("max_in_flight", &MirrorConfig::max_in_flight,
             "copies under way at once; beyond, requests are not copied")
        .Range(1, 10'000);
  }
};

struct RouteConfig {
  enum class Compress { kAuto, kOff };
  std::string path;
  std::vector<std::string> hosts;
  std::vector<std::string> methods;
  std::map<std::string, std::string> headers;
  std::string access;
  std::map<std::string, int> to;
  std::string rewrite;
  Duration timeout = std::chrono::seconds(30);
  Duration try_timeout = Duration(0);
  Duration quiet_timeout = std::chrono::seconds(60);
  int retries = 1;
  config::Bytes max_body{};
  std::map<std::string, std::string> set_headers;
  bool pass_authorization = false;
  bool cache = false;
  bool buffer_requests = false;
  Compress compress = Compress::kAuto;
  CorsConfig cors;
  std::map<std::string, std::string> answer_headers;
  MirrorConfig mirror;
  RouteRateLimitConfig rate_limit;
  int max_concurrent = 0;
  resilience::Priority priority = resilience::Priority::kNormal;
  RouteIdempotency idempotency = RouteIdempotency::kNone;
  std::string documentation;
  bool websocket = false;
  std::vector<std::string> origins;
  int max_tunnels = 10'000;
  bool operator==(const RouteConfig&) const = default;
  static void Describe(config::Fields<RouteConfig>& fields) {
    fields
        .Add("path", &RouteConfig::path,
             "which paths, as in contracts: /search, /items/{id}, '/blog/{rest=**}'")
        .NotEmpty();
    fields.Add("hosts", &RouteConfig::hosts,
               "for requests to these alone: [shop.example, '*.shop.example']; none: any");
    fields.Add("methods", &RouteConfig::methods, "[GET, POST]; none: any");
    fields.Add("headers", &RouteConfig::headers,
               "for requests with these header fields alone: {X-Beta: 'yes'}");
    fields
        .Add(
            "access", &RouteConfig::access,
            "who may: anyone, caller (whoever has a good credential), user (signed in), or a scope "
            "such as search.read; a route must say it")
        .NotEmpty();
    fields
        .Add("to", &RouteConfig::to,
             "the upstream; several share by weight: {search: 95, search_next: 5}")
        .NotEmpty();
    fields.Add("rewrite", &RouteConfig::rewrite,
               "the path that the upstream gets, with variables of `path`: '/v2/{rest}'; empty: "
               "the same");
    fields.Add("timeout", &RouteConfig::timeout, "until the answer begins, with all tries")
        .AtLeast(std::chrono::milliseconds(1));
    fields.Add("try_timeout", &RouteConfig::try_timeout, "the same of one try; 0: timeout's");
    fields
        .Add("quiet_timeout", &RouteConfig::quiet_timeout,
             "between two pieces of an answer: how long a stream of events may be silent")
        .AtLeast(std::chrono::milliseconds(1));
    fields
        .Add("retries", &RouteConfig::retries,
             "more tries of a request that failed, on another endpoint where there is one; only "
             "what may be sent twice")
        .Range(0, 10);
    fields.Add("max_body", &RouteConfig::max_body, "the largest request; 0: http.max_body");
    fields.Add("set_headers", &RouteConfig::set_headers,
               "fields that the upstream gets instead of the client's; an empty one: none");
    fields.Add("pass_authorization", &RouteConfig::pass_authorization,
               "whether the upstream gets the caller's credential");
    fields.Add("buffer_requests", &RouteConfig::buffer_requests,
               "whether a request above 64 KiB, or of unknown length, is read whole before it is "
               "sent on, so that it can be sent again");
    fields.Add("websocket", &RouteConfig::websocket, "whether a GET may switch to WebSocket");
    fields.Add("origins", &RouteConfig::origins,
               "whose pages may do so in a browser: [https://shop.example]; none: any");
    fields
        .Add("max_tunnels", &RouteConfig::max_tunnels,
             "how many WebSockets may be open at once; more are answered 503")
        .Range(1, 1'000'000);
    fields.Add("cache", &RouteConfig::cache,
               "whether answers are kept for others, as far and as long as they say (RFC 9111)");
    fields.AddEnum("compress", &RouteConfig::compress,
                   {{"auto", Compress::kAuto}, {"off", Compress::kOff}},
                   "auto: as gateway.compression says; off: never, as where an answer has a secret "
                   "and what a stranger chose (BREACH)");
    fields.Add("cors", &RouteConfig::cors, "instead of gateway.cors, where it names origins");
    fields.Add("answer_headers", &RouteConfig::answer_headers,
               "fields of answers instead of the upstream's; an empty one: none");
    fields.Add("mirror", &RouteConfig::mirror, "a copy of requests to another upstream");
    fields.Add("rate_limit", &RouteConfig::rate_limit, "how often it may be asked");
    fields
        .Add("max_concurrent", &RouteConfig::max_concurrent,
             "requests of it that run at once, in this gateway, streams too; more are answered "
             "503; 0: any number")
        .Range(0, 1'000'000);
    using resilience::Priority;
    fields.AddEnum("priority", &RouteConfig::priority,
                   {{"sheddable", Priority::kSheddable},
                    {"normal", Priority::kNormal},
                    {"critical", Priority::kCritical}},
                   "when it is refused by a gateway that has too much to do: sheddable (first), "
                   "normal or critical (last)");
    fields.AddEnum("idempotency", &RouteConfig::idempotency,
                   {{"none", RouteIdempotency::kNone},
                    {"optional", RouteIdempotency::kOptional},
                    {"required", RouteIdempotency::kRequired}},
                   "whether a POST or PATCH with an Idempotency-Key that comes again gets the "
                   "answer of the first: none (the key is the upstream's matter), optional or "
                   "required (400 without)");
    fields.Add(
        "documentation", &RouteConfig::documentation,
        "URL of what people read about its keys, in the Link of a refusal; none: the IETF draft");
  }
};

// What can be known before anything is opened: INVALID_ARGUMENT names what is wrong, from
// "routes[3]" on.
Status CheckRoutes(const std::map<std::string, UpstreamConfig>& upstreams,
                   const std::vector<RouteConfig>& routes);

}  // namespace starling::gateway
