#include "platform/security/jwt.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>

#include "platform/security/jwt_key.h"

namespace starling::security {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr size_t kMaxTokenBytes = 8192;
constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxAudiences = 64;

Status Malformed(std::string_view what) {
  return JwtRefused("JWT_MALFORMED", fmt::format("the token is malformed: {}", what));
}

Status WrongClaim(std::string_view claim, std::string_view expected) {
  return JwtRefused("JWT_CLAIM",
                    fmt::format("the token's claim {} is wrong; expected {}", claim, expected));
}

struct Parts {
  std::string_view signing_input;  // header.payload, as they stand
  std::string header, payload, signature;
};

StatusOr<Parts> Split(std::string_view token) {
  if (token.size() > kMaxTokenBytes)
    return Malformed(fmt::format("it is longer than {} bytes", kMaxTokenBytes));
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return Malformed("expected three parts with dots between them");
  }
  Parts parts;
  parts.signing_input = token.substr(0, second);
  if (!StrictBase64UrlDecode(token.substr(0, first), parts.header))
    return Malformed("its header is no base64url");
  if (!StrictBase64UrlDecode(token.substr(first + 1, second - first - 1), parts.payload)) {
    return Malformed("its payload is no base64url");
  }
  if (!StrictBase64UrlDecode(token.substr(second + 1), parts.signature))
    return Malformed("its signature is no base64url");
  return parts;
}

// The parser of this thread; what it parsed lives until the next call.
StatusOr<object> ParseObject(const std::string& json, std::string_view what) {
  thread_local simdjson::dom::parser parser = [] {
    simdjson::dom::parser made(kMaxTokenBytes);
    // Without memory now, the parse below says so.
    [[maybe_unused]] const auto allocated = made.allocate(kMaxTokenBytes, kMaxDepth);
    return made;
  }();
  object parsed;
  if (parser.parse(json).get(parsed) != simdjson::SUCCESS)
    return Malformed(fmt::format("its {} is no JSON object", what));
  // RFC 7515, 4 and RFC 7519, 4: names must be unique, or two readers could see two tokens.
  std::vector<std::string_view> names;
  for (const auto field : parsed) names.push_back(field.key);
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
    return Malformed(fmt::format("its {} has a name twice", what));
  }
  return parsed;
}

StatusOr<std::string> OptionalText(const object& from, std::string_view name) {
  element value;
  if (from[name].get(value) != simdjson::SUCCESS) return "";
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return WrongClaim(name, "a text");
  return std::string(text);
}

// NumericDate: seconds since 1970, fractions allowed.
StatusOr<std::optional<TimePoint>> OptionalTime(const object& from, std::string_view name) {
  element value;
  if (from[name].get(value) != simdjson::SUCCESS) return std::optional<TimePoint>();
  double seconds = 0;
  constexpr double kMostSeconds = 9e9;  // what TimePoint can hold, with room for the leeway
  if (value.get(seconds) != simdjson::SUCCESS || !std::isfinite(seconds) ||
      std::abs(seconds) > kMostSeconds) {
    return WrongClaim(name, "seconds since 1970");
  }
  return std::optional<TimePoint>(TimePoint(Duration(static_cast<int64_t>(seconds * 1e9))));
}

// One text, or a list of texts.
StatusOr<std::vector<std::string>> OptionalTexts(const object& from, std::string_view name,
                                                 size_t limit) {
  element value;
  std::vector<std::string> texts;
  if (from[name].get(value) != simdjson::SUCCESS) return texts;
  std::string_view text;
  simdjson::dom::array list;
  if (value.get(text) == simdjson::SUCCESS) {
    texts.emplace_back(text);
  } else if (value.get(list) == simdjson::SUCCESS && list.size() <= limit) {
    for (const element item : list) {
      if (item.get(text) != simdjson::SUCCESS) return WrongClaim(name, "a text or a list of texts");
      texts.emplace_back(text);
    }
  } else {
    return WrongClaim(name, fmt::format("a text or a list of at most {} texts", limit));
  }
  return texts;
}

