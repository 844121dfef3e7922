// Signed requests to one bucket, tried again while the server is busy. Within blob/s3 only.
//
//   StatusOr<http::ClientResponse> response = client.Send(
//       {.verb = http::Verb::kPut, .key = "7.model", .headers = {{"x-amz-meta-a", "b"}}, .body =
//       bytes});
//
// Tried again, at most `attempts` times within `patience`, with full jitter between: no answer,
// 500, 502, 503 (SlowDown), 504, 429, RequestTimeout and conflicts that say so. The result is an
// answer of 2xx, or an error: NOT_FOUND, ALREADY_EXISTS (412 to If-None-Match), ABORTED (412 to
// If-Match), OUT_OF_RANGE (416), FAILED_PRECONDITION (credentials, rights, no such bucket),
// UNAVAILABLE.
//
// Thread-safe; blocks. Memory: the body and the answer.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/http/client.h"
#include "platform/storage/blob/s3/options.h"
#include "platform/storage/blob/s3/signature.h"

namespace starling::blob::s3 {

struct Call {
  http::Verb verb = http::Verb::kGet;
  std::string key = {};  // with the prefix; empty: of the bucket
  Query query = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // lower-case names
  std::string_view body = {};
};

// Where a request goes.
struct Target {
  std::string authority;  // "127.0.0.1:9000", "bucket.s3.example.org"
  std::string path;       // "/bucket/key", "/key"
};
// INVALID_ARGUMENT when the URL cannot be used.
StatusOr<Target> TargetOf(const Options& options, std::string_view key);

class Client {
 public:
  Client(Options options, Runtime& runtime, const Clock& clock)
      : options_(std::move(options)), runtime_(runtime), clock_(clock), http_(runtime, {}) {}

  // tries, when given: how many requests it took.
  StatusOr<http::ClientResponse> Send(const Call& call, int* tries = nullptr);
  const Options& options() const { return options_; }

 private:
  StatusOr<http::ClientRequest> Signed(const Call& call) const;

  const Options options_;
  Runtime& runtime_;
  const Clock& clock_;
  http::Client http_;
};

}  // namespace starling::blob::s3
