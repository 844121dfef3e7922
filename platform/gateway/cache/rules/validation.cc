#include "platform/gateway/cache/rules/validation.h"

#include <algorithm>

#include "platform/gateway/cache/rules/http_date.h"
#include "platform/gateway/cache/rules/list.h"
#include "platform/gateway/cache/rules/storing.h"

namespace starling::gateway {
namespace {

std::string_view WithoutWeak(std::string_view etag) {
  return etag.starts_with("W/") ? etag.substr(2) : etag;
}

bool SameIfBoth(const http::Headers& a, const http::Headers& b, std::string_view name) {
  const auto of_a = a.Find(name);
  const auto of_b = b.Find(name);
  return !of_a || !of_b || *of_a == *of_b;
}

// The content's own description, which an update of the fields must not change: it is the stored
// content that goes out (3.2).
bool BelongsToContent(std::string_view name) {
  static constexpr std::string_view kNames[] = {"content-length", "content-encoding",
                                                "content-type", "content-range"};
  return std::ranges::any_of(
      kNames, [&](std::string_view known) { return http::EqualsIgnoreCase(known, name); });
}

}  // namespace

bool IsNotModified(const http::Headers& request, int status, const http::Headers& stored,
                   TimePoint answered) {
  if (status != 200) return false;
  if (request.Has("if-none-match")) {
    const auto stored_etag = stored.Find("etag");
    bool matches = false;
    for (const http::Headers::Field field : request) {
      if (!http::EqualsIgnoreCase(field.name, "if-none-match")) continue;
      ForEachElement(field.value, [&](std::string_view etag) {
        matches = matches || etag == "*" ||
                  (stored_etag && WithoutWeak(etag) == WithoutWeak(*stored_etag));
      });
    }
    return matches;
  }
  const auto since = request.Find("if-modified-since");
  if (!since) return false;
  const auto than = ParseHttpDate(*since, answered);
  if (!than) return false;
  for (const std::string_view name : {"last-modified", "date"}) {
    const auto value = stored.Find(name);
    const auto time = value ? ParseHttpDate(*value, answered) : std::nullopt;
    if (time) return *time <= *than;
  }
  return answered <= *than;
}

void LeaveFieldsOf304(http::Headers& headers) {
  for (const std::string_view name :
       {"content-type", "content-encoding", "content-language", "content-range", "last-modified"}) {
    if (name == "last-modified" && !headers.Has("etag")) continue;  // then it is the validator
    headers.Remove(name);
  }
}

void RemoveConditions(http::Headers& request) {
  request.Remove("if-none-match");
  request.Remove("if-modified-since");
}

bool AddConditions(const http::Headers& stored, http::Headers& request) {
  const auto etag = stored.Find("etag");
  const auto modified = stored.Find("last-modified");
  if (etag) request.Set("If-None-Match", *etag);
  if (modified) request.Set("If-Modified-Since", *modified);
  return etag || modified;
}

bool SpeaksOf(const http::Headers& not_modified, const http::Headers& stored) {
  const auto of_update = not_modified.Find("etag");
  const auto of_stored = stored.Find("etag");
  if (of_update && of_stored) return WithoutWeak(*of_update) == WithoutWeak(*of_stored);
  if (of_update) return false;
  return SameIfBoth(not_modified, stored, "last-modified");
}

http::Headers Freshen(const http::Headers& stored, const http::Headers& update) {
  const http::Headers offered = FieldsToStore(update);
  const auto replaces = [&](std::string_view name) {
    return !BelongsToContent(name) && !http::EqualsIgnoreCase(name, "set-cookie");
  };
  http::Headers fresh;
  for (const http::Headers::Field field : stored) {
    if (!offered.Has(field.name) || !replaces(field.name)) fresh.Add(field.name, field.value);
  }
  for (const http::Headers::Field field : offered) {
    if (replaces(field.name)) fresh.Add(field.name, field.value);
  }
  return http::Headers(std::as_const(fresh));
}

bool HeadSpeaksOf(const http::Headers& head, const http::Headers& stored, size_t stored_bytes) {
  const auto length = head.Find("content-length");
  if (length && *length != std::to_string(stored_bytes)) return false;
  return SameIfBoth(head, stored, "etag") && SameIfBoth(head, stored, "last-modified");
}

}  // namespace starling::gateway
