#include "platform/host/http_front.h"

#include <limits>

#include "platform/host/admin_routes.h"
#include "platform/host/call_policies.h"
#include "platform/host/sign_in_routes.h"
#include "platform/telemetry/log.h"

namespace starling::host {
namespace {

// Goes where it was made: with very many routes that takes milliseconds, and the last to hold it is
// often a request.
std::shared_ptr<http::Router> RouterOver(std::shared_ptr<const http::Router> base,
                                         BlockingPool& background) {
  auto made = std::make_unique<http::Router>(std::move(base));
  return {made.release(), [&background](http::Router* router) {
            std::shared_ptr<http::Router> last(router);
            // Refused, it ends here.
            (void)background.Submit([last = std::move(last)] {});
          }};
}

}  // namespace

StatusOr<int> HttpFront::Start() {
  const auto config = config_.http.Get();
  const auto gateway = config_.gateway.Get();
  telemetry::Metrics& metrics = options_.telemetry->metrics();
  STARLING_RETURN_IF_ERROR(OpenSharedLimits());
  limits_ = std::make_unique<rpc::GatewayLimits>(LimitsOf(*gateway), metrics, *options_.clock,
                                                 shared_limits_.get());
  AddLimiterMetrics();
  credentials_ = std::make_unique<identity::EdgeCredentials>(options_.authenticator);
  if (options_.oidc != nullptr) credentials_->TakeCookies(options_.oidc->cookie());
  Set(*config_.security.Get());
  edge_options_ = {
      .authenticator = options_.authenticator,
      .credentials = credentials_.get(),
      .telemetry = options_.telemetry,
      .limits = limits_.get(),
      .concurrency = options_.concurrency,
      .idempotency = options_.idempotency,
      .max_unpacked_bytes = config->decompress_requests ? config->max_body.count() : 0};
  edge_ = std::make_unique<rpc::HttpEdge>(edge_options_);
  upstreams_ = std::make_unique<gateway::Upstreams>(*options_.runtime, metrics);
  OpenCache(gateway->cache);
  STARLING_RETURN_IF_ERROR(MakeOwnRoutes());
  STARLING_ASSIGN_OR_RETURN(std::shared_ptr<const http::Router> router, MakeRouter(*gateway));
  http::ServerOptions options{.address = config->address,
                              .port = static_cast<uint16_t>(config->port),
                              .max_body_bytes = config->max_body.count(),
                              .header_timeout = config->header_timeout,
                              .body_timeout = config->body_timeout,
                              .idle_timeout = config->idle_timeout,
                              .max_connections = static_cast<size_t>(config->max_connections)};
  if (!gateway->access_log.file.empty()) {
    STARLING_ASSIGN_OR_RETURN(
        access_log_, gateway::AccessLog::Open(
                         {.file = gateway->access_log.file, .sample = gateway->access_log.sample}));
    options.observer = [log = access_log_.get()](const http::Exchange& exchange, Duration took) {
      log->Write(exchange, took);
    };
    metrics.AddCallback("starling_gateway_access_log_dropped_total",
                        "Lines of the access log that were lost", {},
                        [log = access_log_.get()] { return static_cast<double>(log->dropped()); });
  }
  server_ = std::make_unique<http::Server>(*options_.runtime, options, router);
  STARLING_ASSIGN_OR_RETURN(const uint16_t port, server_->Start());
  STARLING_ASSIGN_OR_RETURN(https_, Https::Start(*options_.runtime, gateway->tls,
                                                 std::move(options), router, options_.stopping));
  std::vector<const http::Server*> servers{server_.get()};
  if (https_ != nullptr) {
    servers.push_back(&https_->server());
    AddCertificateMetrics();
  }
  AddServerMetrics(metrics, std::move(servers));
  return port;
}

void HttpFront::Set(const GatewayConfig& now) {
  limits_->Set(LimitsOf(now));
  const StatusOr<std::shared_ptr<const http::Router>> router = MakeRouter(now);
  if (https_ != nullptr) {
    https_->Set(now.tls);
    AddCertificateMetrics();
  }
  if (router.ok()) {
    server_->SetRouter(*router);
    if (https_ != nullptr) https_->SetRouter(*router);
  } else {
    log::Error("gateway", "the changed routes are not applied; those of before stay")
        .With(router.status());
  }
}

void HttpFront::Set(const identity::SecurityConfig& now) {
  credentials_->Set(std::make_shared<const identity::CertificateRules>(now.client_certificates));
}

Task<size_t> HttpFront::Drain(Duration limit) {
  std::optional<size_t> cut_of_https;
  if (https_ == nullptr) {
    cut_of_https = 0;
  } else {
    const Executor executor = co_await CurrentExecutor();
    Spawn(executor, [](Https& https, Duration limit, std::optional<size_t>& cut) -> Task<void> {
      cut = co_await https.Drain(limit);
    }(*https_, limit, cut_of_https));
  }
  const size_t cut = co_await server_->Drain(limit);
  while (!cut_of_https) co_await SleepFor(std::chrono::milliseconds(5));
  co_return cut + *cut_of_https;
}

Status HttpFront::MakeOwnRoutes() {
  auto own = std::make_shared<http::Router>();
  STARLING_RETURN_IF_ERROR(edge_->AddRoutes(*options_.services, *own));
  edge_->SetPriorities(PrioritiesOf(*config_.methods.Get()));
  STARLING_RETURN_IF_ERROR(options_.routes(*own));
  if (options_.oidc != nullptr)
    STARLING_RETURN_IF_ERROR(AddSignInRoutes(*options_.oidc, edge_options_, *own));
  own_routes_ = std::move(own);
  return OkStatus();
}

StatusOr<std::shared_ptr<const http::Router>> HttpFront::MakeRouter(const GatewayConfig& gateway) {
  const std::shared_ptr<http::Router> router =
      RouterOver(own_routes_, options_.runtime->background());
  STARLING_RETURN_IF_ERROR(upstreams_->Set(gateway.upstreams));
  StatusOr<std::shared_ptr<const gateway::AnswerFilter>> answers =
      gateway::AnswerFilter::Make(gateway.AnswerRules(), options_.telemetry->metrics());
  if (!answers.ok()) return Annotate(answers.status(), "gateway");
  STARLING_RETURN_IF_ERROR(gateway::AddProxyRoutes(gateway.routes, *upstreams_, cache_,
                                                   edge_options_, *router, &routes_, *answers));
  router->SetFilter(*std::move(answers));
  return router;
}

void HttpFront::OpenCache(const CacheConfig& config) {
  cache_ = std::make_shared<gateway::HttpCache>(
      gateway::HttpCacheOptions{.max_bytes = config.max_size.count(),
                                .max_object_bytes = config.max_object.count()},
      *options_.clock);
  using Stats = gateway::HttpCacheStats;
  const auto add = [&](std::string_view name, std::string_view help, uint64_t Stats::*value) {
    options_.telemetry->metrics().AddCallback(name, help, {}, [cache = cache_.get(), value] {
      return static_cast<double>(cache->Stats().*value);
    });
  };
  add("starling_gateway_cache_hits_total", "Answers that were fresh in the cache", &Stats::hits);
  add("starling_gateway_cache_misses_total", "Answers that were not in it", &Stats::misses);
  add("starling_gateway_cache_stale_total", "Answers that were stale, and given", &Stats::stale);
  add("starling_gateway_cache_revalidated_total", "Answers that were found unchanged",
      &Stats::revalidated);
  add("starling_gateway_cache_collapsed_total", "Answers by the fetch of another",
      &Stats::collapsed);
  add("starling_gateway_cache_evicted_total", "Answers that made room for others", &Stats::evicted);
  add("starling_gateway_cache_objects", "Answers in it", &Stats::objects);
  add("starling_gateway_cache_bytes", "Bytes in it", &Stats::bytes);
}

// Asks nobody yet: a gateway starts without Redis, too.
Status HttpFront::OpenSharedLimits() {
  const auto gateway = config_.gateway.Get();
  if (gateway->limit_store != GatewayConfig::LimitStore::kRedis) return OkStatus();
  const auto storage = config_.storage.Get();
  const bool own = !gateway->limit_url.empty();
  StatusOr<redis::Url> url =
      redis::ParseUrl(own ? gateway->limit_url.Reveal() : storage->kv.url.Reveal());
  if (!url.ok()) return Annotate(url.status(), own ? "gateway.limit_url" : "storage.kv.url");
  shared_limits_ = std::make_unique<rpc::SharedRateLimiter>(
      rpc::SharedRateLimiter::Options{.url = *std::move(url), .prefix = storage->kv.prefix},
      *options_.runtime);
  return OkStatus();
}

GatewayParts HttpFront::Parts(std::function<void(Duration grace)> drain) {
  return {.runtime = options_.runtime,
          .authenticator = options_.authenticator,
          .clock = options_.clock,
          .routes = &routes_,
          .upstreams = upstreams_.get(),
          .limits = limits_.get(),
          .cache = cache_.get(),
          .certificates =
              [this] {
                return https_ == nullptr ? std::vector<http::TlsCertificate>()
                                         : https_->Certificates();
              },
          .drain = std::move(drain)};
}

// One for each file that there is; of one that is not used any more there is no number.
void HttpFront::AddCertificateMetrics() {
  for (const http::TlsCertificate& certificate : https_->Certificates()) {
    options_.telemetry->metrics().AddCallback(
        "starling_tls_certificate_days_left", "Days until a certificate ends",
        {{"file", certificate.file}}, [this, file = certificate.file] {
          for (const http::TlsCertificate& now : https_->Certificates()) {
            if (now.file == file) return DaysLeft(now, options_.clock->Now());
          }
          return std::numeric_limits<double>::quiet_NaN();
        });
  }
}

void HttpFront::AddLimiterMetrics() {
  // Who asks for metrics, the admin port, goes before the limiter.
  telemetry::Metrics& metrics = options_.telemetry->metrics();
  metrics.AddCallback(
      "starling_gateway_concurrency_limit", "Requests that may run at once", {},
      [limiter = options_.concurrency] { return static_cast<double>(limiter->limit()); });
  metrics.AddCallback(
      "starling_gateway_concurrency_in_flight", "Requests that run, streams apart", {},
      [limiter = options_.concurrency] { return static_cast<double>(limiter->in_flight()); });
}

}  // namespace starling::host
