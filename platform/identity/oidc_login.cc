#include "platform/identity/oidc_login.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "platform/base/id.h"
#include "platform/http/cookies.h"
#include "platform/http/problem.h"
#include "platform/identity/pages.h"
#include "platform/json/base64.h"
#include "platform/security/token.h"
#include "platform/telemetry/log.h"

namespace starling::identity {
namespace {

using http::Exchange;
using security::JwtAlgorithm;

constexpr auto kPatience = std::chrono::minutes(10);  // of a cookie that says what was begun
constexpr size_t kMaxUsed = 16'384;
constexpr size_t kMaxReturnTo = 1'024;
constexpr size_t kMaxCode = 4'096;
constexpr size_t kMaxSubject = 255;
constexpr size_t kMaxName = 200;

IssuerKeys::Options KeyOptions(const OidcConfig& config) {
  IssuerKeys::Options options;
  options.jwt = {.issuer = config.issuer,
                 .audience = config.client_id,
                 .leeway = config.clock_skew,
                 .algorithms = {JwtAlgorithm::kRs256, JwtAlgorithm::kEs256}};
  std::string base = config.issuer;
  if (base.ends_with('/')) base.pop_back();
  options.discovery_url =
      config.discovery.empty() ? base + "/.well-known/openid-configuration" : config.discovery;
  options.label = config.issuer + " (sign-in)";
  return options;
}

SessionCookie CookieOf(const OidcConfig& config) {
  // A browser takes a name with __Host- only from this host itself, over TLS.
  const std::string prefix = config.public_url.starts_with("https:") ? "__Host-" : "";
  return {.name = prefix + "starling_session",
          .login_name = prefix + "starling_login",
          .origin = config.public_url};
}

// The one value of a parameter, "" when it is absent. RFC 6749, 3.1: it must not be there twice.
StatusOr<std::string> Parameter(const http::QueryParameters& query, std::string_view name) {
  std::optional<std::string> found;
  for (const auto& [key, value] : query) {
    if (key != name) continue;
    if (found) return InvalidArgument("the parameter {} is there twice", name);
    found = value;
  }
  return found.value_or("");
}

std::string Base64Encode(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  json::EncodeBase64(bytes, text.data());
  return text;
}

Status NotBegunHere() {
  return InvalidArgument(
      "this sign-in was not begun in this browser, or too long ago, or a later one took its place");
}

}  // namespace

std::string UserIdOf(std::string_view issuer, std::string_view subject) {
  std::string text(issuer);
  text.append("\n").append(subject);
  return "oidc-" + ToHex(security::Sha256(text).view()).substr(0, 40);
}

Status CheckReturnTo(std::string_view path) {
  const bool local = path.size() <= kMaxReturnTo && path.starts_with('/') &&
                     !path.starts_with("//") && path.find('\\') == std::string_view::npos &&
                     std::all_of(path.begin(), path.end(), [](unsigned char c) {
                       return c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>';
                     });
  if (local) return OkStatus();
  return InvalidArgument("return_to must be a path of this site, such as /cart");
}

OidcLogin::OidcLogin(OidcConfig config, Runtime& runtime, http::Client& client,
                     telemetry::Metrics& metrics, const Clock& clock, SessionStore& sessions)
    : config_(std::move(config)),
      redirect_uri_(config_.public_url + config_.redirect_path),
      runtime_(runtime),
      client_(client),
      clock_(clock),
      sessions_(sessions),
      sealer_("oidc login " + config_.issuer + " " + config_.client_id,
              config_.client_secret.Reveal()),
      keys_(KeyOptions(config_), runtime, client, metrics, clock),
      secure_(config_.public_url.starts_with("https:")),
      cookie_(CookieOf(config_)),
      signed_in_(metrics.AddCounter("starling_oidc_sign_ins_total",
                                    "People who came back from the OpenID provider",
                                    {{"outcome", "signed_in"}})),
      refused_(metrics.AddCounter("starling_oidc_sign_ins_total",
                                  "People who came back from the OpenID provider",
                                  {{"outcome", "refused"}})) {}

void OidcLogin::Start() { Spawn(runtime_.NextExecutor(), keys_.KeepFresh()); }

std::string OidcLogin::RemovedCookie(const std::string& name) const {
  return http::SetCookie({.name = name, .value = "", .max_age = Duration(0), .secure = secure_});
}

Task<void> OidcLogin::Login(Exchange& exchange) {
  const StatusOr<http::QueryParameters> query = http::ParseQuery(exchange.request.query);
  StatusOr<std::string> return_to = InvalidArgument("the query is malformed");
  if (query.ok()) return_to = Parameter(*query, "return_to");
  if (return_to.ok() && return_to->empty()) return_to = config_.post_login;
  if (return_to.ok()) {
    if (const Status local = CheckReturnTo(*return_to); !local.ok()) return_to = local;
  }
  if (!return_to.ok()) {
    FillFailurePage(exchange.response, 400, return_to.status());
    co_return;
  }
  if (keys_.metadata()->authorization_endpoint.empty()) co_await keys_.FetchAndWait();
  const std::string endpoint = keys_.metadata()->authorization_endpoint;
  if (endpoint.empty()) {
    FillFailurePage(exchange.response, 503,
                    Unavailable("the sign-in provider does not answer; try again in a while"));
    co_return;
  }
  const std::string state = RandomToken(32), nonce = RandomToken(32), verifier = RandomToken(32);
  const TimePoint until = clock_.Now() + kPatience;
  const std::string begun = fmt::format("{}\n{}\n{}\n{}\n{}", until.time_since_epoch().count(),
                                        state, nonce, verifier, *return_to);
  const auto encode = [](std::string_view text) { return http::PercentEncode(text); };
  const std::string challenge = Base64UrlEncode(security::Sha256(verifier).view());
  exchange.response.status = 303;
  exchange.response.headers.Set(
      "Location",
      fmt::format("{}{}response_type=code&client_id={}&redirect_uri={}&scope={}&state={}&nonce={}"
                  "&code_challenge={}&code_challenge_method=S256",
                  endpoint, endpoint.find('?') == std::string::npos ? "?" : "&",
                  encode(config_.client_id), encode(redirect_uri_),
                  encode(fmt::format("{}", fmt::join(config_.scopes, " "))), state, nonce,
                  challenge));
  exchange.response.headers.Add("Set-Cookie", http::SetCookie({.name = cookie_.login_name,
                                                               .value = sealer_.Seal(begun),
                                                               .max_age = kPatience,
                                                               .secure = secure_}));
  exchange.response.headers.Set("Cache-Control", "no-store");
  exchange.response.headers.Set("Referrer-Policy", "no-referrer");
}

StatusOr<OidcLogin::Begun> OidcLogin::BegunIn(const http::Request& request) const {
  const auto cookie = http::FindCookie(request.headers, cookie_.login_name);
  if (!cookie.ok() || !cookie->has_value()) return NotBegunHere();
  const std::optional<std::string> text = sealer_.Open(**cookie);
  if (!text) return NotBegunHere();
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    parts.push_back(text->substr(at, end - at));
    at = end + 1;
  }
  int64_t until = 0;
  if (parts.size() != 5) return NotBegunHere();
  std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), until);
  if (clock_.Now() >= TimePoint(Duration(until))) return NotBegunHere();
  return Begun{parts[1], parts[2], parts[3], parts[4]};
}

