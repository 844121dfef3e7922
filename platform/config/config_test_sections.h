// Sections that the tests of this folder read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "platform/config/registry.h"

namespace starling::config {

enum class LogMode { kAll, kErrors };

struct TlsOptions {
  bool enabled = false;
  std::string certificate;
  Secret key;
  static void Describe(Fields<TlsOptions>& fields) {
    fields.Add("enabled", &TlsOptions::enabled, "serve TLS");
    fields.Add("certificate", &TlsOptions::certificate, "PEM file");
    fields.Add("key", &TlsOptions::key, "PEM key");
    fields.Check([](const TlsOptions& o) {
      return o.enabled && o.key.empty() ? "enabled needs a key" : "";
    });
  }
};

struct HttpOptions {
  int port = 8080;
  Duration idle_timeout = std::chrono::seconds(75);
  Bytes max_body = Bytes::MiB(1);
  double sample_rate = 0.5;
  uint64_t limit = 1000;
  LogMode log = LogMode::kErrors;
  std::vector<std::string> cors_origins = {"https://a.example"};
  std::map<std::string, std::string> headers = {{"server", "starling"}};
  TlsOptions tls;
  static void Describe(Fields<HttpOptions>& fields) {
    fields.Add("port", &HttpOptions::port, "TCP port of the public API")
        .Range(0, 65535)
        .NeedsRestart();
    fields.Add("idle_timeout", &HttpOptions::idle_timeout, "a quiet connection is closed after")
        .AtLeast(std::chrono::seconds(1));
    fields.Add("max_body", &HttpOptions::max_body, "largest request");
    fields.Add("sample_rate", &HttpOptions::sample_rate, "share of traces kept").Range(0, 1);
    fields.Add("limit", &HttpOptions::limit, "requests a second");
    fields.AddEnum("log", &HttpOptions::log, {{"all", LogMode::kAll}, {"errors", LogMode::kErrors}},
                   "what is logged");
    fields.Add("cors_origins", &HttpOptions::cors_origins, "origins that browsers may call from");
    fields.Add("headers", &HttpOptions::headers, "added to every answer");
    fields.Add("tls", &HttpOptions::tls, "TLS");
  }
};

struct PeerOptions {
  std::string address;
  int weight = 1;
  static void Describe(Fields<PeerOptions>& fields) {
    fields.Add("address", &PeerOptions::address, "host:port").Required();
    fields.Add("weight", &PeerOptions::weight, "share of calls").Range(1, 100).NeedsRestart();
  }
};

struct TopologyOptions {
  std::map<std::string, PeerOptions> peers;
  static void Describe(Fields<TopologyOptions>& fields) {
    fields.Add("peers", &TopologyOptions::peers, "where services are");
  }
};

// A registry with both sections and one that is not read here.
struct Configured {
  Registry registry;
  Handle<HttpOptions> http = registry.Section<HttpOptions>("http", "the public API");
  Handle<TopologyOptions> topology = registry.Section<TopologyOptions>("cluster.topology");
  Configured() { registry.AllowUnread("catalog"); }

  Status LoadText(std::string yaml, Sources::Pairs environment = {},
                  Sources::Pairs overrides = {}) {
    Sources sources;
    sources.file = "starling.yaml";
    sources.file_content = std::move(yaml);
    sources.environment = std::move(environment);
    sources.overrides = std::move(overrides);
    return registry.Load(std::move(sources));
  }
};

}  // namespace starling::config
