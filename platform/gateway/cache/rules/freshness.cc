#include "platform/gateway/cache/rules/freshness.h"

#include <algorithm>

#include "platform/gateway/cache/rules/http_date.h"
#include "platform/gateway/cache/rules/list.h"

namespace starling::gateway {
namespace {

std::optional<TimePoint> DateIn(const http::Headers& headers, std::string_view name,
                                TimePoint now) {
  const auto value = headers.Find(name);
  return value ? ParseHttpDate(*value, now) : std::nullopt;
}

// Of Expires; nullopt when there is none. What is no date, or is given twice, has expired (5.3).
std::optional<Duration> LifetimeByExpires(const http::Headers& headers, TimePoint date,
                                          TimePoint now) {
  std::optional<std::string_view> value;
  for (const http::Headers::Field field : headers) {
    if (!http::EqualsIgnoreCase(field.name, "expires")) continue;
    if (value && *value != field.value) return Duration(0);
    value = field.value;
  }
  if (!value) return std::nullopt;
  const std::optional<TimePoint> expires = ParseHttpDate(*value, now);
  return expires ? std::max(Duration(0), *expires - date) : Duration(0);
}

// 5.1: of several the first counts; what is no number is passed over.
Duration AgeIn(const http::Headers& headers) {
  const auto value = headers.Find("age");
  if (!value) return Duration(0);
  const std::string_view first = Trim(value->substr(0, value->find(',')));
  return ParseDeltaSeconds(first).value_or(seconds(0));
}

}  // namespace

bool IsHeuristicallyCacheable(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return true;
    default:
      return false;
  }
}

bool IsErrorToReplace(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

Freshness FreshnessOf(int status, const http::Headers& headers, const FetchTimes& times,
                      const Heuristic& heuristic) {
  const ResponseDirectives said = ParseResponseDirectives(headers);
  const std::optional<TimePoint> stated = DateIn(headers, "date", times.answered);
  const TimePoint date = stated.value_or(times.answered);

  Freshness freshness;
  const Duration apparent_age = std::max(Duration(0), times.answered - date);
  const Duration delay = std::max(Duration(0), times.answered - times.asked);
  freshness.initial_age = std::max(apparent_age, AgeIn(headers) + delay);

  const std::optional<Duration> by_expires = LifetimeByExpires(headers, date, times.answered);
  if (said.s_maxage) {
    freshness.lifetime = *said.s_maxage;
  } else if (said.max_age) {
    freshness.lifetime = *said.max_age;
  } else if (by_expires) {
    freshness.lifetime = *by_expires;
  } else if (heuristic.share > 0 && (IsHeuristicallyCacheable(status) || said.is_public)) {
    const auto modified = DateIn(headers, "last-modified", times.answered);
    if (modified && *modified < date) {
      const Duration guess(
          static_cast<int64_t>(static_cast<double>((date - *modified).count()) * heuristic.share));
      freshness.lifetime = std::min(guess, heuristic.limit);
    }
  }
  freshness.is_explicit = said.s_maxage || said.max_age || by_expires;

  freshness.always_validate = said.no_cache;
  const bool must = said.must_revalidate || said.proxy_revalidate || said.no_cache;
  freshness.never_stale = must || said.s_maxage;
  if (!must) {
    freshness.stale_while_revalidate = said.stale_while_revalidate.value_or(seconds(0));
    freshness.stale_if_error = said.stale_if_error.value_or(seconds(0));
  }
  return freshness;
}

Use Judge(const Freshness& freshness, Duration age, const RequestDirectives& request) {
  if (freshness.always_validate || request.no_cache) return Use::kValidate;
  const Duration left = freshness.lifetime - age;
  if (request.min_fresh && left < *request.min_fresh) return Use::kValidate;
  const bool too_old = request.max_age && age > *request.max_age;
  if (left > Duration(0) && !too_old) return Use::kFresh;

  const Duration staleness = std::max(-left, too_old ? age - *request.max_age : -left);
  if (request.max_stale && staleness <= *request.max_stale &&
      (left > Duration(0) || !freshness.never_stale)) {
    return Use::kStaleForClient;
  }
  if (!too_old && staleness < freshness.stale_while_revalidate) return Use::kStaleWhileRevalidate;
  return Use::kValidate;
}

bool MayReplaceError(const Freshness& freshness, Duration age, const RequestDirectives& request) {
  const Duration staleness = age - freshness.lifetime;
  if (staleness < freshness.stale_if_error) return true;
  return !freshness.never_stale && request.stale_if_error && staleness < *request.stale_if_error;
}

}  // namespace starling::gateway
