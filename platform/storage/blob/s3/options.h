// Where an S3 store is, and how patient we are with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "platform/base/clock.h"
#include "platform/resilience/backoff.h"

namespace starling::blob::s3 {

// Where the bucket's name goes: http://host/bucket/key, or http://bucket.host/key.
enum class Addressing { kPath, kVirtualHost };

struct Options {
  std::string url;  // "http://127.0.0.1:9000": of the service, without the bucket; no TLS
  std::string bucket;
  std::string prefix = {};  // of every key, such as "shop/training/"
  std::string region = "us-east-1";
  std::string access_key;
  std::string secret_key;
  Addressing addressing = Addressing::kPath;
  uint64_t part_bytes = uint64_t{8} << 20;  // above, a blob is uploaded in parts; S3 wants 5 MiB
  int attempts = 6;
  Duration request_timeout = std::chrono::seconds(30);
  Duration patience = std::chrono::seconds(90);  // after it no request is tried again
  resilience::Backoff backoff = {.base = std::chrono::milliseconds(50),
                                 .longest = std::chrono::seconds(5)};
};

}  // namespace starling::blob::s3
