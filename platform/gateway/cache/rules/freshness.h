// How long an answer is fresh, how old it is, and what a stale one may still be used for
// (RFC 9111, 4.2; RFC 5861).
//
//   const Freshness freshness = FreshnessOf(response.status, response.headers, times, {});
//   const Duration age = freshness.initial_age + (now - answered);
//   switch (Judge(freshness, age, request_directives)) ...
//
// Pure, no allocation.
#pragma once

#include <cstdint>

#include "platform/gateway/cache/rules/cache_control.h"

namespace starling::gateway {

// When a request was sent upstream and when its answer came, by the wall clock.
struct FetchTimes {
  TimePoint asked;
  TimePoint answered;
};

// Of an answer that says nothing of its freshness: this share of the time since Last-Modified, at
// most `limit` (4.2.2). 0: such an answer is never fresh.
struct Heuristic {
  double share = 0;
  Duration limit = std::chrono::hours(24);
};

struct Freshness {
  Duration lifetime{0};     // from when the origin made it
  Duration initial_age{0};  // when it came (4.2.3: corrected_initial_age)
  Duration stale_while_revalidate{0};
  Duration stale_if_error{0};
  bool is_explicit = false;      // the origin said it: s-maxage, max-age or Expires
  bool always_validate = false;  // no-cache
  // Not even a client that takes stale answers gets one: must-revalidate, proxy-revalidate,
  // s-maxage, no-cache (4.2.4). The windows of RFC 5861 are 0 for all of these but s-maxage, beside
  // which the origin grants them explicitly.
  bool never_stale = false;
};

Freshness FreshnessOf(int status, const http::Headers& headers, const FetchTimes& times,
                      const Heuristic& heuristic);

enum class Use : uint8_t {
  kFresh,
  kStaleForClient,        // stale, but the client's max-stale takes it
  kStaleWhileRevalidate,  // stale, may be given while it is validated in the background
  kValidate,              // not without asking the origin
};
Use Judge(const Freshness& freshness, Duration age, const RequestDirectives& request);

// Whether a stale answer may be given in place of the origin's error (RFC 5861, 4).
bool MayReplaceError(const Freshness& freshness, Duration age, const RequestDirectives& request);
// 500, 502, 503, 504.
bool IsErrorToReplace(int status);

// 4.2.2 allows a heuristic for these.
bool IsHeuristicallyCacheable(int status);

}  // namespace starling::gateway
