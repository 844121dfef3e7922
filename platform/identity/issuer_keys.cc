#include "platform/identity/issuer_keys.h"

#include <simdjson.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <charconv>

#include "platform/http/syntax.h"
#include "platform/http/url.h"
#include "platform/telemetry/log.h"

namespace starling::identity {
namespace {

using security::JwtClaims;
using security::JwtKeys;

constexpr size_t kMaxUnknown = 1024;
constexpr size_t kMaxWaiters = 1024;
constexpr size_t kMaxKeyId = 256;
constexpr auto kLongestAge = std::chrono::hours(24 * 365);

StatusOr<std::string> UrlIn(const simdjson::dom::object& document, std::string_view name,
                            bool needs_tls) {
  std::string_view text;
  if (document[name].get(text) != simdjson::SUCCESS) return "";
  const StatusOr<http::HttpUrl> url = http::ParseHttpUrl(text);
  if (!url.ok()) return Annotate(url.status(), name);
  if (needs_tls && !url->tls)
    return InvalidArgument("{} '{}' is plain http, and the issuer is https", name, text);
  return std::string(text);
}

}  // namespace

StatusOr<IssuerMetadata> ParseIssuerMetadata(std::string_view json, std::string_view issuer) {
  simdjson::dom::parser parser(IssuerKeys::kMaxAnswer);
  simdjson::dom::object document;
  if (parser.parse(json.data(), json.size()).get(document) != simdjson::SUCCESS)
    return InvalidArgument("the discovery document is no JSON object");
  std::string_view named;
  if (document["issuer"].get(named) != simdjson::SUCCESS || named != issuer) {
    return InvalidArgument("the discovery document is of the issuer '{}', not of '{}'",
                           named.substr(0, 200), issuer);
  }
  const bool needs_tls = issuer.starts_with("https:");
  IssuerMetadata metadata;
  STARLING_ASSIGN_OR_RETURN(metadata.jwks_uri, UrlIn(document, "jwks_uri", needs_tls));
  STARLING_ASSIGN_OR_RETURN(metadata.authorization_endpoint,
                            UrlIn(document, "authorization_endpoint", needs_tls));
  STARLING_ASSIGN_OR_RETURN(metadata.token_endpoint, UrlIn(document, "token_endpoint", needs_tls));
  return metadata;
}

std::optional<Duration> MaxAgeOf(const http::Headers& headers) {
  std::optional<Duration> age;
  const std::string directives = headers.Joined("cache-control");
  http::ForEachInList(directives, [&](std::string_view one) {
    if (http::EqualsIgnoreCase(one, "no-store") || http::EqualsIgnoreCase(one, "no-cache"))
      age = Duration(0);
    if (age || one.size() < 9 || !http::EqualsIgnoreCase(one.substr(0, 8), "max-age=")) return;
    one.remove_prefix(8);
    if (one.size() >= 2 && one.front() == '"' && one.back() == '"')
      one = one.substr(1, one.size() - 2);
    uint64_t seconds = 0;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), seconds);
    if (end != one.data() + one.size() || error == std::errc::invalid_argument) return;
    const auto most = static_cast<uint64_t>(kLongestAge / std::chrono::seconds(1));
    if (error == std::errc::result_out_of_range) seconds = most;
    age = std::chrono::seconds(std::min(seconds, most));
  });
  return age;
}

// A call that waits for a fetch or for its patience to end, whichever is first.
struct IssuerKeys::Waiter {
  void Wake(bool fetched) {
    Completion<bool> taken;
    {
      const std::lock_guard lock(mutex);
      taken = std::exchange(completion, Completion<bool>());
    }
    if (taken) taken(fetched);
  }
  std::mutex mutex;
  Completion<bool> completion;
};