bool OidcLogin::UseOnce(const std::string& state) {
  const std::lock_guard lock(mutex_);
  if (!used_.insert(state).second) return false;
  used_order_.push_back(state);
  if (used_order_.size() > kMaxUsed) {
    used_.erase(used_order_.front());
    used_order_.pop_front();
  }
  return true;
}

Task<void> OidcLogin::Callback(Exchange& exchange) {
  const Status status = co_await Finish(exchange);
  if (status.ok()) {
    signed_in_.Add();
  } else {
    refused_.Add();
    log::Warning("oidc", "a sign-in is refused").With(status);
    FillFailurePage(exchange.response, absl::IsUnavailable(status) ? 503 : 400, status);
  }
  exchange.response.headers.Add("Set-Cookie", RemovedCookie(cookie_.login_name));
}

Task<Status> OidcLogin::Finish(Exchange& exchange) {
  const http::Request& request = exchange.request;
  CO_ASSIGN_OR_RETURN(const http::QueryParameters query, http::ParseQuery(request.query));
  CO_ASSIGN_OR_RETURN(const std::string state, Parameter(query, "state"));
  CO_ASSIGN_OR_RETURN(const std::string issuer, Parameter(query, "iss"));
  CO_ASSIGN_OR_RETURN(const std::string error, Parameter(query, "error"));
  CO_ASSIGN_OR_RETURN(std::string code, Parameter(query, "code"));
  CO_ASSIGN_OR_RETURN(const Begun begun, BegunIn(request));
  if (!security::ConstantTimeEqual(state, begun.state)) co_return NotBegunHere();
  if (!UseOnce(state)) co_return InvalidArgument("this sign-in has been used; begin another");
  if (!issuer.empty() && issuer != config_.issuer)
    co_return InvalidArgument("the answer is of another provider than the one that was asked");
  if (!error.empty()) co_return InvalidArgument("the provider did not sign you in");
  if (code.empty() || code.size() > kMaxCode)
    co_return InvalidArgument("the provider's answer has no code");
  CO_ASSIGN_OR_RETURN(Proven proven, co_await Redeem(begun, std::move(code)));
  std::string user_id = UserIdOf(config_.issuer, proven.subject);
  StatusOr<NewSession> session =
      co_await sessions_.SignIn(std::move(user_id), std::move(proven.display_name));
  if (!session.ok()) {
    log::Error("oidc", "no session could be made").With(session.status());
    co_return Unavailable("signing in does not work at the moment; try again in a while");
  }
  co_await EndOldSession(request);
  exchange.response.status = 303;
  exchange.response.headers.Set("Location", begun.return_to);
  exchange.response.headers.Set("Cache-Control", "no-store");
  exchange.response.headers.Set("Referrer-Policy", "no-referrer");
  exchange.response.headers.Add("Set-Cookie", http::SetCookie({.name = cookie_.name,
                                                               .value = session->token,
                                                               .max_age = session->life,
                                                               .secure = secure_}));
  co_return OkStatus();
}

