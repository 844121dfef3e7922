// Cache-Control, dates, Vary and references from any bytes: the parsers must not crash and must
// keep their bounds, and no bytes may hide a directive that stands beside them.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "platform/gateway/cache/rules/cache_control.h"
#include "platform/gateway/cache/rules/http_date.h"
#include "platform/gateway/cache/rules/selection.h"
#include "platform/gateway/cache/rules/storing.h"
#include "platform/gateway/cache/rules/target.h"
#include "platform/gateway/cache/rules/validation.h"

namespace {

using starling::gateway::kLongest;
using starling::gateway::ParseRequestDirectives;
using starling::gateway::ParseResponseDirectives;
using starling::gateway::ResponseDirectives;
using starling::gateway::seconds;
using starling::http::Headers;

void Expect(bool holds) {
  if (!holds) std::abort();
}

Headers CacheControl(const std::string& value) {
  Headers headers;
  headers.Add("Cache-Control", value);
  return headers;
}

void InBounds(const std::optional<seconds>& number) {
  Expect(!number || (*number >= seconds(0) && *number <= kLongest));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ResponseDirectives alone = ParseResponseDirectives(CacheControl(text));
  InBounds(alone.max_age);
  InBounds(alone.s_maxage);
  InBounds(alone.stale_while_revalidate);
  InBounds(alone.stale_if_error);
  const auto request = ParseRequestDirectives(CacheControl(text));
  InBounds(request.max_age);
  InBounds(request.max_stale);
  InBounds(request.min_fresh);

  // In front, behind, and as a field of its own.
  Expect(ParseResponseDirectives(CacheControl("no-store," + text)).no_store);
  Expect(ParseResponseDirectives(CacheControl(text + ",no-store")).no_store);
  Headers two = CacheControl(text);
  two.Add("cache-control", "private, max-age=0");
  const ResponseDirectives both = ParseResponseDirectives(two);
  Expect(both.is_private && both.max_age == seconds(0));
  Expect(both.no_store == alone.no_store && both.s_maxage == alone.s_maxage);

  const auto now = starling::TimePoint(std::chrono::hours(24 * 365 * 56));
  (void)starling::gateway::ParseHttpDate(text, now);

  // What varies so fits the request that it was stored for.
  Headers fields;
  fields.Add("Vary", text);
  fields.Add("Accept", text);
  fields.Add("X-A", text);
  if (!starling::gateway::VariesByEverything(fields)) {
    fields.Add("Vary", "Accept, X-A");
    const auto selecting = starling::gateway::SelectingFields::Of(fields, fields);
    Expect(selecting.Match(fields));
    Expect(!selecting.Match({}));
  }
  Headers conditions;
  conditions.Add("If-None-Match", text);
  conditions.Add("If-None-Match", "\"mine\"");
  conditions.Add("Connection", text);
  Headers stored;
  stored.Add("ETag", "\"mine\"");
  Expect(starling::gateway::IsNotModified(conditions, 200, stored, now));
  Expect(!starling::gateway::FieldsToStore(conditions).Has("connection"));

  // A reference that is of this host resolves to a path on it.
  const auto target = starling::gateway::TargetOnSameHost(text, "a.example", "/x/y?z");
  Expect(!target || target->starts_with('/'));
  return 0;
}