IssuerKeys::IssuerKeys(Options options, Runtime& runtime, http::Client& client,
                       telemetry::Metrics& metrics, const Clock& clock)
    : options_(std::move(options)),
      label_(options_.label.empty() ? options_.jwt.issuer : options_.label),
      runtime_(runtime),
      client_(client),
      clock_(clock),
      verifier_(options_.jwt, JwtKeys(), clock),
      metadata_(std::make_shared<const IssuerMetadata>()),
      fetched_(metrics.AddCounter("starling_issuer_fetches_total", "Fetches of an issuer's keys",
                                  {{"issuer", label_}, {"outcome", "ok"}})),
      failed_(metrics.AddCounter("starling_issuer_fetches_total", "Fetches of an issuer's keys",
                                 {{"issuer", label_}, {"outcome", "failed"}})),
      unknown_total_(metrics.AddCounter("starling_issuer_unknown_keys_total",
                                        "Tokens with a key that their issuer does not have",
                                        {{"issuer", label_}})),
      keys_gauge_(metrics.AddGauge("starling_issuer_keys", "Keys of an issuer that are in force",
                                   {{"issuer", label_}})) {
  metrics.AddCallback("starling_issuer_keys_age_seconds",
                      "Since an issuer's keys were fetched; -1: never", {{"issuer", label_}},
                      [this] {
                        const int64_t at = fetched_at_.load();
                        const int64_t now = clock_.MonotonicNow().time_since_epoch().count();
                        return at == 0 ? -1 : static_cast<double>(now - at) / 1e9;
                      });
}

Task<void> IssuerKeys::KeepFresh() {
  for (;;) {
    bool fetch = false;
    Duration wait;
    {
      const std::lock_guard lock(mutex_);
      const Instant now = clock_.MonotonicNow();
      const Duration since = begun_at_ ? now - *begun_at_ : Duration::max();
      fetch = !fetching_ && since >= next_in_;
      if (fetch) {
        fetching_ = true;
        begun_at_ = now;
      }
      wait = fetching_ ? options_.retry : next_in_ - since;
    }
    if (fetch) {
      co_await Fetch();
    } else {
      // A token may have had them fetched meanwhile: look again, but not for ever.
      co_await SleepFor(std::clamp<Duration>(wait, std::chrono::milliseconds(1), options_.longest));
    }
  }
}

Task<StatusOr<http::ClientResponse>> IssuerKeys::Get(std::string url) {
  http::ClientRequest request;
  request.url = std::move(url);
  request.timeout = options_.timeout;
  request.headers.Add("Accept", "application/json");
  StatusOr<http::ClientResponse> response = co_await client_.Send(std::move(request));
  if (!response.ok()) co_return response.status();
  if (response->status != 200) {
    co_return Unavailable("the issuer answered with status {}; redirects are not followed",
                          response->status);
  }
  co_return response;
}

Task<StatusOr<Duration>> IssuerKeys::FetchOnce() {
  std::string jwks_url = options_.jwks_url;
  if (!options_.discovery_url.empty()) {
    const StatusOr<http::ClientResponse> document = co_await Get(options_.discovery_url);
    if (!document.ok()) co_return Annotate(document.status(), "discovery");
    CO_ASSIGN_OR_RETURN(IssuerMetadata metadata,
                        ParseIssuerMetadata(document->body, options_.jwt.issuer));
    if (jwks_url.empty()) jwks_url = metadata.jwks_uri;
    metadata_.store(std::make_shared<const IssuerMetadata>(std::move(metadata)));
    if (jwks_url.empty()) co_return InvalidArgument("the discovery document names no jwks_uri");
  }
  const StatusOr<http::ClientResponse> set = co_await Get(jwks_url);
  if (!set.ok()) co_return Annotate(set.status(), "keys");
  CO_ASSIGN_OR_RETURN(const JwtKeys keys, JwtKeys::FromJwks(set->body));
  verifier_.SetKeys(keys);
  keys_gauge_.Set(static_cast<double>(keys.size()));
  co_return std::clamp(MaxAgeOf(set->headers).value_or(options_.usual), options_.shortest,
                       options_.longest);
}

