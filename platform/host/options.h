// The configuration of a process: what starling.yaml, STARLING_* and --set may say. `starling
// config show` prints it.
#pragma once

#include <map>
#include <string>

#include "platform/config/fields.h"
#include "platform/config/registry.h"
#include "platform/host/call_config.h"
#include "platform/host/gateway_config.h"
#include "platform/host/storage_config.h"
#include "platform/host/topology.h"
#include "platform/identity/security_config.h"
#include "platform/messaging/rabbitmq/address.h"

namespace starling::host {

struct HttpConfig {
  bool enabled = true;
  std::string address = "127.0.0.1";
  int port = 8080;
  Duration idle_timeout = std::chrono::seconds(75);
  Duration header_timeout = std::chrono::seconds(10);
  Duration body_timeout = std::chrono::seconds(30);
  config::Bytes max_body{1 << 20};
  bool decompress_requests = true;
  int max_connections = 10'000;
  Duration drain_limit = std::chrono::seconds(20);
  static void Describe(config::Fields<HttpConfig>& fields) {
    fields
        .Add("enabled", &HttpConfig::enabled,
             "serve the public API; a topology says which processes do")
        .NeedsRestart();
    fields.Add("address", &HttpConfig::address, "the address that the public API listens on")
        .NeedsRestart();
    fields
        .Add("port", &HttpConfig::port,
             "TCP port of the public API; admin and metrics are on the next one; 0: any free ones")
        .Range(0, 65533)
        .NeedsRestart();
    fields.Add("idle_timeout", &HttpConfig::idle_timeout, "how long a connection may be quiet")
        .NeedsRestart();
    fields
        .Add("header_timeout", &HttpConfig::header_timeout,
             "how long a client may take to send a request's head")
        .NeedsRestart();
    fields
        .Add("body_timeout", &HttpConfig::body_timeout,
             "how long a client may take to send a request's body")
        .NeedsRestart();
    fields.Add("max_body", &HttpConfig::max_body, "the largest request body taken").NeedsRestart();
    fields
        .Add("decompress_requests", &HttpConfig::decompress_requests,
             "take requests to the services with Content-Encoding: gzip, up to max_body unpacked")
        .NeedsRestart();
    fields
        .Add("max_connections", &HttpConfig::max_connections,
             "connections open at once; more are answered 503")
        .Range(1, 1'000'000)
        .NeedsRestart();
    fields
        .Add("drain_limit", &HttpConfig::drain_limit,
             "how long a stopping process waits for requests in flight")
        .NeedsRestart();
  }
};

struct AdminConfig {
  std::string address = "127.0.0.1";
  int port = 0;
  static void Describe(config::Fields<AdminConfig>& fields) {
    fields
        .Add("address", &AdminConfig::address,
             "the address that health, metrics and configuration are served on; they ask for no "
             "credentials, so one that only operators reach")
        .NeedsRestart();
    fields.Add("port", &AdminConfig::port, "their TCP port; 0: http.port + 1")
        .Range(0, 65535)
        .NeedsRestart();
  }
};

struct GrpcConfig {
  bool enabled = false;
  std::string address = "127.0.0.1";
  int port = 0;
  config::Secret cluster_key;
  static void Describe(config::Fields<GrpcConfig>& fields) {
    fields.Add("enabled", &GrpcConfig::enabled, "serve gRPC too; `starling serve` always does")
        .NeedsRestart();
    fields.Add("address", &GrpcConfig::address, "the address that gRPC listens on").NeedsRestart();
    fields.Add("port", &GrpcConfig::port, "TCP port of gRPC; 0: http.port + 2")
        .Range(0, 65535)
        .NeedsRestart();
    fields
        .Add("cluster_key", &GrpcConfig::cluster_key,
             "the secret by which processes of one cluster know each other")
        .NeedsRestart();
  }
};

struct PeerConfig {
  std::vector<std::string> addresses;
  static void Describe(config::Fields<PeerConfig>& fields) {
    fields.Add(
        "addresses", &PeerConfig::addresses,
        "where the service's gRPC is: 127.0.0.1:8082, and more when several processes run it");
  }
};

struct PeersConfig {
  std::map<std::string, PeerConfig> services;
  static void Describe(config::Fields<PeersConfig>& fields) {
    fields.Add("services", &PeersConfig::services,
               "services that processes outside of the topology serve, by name");
  }
};

struct LogConfig {
  std::string level = "info";
  std::string format = "human";
  static void Describe(config::Fields<LogConfig>& fields) {
    fields.Add("level", &LogConfig::level, "debug, info, warning, error or off");
    fields.Add("format", &LogConfig::format, "human or json");
    fields.Check([](const LogConfig& log) -> std::string {
      if (log.format != "human" && log.format != "json") return "format must be human or json";
      for (const char* level : {"debug", "info", "warning", "error", "off"}) {
        if (log.level == level) return "";
      }
      return "level must be debug, info, warning, error or off";
    });
  }
};

struct TracingConfig {
  double sampling_ratio = 0;
  std::string otlp_url;
  static void Describe(config::Fields<TracingConfig>& fields) {
    fields
        .Add("sampling_ratio", &TracingConfig::sampling_ratio,
             "the part of new traces that is recorded, 0 to 1")
        .Range(0.0, 1.0);
    fields
        .Add("otlp_url", &TracingConfig::otlp_url,
             "where spans are sent: http://127.0.0.1:4318/v1/traces; empty: nowhere")
        .NeedsRestart();
  }
};

struct RuntimeConfig {
  int io_threads = 0;
  int blocking_threads = 4;
  static void Describe(config::Fields<RuntimeConfig>& fields) {
    fields
        .Add("io_threads", &RuntimeConfig::io_threads, "threads that serve requests; 0: one a core")
        .Range(0, 256)
        .NeedsRestart();
    fields.Add("blocking_threads", &RuntimeConfig::blocking_threads, "threads for calls that block")
        .Range(1, 256)
        .NeedsRestart();
  }
};

struct JwtConfig {
  config::Secret keys;
  std::string issuer;
  std::string audience;
  static void Describe(config::Fields<JwtConfig>& fields) {
    fields.Add(
        "keys", &JwtConfig::keys,
        "what tokens of another issuer are verified with: a JWKS, a public key as PEM, or a "
        "shared secret of at least 32 bytes, most often as keys_file; empty: none are taken");
    fields.Add("issuer", &JwtConfig::issuer, "the `iss` that a token must have; empty: any")
        .NeedsRestart();
    fields.Add("audience", &JwtConfig::audience, "the `aud` that a token must have; empty: any")
        .NeedsRestart();
  }
};

struct DiscoveryConfig {
  std::string engine = "topology";
  std::vector<std::string> urls;
  std::string name = "{service}";
  int port = 0;
  std::string servers;
  static void Describe(config::Fields<DiscoveryConfig>& fields) {
    fields
        .Add(
            "engine", &DiscoveryConfig::engine,
            "who knows where services are: topology (this configuration), etcd (processes register "
            "themselves) or dns (Kubernetes' headless services)")
        .NeedsRestart();
    fields.Add("urls", &DiscoveryConfig::urls, "where etcd is: [http://127.0.0.1:2379]")
        .NeedsRestart();
    fields
        .Add("name", &DiscoveryConfig::name,
             "a service's name in DNS: {service}.shop.svc.cluster.local")
        .NeedsRestart();
    fields
        .Add("port", &DiscoveryConfig::port,
             "the port of services found by DNS addresses; 0: SRV records say it")
        .Range(0, 65535)
        .NeedsRestart();
    fields
        .Add("servers", &DiscoveryConfig::servers,
             "name servers, 10.0.0.10:53 and more by commas; empty: the machine's")
        .NeedsRestart();
    fields.Check([](const DiscoveryConfig& discovery) -> std::string {
      if (discovery.engine == "etcd" && discovery.urls.empty())
        return "engine is etcd: say where it is by urls";
      for (const char* engine : {"topology", "etcd", "dns"}) {
        if (discovery.engine == engine) return "";
      }
      return "engine must be topology, etcd or dns";
    });
  }
};

struct MessagingConfig {
  std::string engine = "embedded";
  config::Secret url;
  int partitions = 8;
  int replication_factor = 1;
  int64_t max_lag = 1'000'000;
  Duration retain_for = std::chrono::hours(24 * 30);
  config::Bytes retain_bytes{8ull << 30};