Task<StatusOr<OidcLogin::Proven>> OidcLogin::Redeem(const Begun& begun, std::string code) {
  const std::string endpoint = keys_.metadata()->token_endpoint;
  if (endpoint.empty()) co_return Unavailable("the sign-in provider does not answer");
  const auto encode = [](std::string_view text) { return http::PercentEncode(text); };
  http::ClientRequest request;
  request.verb = http::Verb::kPost;
  request.url = endpoint;
  request.timeout = std::chrono::seconds(10);
  request.headers.Add("Content-Type", "application/x-www-form-urlencoded");
  request.headers.Add("Accept", "application/json");
  request.headers.Add("Authorization",
                      "Basic " + Base64Encode(encode(config_.client_id) + ":" +
                                              encode(config_.client_secret.Reveal())));
  request.body =
      fmt::format("grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={}",
                  encode(code), encode(redirect_uri_), begun.verifier);
  const StatusOr<http::ClientResponse> response = co_await client_.Send(std::move(request));
  if (!response.ok()) {
    log::Warning("oidc", "the token endpoint does not answer").With(response.status());
    co_return Unavailable("the sign-in provider does not answer; try again in a while");
  }
  if (response->status != 200) {
    co_return InvalidArgument("the provider did not take the code (status {})", response->status);
  }
  std::string id_token, access_token;
  {
    simdjson::dom::parser parser(IssuerKeys::kMaxAnswer);
    simdjson::dom::object answer;
    std::string_view text;
    if (parser.parse(response->body).get(answer) != simdjson::SUCCESS ||
        answer["id_token"].get(text) != simdjson::SUCCESS) {
      co_return InvalidArgument("the provider's answer has no ID token");
    }
    id_token = text;
    if (answer["access_token"].get(text) == simdjson::SUCCESS) access_token = text;
  }
  const StatusOr<security::JwtClaims> claims = co_await keys_.Verify(id_token);
  if (!claims.ok()) {
    if (absl::IsUnavailable(claims.status())) co_return claims.status();
    co_return InvalidArgument("the provider's ID token is not good: {}",
                              std::string(claims.status().message()));
  }
  co_return CheckIdToken(*claims, begun.nonce, access_token);
}

StatusOr<OidcLogin::Proven> OidcLogin::CheckIdToken(const security::JwtClaims& claims,
                                                    const std::string& nonce,
                                                    std::string_view access_token) const {
  const auto refused = [](std::string_view why) {
    return InvalidArgument("the provider's ID token is not good: {}", why);
  };
  const auto claim = [&](std::string_view name) {
    return security::TextClaim(claims.payload, name);
  };
  if (claims.subject.empty() || claims.subject.size() > kMaxSubject)
    return refused("it names nobody");
  if (!claims.issued_at) return refused("it does not say when it was made");
  if (!security::ConstantTimeEqual(claim("nonce").value_or(""), nonce))
    return refused("it was not made for this sign-in");
  const std::optional<std::string> party = claim("azp");
  if ((claims.audience.size() > 1 && !party) || (party && *party != config_.client_id))
    return refused("it was made for another program");
  if (const auto hash = claim("at_hash")) {
    const security::TokenHash whole = security::Sha256(access_token);
    if (*hash != Base64UrlEncode(whole.view().substr(0, 16)))
      return refused("it does not belong to its access token");
  }
  std::string name = claim("name").value_or("");
  if (name.size() > kMaxName) name.clear();
  return Proven{claims.subject, std::move(name)};
}

Task<void> OidcLogin::EndOldSession(const http::Request& request) {
  const auto old = http::FindCookie(request.headers, cookie_.name);
  if (!old.ok() || !old->has_value() || !security::IsSessionToken(**old)) co_return;
  std::string token(**old);
  const Status ended = co_await sessions_.SignOut(std::move(token));
  if (!ended.ok()) log::Warning("oidc", "the session of before is not ended").With(ended);
}

Task<void> OidcLogin::AskLogout(Exchange& exchange) {
  FillLogoutPage(exchange.response);
  co_return;
}

Task<void> OidcLogin::Logout(Exchange& exchange) {
  if (const Status own = CheckOwnPage(exchange.request, cookie_.origin); !own.ok()) {
    FillFailurePage(exchange.response, 403, own);
    co_return;
  }
  co_await EndOldSession(exchange.request);
  exchange.response.status = 303;
  exchange.response.headers.Set("Location", config_.post_login);
  exchange.response.headers.Set("Cache-Control", "no-store");
  exchange.response.headers.Add("Set-Cookie", RemovedCookie(cookie_.name));
}

}  // namespace starling::identity