// Whoever calls it has set fetching_.
Task<void> IssuerKeys::Fetch() {
  const StatusOr<Duration> good_for = co_await FetchOnce();
  if (good_for.ok()) {
    fetched_.Add();
    const bool first = fetched_at_.exchange(clock_.MonotonicNow().time_since_epoch().count()) == 0;
    if (first) log::Info("issuer", "the keys of {} are here", label_);
  } else {
    failed_.Add();
    log::Warning("issuer", "the keys of {} cannot be fetched; those of before stay", label_)
        .With(good_for.status());
  }
  std::vector<std::shared_ptr<Waiter>> waiters;
  {
    const std::lock_guard lock(mutex_);
    fetching_ = false;
    next_in_ = good_for.ok() ? *good_for : options_.retry;
    waiters.swap(waiters_);
  }
  for (const auto& waiter : waiters) waiter->Wake(true);
}

Task<bool> IssuerKeys::FetchAndWait() {
  const auto waiter = std::make_shared<Waiter>();
  const Executor executor = co_await CurrentExecutor();
  const auto timer = std::make_shared<boost::asio::steady_timer>(
      executor, std::chrono::steady_clock::now() + options_.patience);
  bool begin = false;
  const bool fetched = co_await Suspend<bool>([&](Completion<bool> completion) {
    Completion<bool> refused;
    {
      const std::lock_guard lock(mutex_);
      const Instant now = clock_.MonotonicNow();
      begin = !fetching_ && (!begun_at_ || now - *begun_at_ >= options_.interval);
      const bool waits = (fetching_ || begin) && waiters_.size() < kMaxWaiters;
      if (begin) {
        fetching_ = true;
        begun_at_ = now;
      }
      (waits ? waiter->completion : refused) = std::move(completion);
      if (waits) waiters_.push_back(waiter);
    }
    if (refused) {
      refused(false);
      return;
    }
    timer->async_wait([waiter](const boost::system::error_code& error) {
      if (!error) waiter->Wake(false);
    });
    if (begin) Spawn(runtime_.NextExecutor(), Fetch());
  });
  timer->cancel();
  co_return fetched;
}

bool IssuerKeys::IsKnownToBeUnknown(const std::string& key_id) {
  if (key_id.size() > kMaxKeyId) return true;
  const std::lock_guard lock(mutex_);
  const auto found = unknown_.find(key_id);
  return found != unknown_.end() && clock_.MonotonicNow() < found->second;
}

void IssuerKeys::RememberUnknown(const std::string& key_id) {
  const std::lock_guard lock(mutex_);
  const Instant until = clock_.MonotonicNow() + options_.forget_after;
  if (!unknown_.insert_or_assign(key_id, until).second) return;
  unknown_order_.push_back(key_id);
  if (unknown_order_.size() <= kMaxUnknown) return;
  unknown_.erase(unknown_order_.front());
  unknown_order_.pop_front();
}

bool IssuerKeys::AreTooOld() const {
  const int64_t at = fetched_at_.load();
  return at != 0 &&
         clock_.MonotonicNow().time_since_epoch().count() - at > options_.keep_for.count();
}

Task<StatusOr<JwtClaims>> IssuerKeys::Verify(std::string_view token) {
  if (AreTooOld()) {
    (void)co_await FetchAndWait();
    if (AreTooOld()) {
      co_return WithRetryAfter(
          Unavailable("the token's issuer has not said its keys for longer than they are trusted "
                      "without (keys_max_age)"),
          std::chrono::duration_cast<std::chrono::milliseconds>(options_.retry));
    }
  }
  StatusOr<JwtClaims> claims = verifier_.Verify(token);
  if (claims.ok() || Reason(claims.status()) != "JWT_UNKNOWN_KEY") co_return claims;
  const std::string key_id = security::PeekJwt(token).value_or(security::JwtHint()).key_id;
  if (fetched_at_.load() != 0 && IsKnownToBeUnknown(key_id)) {
    unknown_total_.Add();
    co_return claims;
  }
  const bool fetched = co_await FetchAndWait();
  if (fetched_at_.load() == 0) {
    co_return WithRetryAfter(
        Unavailable("the keys of the token's issuer are not here yet; try again"),
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.retry));
  }
  claims = verifier_.Verify(token);
  if (claims.ok() || Reason(claims.status()) != "JWT_UNKNOWN_KEY") co_return claims;
  unknown_total_.Add();
  if (fetched) RememberUnknown(key_id);
  co_return claims;
}

}  // namespace starling::identity
