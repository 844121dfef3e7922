#include "platform/gateway/cache/rules/storing.h"

#include <algorithm>

#include "platform/gateway/cache/rules/list.h"
#include "platform/gateway/cache/rules/selection.h"

namespace starling::gateway {
namespace {

// Of the connection or of this hop (RFC 9110, 7.6.1; RFC 9111, 3.1), or written anew.
constexpr std::string_view kNotStored[] = {"connection",
                                           "keep-alive",
                                           "proxy-connection",
                                           "te",
                                           "transfer-encoding",
                                           "upgrade",
                                           "proxy-authenticate",
                                           "proxy-authentication-info",
                                           "proxy-authorization",
                                           "trailer",
                                           "age",
                                           "content-length"};

bool IsNamedByConnection(const http::Headers& headers, std::string_view name) {
  bool named = false;
  for (const http::Headers::Field field : headers) {
    if (!http::EqualsIgnoreCase(field.name, "connection")) continue;
    ForEachElement(field.value, [&](std::string_view element) {
      named = named || http::EqualsIgnoreCase(element, name);
    });
  }
  return named;
}

}  // namespace

bool IsUnderstood(int status) {
  return IsHeuristicallyCacheable(status) || status == 302 || status == 303 || status == 307;
}

std::optional<std::string_view> WhyNotStored(const http::Request& request, int status,
                                             const http::Headers& headers, TimePoint now,
                                             const Heuristic& heuristic) {
  if (request.verb != http::Verb::kGet) return "the method is not GET";
  if (request.headers.Has("range")) return "the request asks for a range";
  if (status < 200) return "the status is not final";
  if (status == 206 || status == 304) return "the answer is a part, or says that nothing changed";
  if (ParseRequestDirectives(request.headers).no_store) return "the request says no-store";
  const ResponseDirectives said = ParseResponseDirectives(headers);
  if (said.must_understand) {
    if (!IsUnderstood(status)) return "must-understand, and the status is not understood";
  } else if (said.no_store) {
    return "no-store";
  }
  if (said.is_private) return "private";
  if (headers.Has("set-cookie")) return "it sets a cookie";
  if (VariesByEverything(headers)) return "Vary: *";
  // A certificate says who asks as well as Authorization does.
  const bool of_one = request.headers.Has("authorization") || request.client_certificate != nullptr;
  if (of_one && !said.is_public && !said.must_revalidate && !said.s_maxage) {
    return "the request has Authorization, and the answer does not say that it may be shared";
  }
  const Freshness freshness = FreshnessOf(status, headers, {now, now}, heuristic);
  const bool says_something = freshness.is_explicit || said.is_public || said.no_cache;
  if (!says_something && (heuristic.share <= 0 || !IsHeuristicallyCacheable(status)))
    return "it says nothing of its freshness";
  const bool has_validator = headers.Has("etag") || headers.Has("last-modified");
  const bool has_use = freshness.lifetime > Duration(0) && !freshness.always_validate;
  const bool has_stale_use =
      freshness.stale_while_revalidate > Duration(0) || freshness.stale_if_error > Duration(0);
  if (!has_use && !has_stale_use && !has_validator) return "it is never fresh and has no validator";
  return std::nullopt;
}

http::Headers FieldsToStore(const http::Headers& headers) {
  http::Headers stored;
  for (const http::Headers::Field field : headers) {
    const bool ours = std::ranges::any_of(kNotStored, [&](std::string_view name) {
      return http::EqualsIgnoreCase(name, field.name);
    });
    if (!ours && !IsNamedByConnection(headers, field.name)) stored.Add(field.name, field.value);
  }
  return http::Headers(std::as_const(stored));  // a copy holds what it needs and no more
}

}  // namespace starling::gateway