StatusOr<JwtAlgorithm> ReadAlgorithm(const object& header) {
  std::string_view name;
  if (header["alg"].get(name) != simdjson::SUCCESS) return Malformed("its header has no alg");
  for (const JwtAlgorithm known :
       {JwtAlgorithm::kHs256, JwtAlgorithm::kRs256, JwtAlgorithm::kEs256, JwtAlgorithm::kEdDsa}) {
    if (name == JwtAlgorithmName(known)) return known;
  }
  return JwtRefused("JWT_ALGORITHM",
                    "the token's alg is not accepted; expected HS256, RS256, ES256 or EdDSA");
}

std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

StatusOr<JwtClaims> ReadClaims(std::string json) {
  STARLING_ASSIGN_OR_RETURN(const object payload, ParseObject(json, "payload"));
  JwtClaims claims;
  STARLING_ASSIGN_OR_RETURN(claims.subject, OptionalText(payload, "sub"));
  STARLING_ASSIGN_OR_RETURN(claims.issuer, OptionalText(payload, "iss"));
  STARLING_ASSIGN_OR_RETURN(claims.id, OptionalText(payload, "jti"));
  STARLING_ASSIGN_OR_RETURN(claims.audience, OptionalTexts(payload, "aud", kMaxAudiences));
  STARLING_ASSIGN_OR_RETURN(claims.expires_at, OptionalTime(payload, "exp"));
  STARLING_ASSIGN_OR_RETURN(claims.not_before, OptionalTime(payload, "nbf"));
  STARLING_ASSIGN_OR_RETURN(claims.issued_at, OptionalTime(payload, "iat"));
  STARLING_ASSIGN_OR_RETURN(const std::string scope, OptionalText(payload, "scope"));
  claims.scopes = SplitWords(scope);
  if (scope.empty()) {
    STARLING_ASSIGN_OR_RETURN(claims.scopes,
                              OptionalTexts(payload, "scopes", ScopeSet::kMaxScopes));
  }
  claims.payload = std::move(json);
  return claims;
}

Status CheckTimes(const JwtClaims& claims, const JwtOptions& options, TimePoint now) {
  if (!claims.expires_at && options.expiry == JwtOptions::Expiry::kRequired)
    return WrongClaim("exp", "one to be there");
  if (claims.expires_at && now >= *claims.expires_at + options.leeway) {
    return JwtRefused("JWT_EXPIRED", "the token expired at " + FormatRfc3339(*claims.expires_at));
  }
  if (claims.not_before && now + options.leeway < *claims.not_before) {
    return JwtRefused("JWT_NOT_YET_VALID",
                      "the token is not valid before " + FormatRfc3339(*claims.not_before));
  }
  if (claims.issued_at && now + options.leeway < *claims.issued_at) {
    return JwtRefused("JWT_NOT_YET_VALID", "the token says it was issued in the future, at " +
                                               FormatRfc3339(*claims.issued_at) +
                                               "; compare the clocks");
  }
  return OkStatus();
}

}  // namespace