  // Whether events are on a server of their own, which all processes share.
  bool OnBroker() const { return engine == "kafka" || engine == "rabbitmq"; }
  static void Describe(config::Fields<MessagingConfig>& fields) {
    fields
        .Add("engine", &MessagingConfig::engine,
             "where events are: embedded (files of the process that runs `events`, or of the only "
             "one), service (the process at peers.services.events), kafka or rabbitmq")
        .NeedsRestart();
    fields
        .Add("url", &MessagingConfig::url,
             "where the brokers are: 127.0.0.1:9092 and more by commas for kafka; "
             "amqp://user:password@host:5672/vhost for rabbitmq, amqps for TLS")
        .NeedsRestart();
    fields
        .Add("partitions", &MessagingConfig::partitions,
             "of topics that are made on a broker: as many processes may share a group")
        .Range(1, 1'000)
        .NeedsRestart();
    fields
        .Add("replication_factor", &MessagingConfig::replication_factor,
             "brokers that keep each event, of topics that are made")
        .Range(1, 9)
        .NeedsRestart();
    fields.Check([](const MessagingConfig& messaging) -> std::string {
      if (messaging.OnBroker() && messaging.url.empty())
        return fmt::format("engine is {}: say where it is by url", messaging.engine);
      if (messaging.engine == "rabbitmq") {
        const Status address = messaging::ParseRabbitUrl(messaging.url.Reveal()).status();
        return address.ok() ? "" : "url: " + std::string(address.message());
      }
      for (const char* engine : {"embedded", "service", "kafka"}) {
        if (messaging.engine == engine) return "";
      }
      return "engine must be embedded, service, kafka or rabbitmq";
    });
    fields
        .Add("max_lag", &MessagingConfig::max_lag,
             "events that a consumer group may be behind before producers are refused")
        .AtLeast(1)
        .NeedsRestart();
    fields
        .Add("retain_for", &MessagingConfig::retain_for,
             "how long events are kept that every group has read")
        .NeedsRestart();
    fields.Add("retain_bytes", &MessagingConfig::retain_bytes, "how much of them is kept, a topic")
        .NeedsRestart();
  }
};

// The sections of a process.
struct ProcessConfig {
  explicit ProcessConfig(config::Registry& registry)
      : http(registry.Section<HttpConfig>("http", "the public API")),
        admin(registry.Section<AdminConfig>("admin", "what operators see of a process")),
        topology(
            registry.Section<TopologyConfig>("topology", "which process runs what, and where")),
        grpc(registry.Section<GrpcConfig>("grpc", "calls between processes")),
        discovery(registry.Section<DiscoveryConfig>("discovery", "where services are")),
        peers(registry.Section<PeersConfig>("peers", "other processes")),
        log(registry.Section<LogConfig>("log", "what the process writes to stderr")),
        tracing(registry.Section<TracingConfig>("tracing", "spans")),
        runtime(registry.Section<RuntimeConfig>("runtime", "threads")),
        jwt(registry.Section<JwtConfig>("jwt", "users whom another issuer has signed in")),
        security(registry.Section<identity::SecurityConfig>(
            "security", "who is believed beside keys and sessions of our own")),
        methods(registry.Section<MethodsConfig>("methods", "policies of single methods")),
        resilience(registry.Section<ResilienceConfig>(
            "resilience", "calls to other processes, and too many calls")),
        gateway(registry.Section<GatewayConfig>(
            "gateway", "who is served over HTTP, how often, by TLS, and what else than services")),
        messaging(registry.Section<MessagingConfig>("messaging", "the event log")),
        storage(registry.Section<StorageConfig>("storage", "where services keep what is theirs")) {}
  config::Handle<HttpConfig> http;
  config::Handle<AdminConfig> admin;
  config::Handle<TopologyConfig> topology;
  config::Handle<GrpcConfig> grpc;
  config::Handle<DiscoveryConfig> discovery;
  config::Handle<PeersConfig> peers;
  config::Handle<LogConfig> log;
  config::Handle<TracingConfig> tracing;
  config::Handle<RuntimeConfig> runtime;
  config::Handle<JwtConfig> jwt;
  config::Handle<identity::SecurityConfig> security;
  config::Handle<MethodsConfig> methods;
  config::Handle<ResilienceConfig> resilience;
  config::Handle<GatewayConfig> gateway;
  config::Handle<MessagingConfig> messaging;
  config::Handle<StorageConfig> storage;
};

}  // namespace starling::host
