// For the tests of the cache: a cache on a clock that the test sets, before an origin that the test
// scripts. The fetch does what a proxy does: it streams what the cache does not want whole.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

#include "platform/gateway/cache/http_cache.h"
#include "platform/http/response_writer.h"

namespace starling::gateway {

using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

inline http::Headers MakeHeaders(Fields fields) {
  http::Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}

inline http::Request MakeRequest(std::string_view verb, std::string_view target, Fields fields) {
  http::Request request;
  request.verb = http::ParseVerb(verb);
  request.verb_text = verb;
  request.target = target;
  request.path = target.substr(0, target.find('?'));
  request.headers = MakeHeaders(fields);
  if (!request.headers.Has("host")) request.headers.Add("Host", "shop.example");
  return request;
}

inline http::Response Reply(int status, Fields fields, std::string body = "") {
  return {.status = status, .headers = MakeHeaders(fields), .body = std::move(body)};
}

// "Fri, 02 Jan 2026 03:04:05 GMT"
inline std::string HttpDate(TimePoint time) {
  const std::string line = http::DateLine(time);
  return line.substr(6, line.size() - 8);
}

class CacheTest : public testing::Test {
 protected:
  static constexpr std::string_view kPrefix = "shop";

  explicit CacheTest(HttpCache::Options options = {}) : cache_(std::move(options), clock_) {}

  Fetch MakeFetch() {
    return [this](http::Request& request, http::Exchange& exchange) -> Task<Fetched> {
      asked_.push_back(request);
      const auto origin = origin_;  // it may put another in its place
      http::Response reply = origin(request);
      if (!reply.headers.Has("date")) reply.headers.Add("Date", HttpDate(clock_.Now()));
      if (cache_.WantsWhole(request, reply.status, reply.headers))
        co_return Fetched{.response = std::move(reply)};
      exchange.response.status = reply.status;
      exchange.response.headers = reply.headers;
      http::ResponseStream& stream = exchange.StartStream();
      const Status written = co_await stream.Write(reply.body);
      (void)written;
      co_return Fetched{.streamed = true};
    };
  }

  // What the client gets; a streamed body is put together.
  http::Response Ask(std::string_view verb, std::string_view target, Fields fields = {}) {
    http::DetachedExchange exchange;
    exchange.request = MakeRequest(verb, target, fields);
    RunSync(cache_.Serve(exchange, kPrefix, MakeFetch()));
    for (const std::string& chunk : exchange.streamed) exchange.response.body += chunk;
    return std::move(exchange.response);
  }
  http::Response Get(std::string_view target, Fields fields = {}) {
    return Ask("GET", target, fields);
  }

  // The origin answers always so.
  void OriginSays(int status, Fields fields, std::string body = "") {
    origin_ = [reply = Reply(status, fields, std::move(body))](const http::Request&) {
      return reply;
    };
  }
  // What the origin was asked, last.
  std::string LastAsked(std::string_view field) { return asked_.back().headers.Joined(field); }
  static std::string Of(const http::Response& response, std::string_view field) {
    return response.headers.Joined(field);
  }
  void Wait(int64_t how_long) { clock_.Advance(std::chrono::seconds(how_long)); }

  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
  HttpCache cache_;
  std::function<http::Response(const http::Request&)> origin_;
  std::vector<http::Request> asked_;
};

}  // namespace starling::gateway