JwtVerifier::JwtVerifier(JwtOptions options, JwtKeys keys, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      keys_(std::make_shared<const JwtKeys>(std::move(keys))) {}

void JwtVerifier::SetKeys(JwtKeys keys) {
  keys_.store(std::make_shared<const JwtKeys>(std::move(keys)));
}

StatusOr<JwtClaims> JwtVerifier::Verify(std::string_view token) const {
  STARLING_ASSIGN_OR_RETURN(Parts parts, Split(token));
  JwtAlgorithm algorithm;
  std::string key_id;
  {
    STARLING_ASSIGN_OR_RETURN(const object header, ParseObject(parts.header, "header"));
    if (header["crit"].error() == simdjson::SUCCESS)
      return Malformed("it asks for an extension (crit) that is not known here");
    STARLING_ASSIGN_OR_RETURN(algorithm, ReadAlgorithm(header));
    if (!options_.algorithms.empty() &&
        std::find(options_.algorithms.begin(), options_.algorithms.end(), algorithm) ==
            options_.algorithms.end()) {
      return JwtRefused("JWT_ALGORITHM",
                        fmt::format("the token's alg {} is not one that its issuer may use",
                                    JwtAlgorithmName(algorithm)));
    }
    element kid;
    std::string_view kid_text;
    if (header["kid"].get(kid) == simdjson::SUCCESS) {
      if (kid.get(kid_text) != simdjson::SUCCESS) return Malformed("its kid is no text");
      key_id = kid_text;
    }
  }
  const std::shared_ptr<const JwtKeys> keys = keys_.load();
  STARLING_ASSIGN_OR_RETURN(const JwtKeys::Key* key, keys->Find(key_id, algorithm));
  if (!SignatureMatches(*key, parts.signing_input, parts.signature)) {
    return JwtRefused("JWT_SIGNATURE", "the token's signature does not match its content");
  }
  STARLING_ASSIGN_OR_RETURN(JwtClaims claims, ReadClaims(std::move(parts.payload)));
  STARLING_RETURN_IF_ERROR(CheckTimes(claims, options_, clock_.Now()));
  if (!options_.issuer.empty() && claims.issuer != options_.issuer) {
    return WrongClaim("iss", "'" + options_.issuer + "'");
  }
  if (!options_.audience.empty() && std::find(claims.audience.begin(), claims.audience.end(),
                                              options_.audience) == claims.audience.end()) {
    return WrongClaim("aud", "'" + options_.audience + "' to be in it");
  }
  return claims;
}

StatusOr<std::shared_ptr<const Identity>> JwtVerifier::IdentityOf(const JwtClaims& claims) const {
  std::string user = claims.subject;
  std::vector<std::string> named = claims.scopes;
  if (options_.user_claim != "sub" || !options_.scope_claim.empty()) {
    STARLING_ASSIGN_OR_RETURN(const object payload, ParseObject(claims.payload, "payload"));
    STARLING_ASSIGN_OR_RETURN(user, OptionalText(payload, options_.user_claim));
    if (!options_.scope_claim.empty()) {
      STARLING_ASSIGN_OR_RETURN(named,
                                OptionalTexts(payload, options_.scope_claim, ScopeSet::kMaxScopes));
      if (named.size() == 1) named = SplitWords(named[0]);
    }
  }
  if (user.empty()) return WrongClaim(options_.user_claim, "the user's id");
  std::vector<std::string> granted;
  for (const std::string& scope : named) {
    if (granted.size() == ScopeSet::kMaxScopes) break;
    if (!options_.scopes.empty()) {
      if (const auto here = options_.scopes.find(scope); here != options_.scopes.end())
        granted.push_back(here->second);
      continue;
    }
    const bool is_plain =
        CheckScopeName(scope).ok() && scope.find('.') != std::string::npos && !scope.ends_with('*');
    if (is_plain) granted.push_back(scope);
  }
  STARLING_ASSIGN_OR_RETURN(ScopeSet scopes, ScopeSet::Parse(granted));
  Identity identity{
      .kind = Identity::kUser, .subject = options_.user_prefix + user, .scopes = std::move(scopes)};
  identity.expires_at = claims.expires_at;
  return std::make_shared<const Identity>(std::move(identity));
}

Task<StatusOr<std::shared_ptr<const Identity>>> JwtVerifier::Authenticate(
    std::string_view bearer_token) {
  CO_ASSIGN_OR_RETURN(const JwtClaims claims, Verify(bearer_token));
  co_return IdentityOf(claims);
}

std::optional<JwtHint> PeekJwt(std::string_view token) {
  const StatusOr<Parts> parts = Split(token);
  if (!parts.ok()) return std::nullopt;
  JwtHint hint;
  hint.issuer = TextClaim(parts->payload, "iss").value_or("");
  hint.key_id = TextClaim(parts->header, "kid").value_or("");
  return hint;
}

std::optional<std::string> TextClaim(const std::string& payload, std::string_view name) {
  const StatusOr<object> claims = ParseObject(payload, "payload");
  if (!claims.ok()) return std::nullopt;
  element value;
  std::string_view text;
  if ((*claims)[name].get(value) != simdjson::SUCCESS || value.get(text) != simdjson::SUCCESS)
    return std::nullopt;
  return std::string(text);
}

bool JwtVerifier::Recognises(std::string_view bearer_token) const {
  return std::count(bearer_token.begin(), bearer_token.end(), '.') == 2;
}

}  // namespace starling::security
