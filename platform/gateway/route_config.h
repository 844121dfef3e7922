// What the configuration says of upstreams and routes: gateway.upstreams and gateway.routes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "platform/config/fields.h"

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
             "what each endpoint is asked, 2xx and 3xx being well: /healthz; empty: no check")
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

struct UpstreamConfig {
  std::vector<std::string> endpoints;
  HealthCheckConfig health;
  Duration connect_timeout = std::chrono::seconds(1);
  Duration idle_timeout = std::chrono::seconds(30);
  bool operator==(const UpstreamConfig&) const = default;
  static void Describe(config::Fields<UpstreamConfig>& fields) {
    fields
        .Add("endpoints", &UpstreamConfig::endpoints,
             "the servers that answer, http:// each: [10.0.0.7:9001, 'search.local:9001']")
        .NotEmpty();
    fields.Add("health", &UpstreamConfig::health, "how it is checked that they are well");
    fields.Add("connect_timeout", &UpstreamConfig::connect_timeout, "of a new connection")
        .AtLeast(std::chrono::milliseconds(1));
    fields
        .Add("idle_timeout", &UpstreamConfig::idle_timeout,
             "how long an unused connection is kept; less than the servers keep it")
        .AtLeast(std::chrono::milliseconds(1));
  }
};

struct RouteConfig {
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
  bool websocket = false;
  std::vector<std::string> origins;
  int max_tunnels = 10'000;
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
    fields.Add("websocket", &RouteConfig::websocket,
               "whether a GET may switch to WebSocket");
    fields.Add("origins", &RouteConfig::origins,
               "whose pages may do so in a browser: [https://shop.example]; none: any");
    fields
        .Add("max_tunnels", &RouteConfig::max_tunnels,
             "how many WebSockets may be open at once; more are answered 503")
        .Range(1, 1'000'000);
    fields.Add("cache", &RouteConfig::cache,
               "whether answers are kept for others, as far and as long as they say (RFC 9111)");
  }
};

// What can be known before anything is opened: INVALID_ARGUMENT names what is wrong, from
// "routes[3]" on.
Status CheckRoutes(const std::map<std::string, UpstreamConfig>& upstreams,
                   const std::vector<RouteConfig>& routes);

}  // namespace starling::gateway
