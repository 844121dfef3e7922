// What the configuration says of answers: gateway.compression, gateway.cors.
#pragma once

#include <string>
#include <vector>

#include "platform/config/fields.h"

namespace starling::gateway {

struct CompressionConfig {
  bool enabled = true;
  std::vector<std::string> types = {"text/html",        "text/css",
                                    "text/plain",       "text/csv",
                                    "text/xml",         "text/javascript",
                                    "text/markdown",    "application/javascript",
                                    "application/json", "application/x-ndjson",
                                    "application/xml",  "application/yaml",
                                    "application/wasm", "image/svg+xml",
                                    "*+json",           "*+xml"};
  config::Bytes min_size{1024};
  int gzip_level = 1;
  int br_level = 3;
  int zstd_level = 3;
  bool operator==(const CompressionConfig&) const = default;
  static void Describe(config::Fields<CompressionConfig>& fields) {
    fields.Add("enabled", &CompressionConfig::enabled,
               "compress answers by what the client takes: zstd, br or gzip");
    fields.Add("types", &CompressionConfig::types,
               "which media types: application/json, text/* (all of them but text/event-stream, "
               "which must be named), '*+json'");
    fields.Add("min_size", &CompressionConfig::min_size,
               "smaller answers, where the size is known, go as they are");
    fields.Add("gzip_level", &CompressionConfig::gzip_level, "1 (quick) to 9 (small)").Range(1, 9);
    fields.Add("br_level", &CompressionConfig::br_level, "0 (quick) to 11 (small)").Range(0, 11);
    fields.Add("zstd_level", &CompressionConfig::zstd_level, "1 (quick) to 19 (small)")
        .Range(1, 19);
  }
};

struct CorsConfig {
  std::vector<std::string> origins;
  std::vector<std::string> methods;
  std::vector<std::string> headers = {"Authorization", "Content-Type",  "Idempotency-Key",
                                      "If-Match",      "If-None-Match", "X-Request-Timeout"};
  std::vector<std::string> expose = {"ETag", "Retry-After", "traceparent", "x-request-id"};
  bool credentials = false;
  Duration max_age = std::chrono::minutes(10);
  bool operator==(const CorsConfig&) const = default;
  static void Describe(config::Fields<CorsConfig>& fields) {
    fields.Add("origins", &CorsConfig::origins,
               "whose pages may read answers: ['https://shop.example', 'https://*.shop.example'], "
               "or '*' for everybody's; empty: none but those of the same origin; of a route, "
               "empty: as the gateway says, and 'none': none");
    fields.Add("methods", &CorsConfig::methods,
               "what they may call: [GET, POST]; empty: what the path has");
    fields.Add("headers", &CorsConfig::headers, "fields that they may send");
    fields.Add("expose", &CorsConfig::expose, "fields of answers that they may read");
    fields.Add("credentials", &CorsConfig::credentials,
               "whether browsers send cookies with it; never with origin '*'");
    fields.Add("max_age", &CorsConfig::max_age, "how long a browser may remember what is allowed");
  }
};

}  // namespace starling::gateway
