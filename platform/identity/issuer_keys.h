// The keys of one issuer of tokens, fetched from it and kept fresh; tokens verified with them.
//
//   IssuerKeys keys({.jwt = {.issuer = "https://id.example", .audience = "starling"},
//                    .jwks_url = "https://id.example/keys"}, client, metrics);
//   Spawn(executor, keys.KeepFresh());
//   StatusOr<JwtClaims> claims = co_await keys.Verify(token);
//
// KeepFresh fetches at once, then when the answer's max-age has passed (within shortest and
// longest), sooner after a failure. Whatever fails leaves the keys that there are: they serve while
// the issuer is gone, `keep_for` at the longest, since it may have taken one back meanwhile. A
// fetch is one GET, or two with discovery: bounded in time and size, not redirected, and the
// discovery document must name the issuer itself.
//
// A token with an unknown key waits for one more fetch, at most `patience`, and all that come
// meanwhile wait for the same one. Fetches that tokens ask for begin at most once per `interval`,
// and a key that a fetch did not bring is refused without one for `forget_after`: whoever sends
// random key ids costs at most one fetch an interval. UNAVAILABLE until the first keys are there.
//
// Bounds: 256 KiB an answer, 1,024 unknown keys remembered, 1,024 tokens waiting; more are refused
// as unknown at once. Counted in starling_issuer_fetches_total{issuer,outcome},
// starling_issuer_unknown_keys_total{issuer}; starling_issuer_keys{issuer} and
// starling_issuer_keys_age_seconds{issuer} say what there is. Thread-safe. It must outlive its
// tasks: destroy it after its Runtime has stopped.
#pragma once

#include <deque>
#include <mutex>
#include <unordered_map>

#include "platform/http/client.h"
#include "platform/security/jwt.h"
#include "platform/telemetry/metrics.h"

namespace starling::identity {

// What an issuer says of itself (OpenID Connect Discovery 1.0, 3). "" for what it does not.
struct IssuerMetadata {
  std::string jwks_uri;
  std::string authorization_endpoint;
  std::string token_endpoint;
};
// INVALID_ARGUMENT when it is not of this issuer, or an URL is none, or is plain http where the
// issuer is https.
StatusOr<IssuerMetadata> ParseIssuerMetadata(std::string_view json, std::string_view issuer);

// The max-age of Cache-Control; nullopt when there is none, 0 for no-cache and no-store.
std::optional<Duration> MaxAgeOf(const http::Headers& headers);

class IssuerKeys {
 public:
  struct Options {
    security::JwtOptions jwt;
    std::string label;          // in metrics and the log; "": the issuer
    std::string jwks_url;       // "": the discovery document says it
    std::string discovery_url;  // "": none is read
    Duration shortest = std::chrono::minutes(1);
    Duration longest = std::chrono::hours(24);
    Duration usual =
        std::chrono::minutes(10);  // of an answer that does not say how long it is good
    Duration retry = std::chrono::seconds(5);
    Duration interval = std::chrono::seconds(30);
    Duration forget_after = std::chrono::minutes(5);
    Duration patience = std::chrono::seconds(3);
    Duration timeout = std::chrono::seconds(5);  // of one GET
    Duration keep_for = std::chrono::hours(24);  // without a fetch that brought keys
  };
  // The client's max_response_bytes should be kMaxAnswer. What is named here must outlive it.
  IssuerKeys(Options options, Runtime& runtime, http::Client& client, telemetry::Metrics& metrics,
             const Clock& clock = SystemClock());
  static constexpr uint64_t kMaxAnswer = 256 << 10;

  // For as long as the runtime runs.
  Task<void> KeepFresh();
  // What JwtVerifier::Verify gives, with the newest keys that there are. `token` must live until
  // the task ends.
  Task<StatusOr<security::JwtClaims>> Verify(std::string_view token);
  const security::JwtVerifier& verifier() const { return verifier_; }
  // Nothing before the first discovery.
  std::shared_ptr<const IssuerMetadata> metadata() const { return metadata_.load(); }
  // One fetch, shared with whoever waits for one, begun when none was for an interval. Ends after
  // `patience` at the latest. False: none was begun.
  Task<bool> FetchAndWait();

 private:
  struct Waiter;
  Task<void> Fetch();
  Task<StatusOr<Duration>> FetchOnce();
  Task<StatusOr<http::ClientResponse>> Get(std::string url);
  bool AreTooOld() const;
  bool IsKnownToBeUnknown(const std::string& key_id);
  void RememberUnknown(const std::string& key_id);

  const Options options_;
  const std::string label_;
  Runtime& runtime_;
  http::Client& client_;
  const Clock& clock_;
  security::JwtVerifier verifier_;
  Snapshot<IssuerMetadata> metadata_;
  telemetry::Counter &fetched_, &failed_, &unknown_total_;
  telemetry::Gauge& keys_gauge_;
  std::atomic<int64_t> fetched_at_{0};  // monotonic nanoseconds; 0: never

  std::mutex mutex_;
  bool fetching_ = false;
  std::optional<Instant> begun_at_;  // the last fetch
  Duration next_in_{0};              // after the last fetch
  std::vector<std::shared_ptr<Waiter>> waiters_;
  std::unordered_map<std::string, Instant> unknown_;  // until when
  std::deque<std::string> unknown_order_;
};

}  // namespace starling::identity
