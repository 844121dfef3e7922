#include "platform/storage/blob/s3/client.h"

#include <algorithm>
#include <thread>

#include "platform/base/id.h"
#include "platform/http/url.h"
#include "platform/storage/blob/s3/xml.h"
#include "platform/storage/blob/sha256.h"

namespace starling::blob::s3 {
namespace {

// "2026-01-02T03:04:05.678Z" -> "20260102T030405Z"
std::string BasicTime(TimePoint now) {
  const std::string text = FormatRfc3339(std::chrono::floor<std::chrono::seconds>(now));
  std::string basic;
  std::copy_if(text.begin(), text.end(), std::back_inserter(basic),
               [](char c) { return c != '-' && c != ':'; });
  return basic;
}

std::string EncodePath(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    encoded += c == '/' ? std::string("/") : http::PercentEncode(std::string_view(&c, 1));
  }
  return encoded;
}

bool MayBeTriedAgain(int status, std::string_view code) {
  return status == 429 || status == 500 || status >= 502 || code == "RequestTimeout" ||
         code == "SlowDown" || code == "OperationAborted" || code == "ConditionalRequestConflict";
}

Status ErrorOf(const Call& call, const Options& options, int status, std::string_view code,
               std::string_view message) {
  const bool of_bucket = call.key.empty() || code == "NoSuchBucket";
  if (status == 404 && of_bucket) {
    return StorageFailed(FailedPrecondition("S3 has no bucket '{}': make it", options.bucket));
  }
  if (status == 404) return NotFound("there is no blob '{}'", call.key);
  if (status == 412) {
    for (const auto& [name, value] : call.headers) {
      if (name == "if-match") return Aborted("blob '{}' was replaced", call.key);
    }
    return AlreadyExists("there is a blob '{}' already", call.key);
  }
  if (status == 416) return OutOfRange("blob '{}' ends before", call.key);
  const std::string what =
      fmt::format("S3 answered {} {} to {} of '{}' in bucket '{}': {}", status, code,
                  http::VerbText(call.verb), call.key, options.bucket, message);
  return StorageFailed(MayBeTriedAgain(status, code) ? Unavailable("{}", what)
                                                     : FailedPrecondition("{}", what));
}

}  // namespace

StatusOr<Target> TargetOf(const Options& options, std::string_view key) {
  StatusOr<http::HttpUrl> url = http::ParseHttpUrl(options.url);
  if (!url.ok()) return Annotate(url.status(), "the URL of S3");
  if (url->tls)
    return InvalidArgument("the URL of S3 '{}' is https; plain http only, so far", options.url);
  if (url->target != "/") {
    return InvalidArgument("the URL of S3 '{}' has a path; the bucket is named by itself",
                           options.url);
  }
  if (options.bucket.empty() || options.bucket.find('/') != std::string::npos) {
    return InvalidArgument("'{}' is no name of a bucket", options.bucket);
  }
  const std::string path = EncodePath(key);
  if (options.addressing == Addressing::kVirtualHost) {
    return Target{.authority = options.bucket + "." + url->authority, .path = "/" + path};
  }
  const std::string bucket = "/" + http::PercentEncode(options.bucket);
  return Target{.authority = url->authority, .path = key.empty() ? bucket : bucket + "/" + path};
}

StatusOr<http::ClientRequest> Client::Signed(const Call& call) const {
  STARLING_ASSIGN_OR_RETURN(const Target target, TargetOf(options_, call.key));
  s3::Signed request{.verb = http::VerbText(call.verb),
                     .path = target.path,
                     .query = CanonicalQuery(call.query),
                     .headers = call.headers,
                     .payload_sha256 = ToHex(Sha256().Add(call.body).Digest())};
  request.headers.emplace_back("host", target.authority);
  request.headers.emplace_back("x-amz-content-sha256", request.payload_sha256);
  request.headers.emplace_back("x-amz-date", BasicTime(clock_.Now()));
  std::sort(request.headers.begin(), request.headers.end());
  http::ClientRequest sent{.verb = call.verb,
                           .url = fmt::format("http://{}{}{}{}", target.authority, target.path,
                                              request.query.empty() ? "" : "?", request.query),
                           .body = std::string(call.body),
                           .timeout = options_.request_timeout};
  for (const auto& [name, value] : request.headers) sent.headers.Add(name, value);
  sent.headers.Add("authorization", Authorization(request, {.access_key = options_.access_key,
                                                            .secret_key = options_.secret_key,
                                                            .region = options_.region}));
  return sent;
}

StatusOr<http::ClientResponse> Client::Send(const Call& call, int* tries) {
  const Instant end = SystemClock().MonotonicNow() + options_.patience;
  for (int attempt = 0;; ++attempt) {
    if (tries != nullptr) *tries = attempt + 1;
    STARLING_ASSIGN_OR_RETURN(http::ClientRequest request, Signed(call));
    StatusOr<http::ClientResponse> response = runtime_.Block(http_.Send(std::move(request)));
    Status failed;
    bool again = true;
    if (!response.ok()) {
      failed = StorageFailed(
          Unavailable("S3 does not answer: {}", std::string(response.status().message())));
      again = response.status().code() == StatusCode::kUnavailable ||
              response.status().code() == StatusCode::kDeadlineExceeded;
    } else {
      const std::string code = TextOf(response->body, "Code");
      // A completed upload may be answered 200 and an error (CompleteMultipartUpload, "Usage").
      const bool error_in_200 =
          response->status == 200 && call.verb == http::Verb::kPost && !code.empty();
      const int status = error_in_200 ? 500 : response->status;
      if (status >= 200 && status < 300) return response;
      failed = ErrorOf(call, options_, status, code, TextOf(response->body, "Message"));
      again = MayBeTriedAgain(status, code);
    }
    const Duration pause = resilience::BackoffPause(options_.backoff, attempt, FastRandom());
    if (!again || attempt + 1 >= options_.attempts || SystemClock().MonotonicNow() + pause > end)
      return failed;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace starling::blob::s3
