// The rules without a socket: which origins, which fields, which answers are compressed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/gateway/answers/answer_filter.h"
#include "platform/gateway/answers/error_page.h"
#include "platform/gateway/route_config.h"
#include "platform/http/problem.h"

namespace starling::gateway {
namespace {

using http::Coding;
using http::Verb;
using testing::HasSubstr;

CorsConfig For(std::vector<std::string> origins, bool credentials = false) {
  CorsConfig config;
  config.origins = std::move(origins);
  config.credentials = credentials;
  return config;
}

TEST(Cors, RefusesRulesThatAreUnsafeOrMeanNothing) {
  const struct {
    CorsConfig config;
    std::string_view says;
  } rows[] = {
      {For({"*"}, true), "every page"},
      {For({"null"}), "sandbox"},
      {For({"https://shop.example", "null"}), "sandbox"},
      {For({"shop.example"}), "no scheme"},
      {For({"ftp://shop.example"}), "no scheme"},
      {For({"https://shop.example/"}), "beside"},
      {For({"https://shop.example/a"}), "beside"},
      {For({"https://Shop.example"}), "upper case"},
      {For({"https://user@shop.example"}), "beside"},
      {For({"https://"}), "beside"},
      {For({"https://shop.*.example"}), "beside"},
      {For({"https://*shop.example"}), "beside"},
      {For({"https://*.example"}), "somebody's own"},
      {For({"https://*."}), "somebody's own"},
      {For({"*.shop.example"}), "no scheme"},
  };
  for (const auto& row : rows) {
    const Status status = Cors::Parse(row.config).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << row.config.origins[0];
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.says));
  }
  CorsConfig headers = For({"https://a.example"}, true);
  headers.headers = {"*"};
  EXPECT_FALSE(Cors::Parse(headers).ok());
  headers.headers = {"X Y"};
  EXPECT_FALSE(Cors::Parse(headers).ok());
}

TEST(Cors, ComparesOriginsExactly) {
  const Cors cors = *Cors::Parse(
      For({"https://shop.example", "http://localhost:3000", "https://*.team.example"}));
  for (const std::string_view good : {"https://shop.example", "http://localhost:3000",
                                      "https://a.team.example", "https://a.b.team.example"}) {
    EXPECT_TRUE(cors.Allows(good)) << good;
  }
  for (const std::string_view bad :
       {"", "null", "*", "http://shop.example", "https://shop.example:8443",
        "https://shop.example.evil.example", "https://evilshop.example", "https://SHOP.example",
        "https://team.example", "https://.team.example.evil", "https://evilteam.example",
        "http://a.team.example", "https://a.team.example:99", "https://evil.example/.team.example",
        "https://evil.example?.team.example", "https://evil.example#.team.example",
        "https://user@a.team.example", "https://*.team.example", "http://localhost"}) {
    EXPECT_FALSE(cors.Allows(bad)) << bad;
  }
}

http::Request Preflight(std::string_view origin, std::string_view method, std::string_view fields) {
  http::Request request;
  request.verb = Verb::kOptions;
  request.headers.Add("Origin", origin);
  request.headers.Add("Access-Control-Request-Method", method);
  if (!fields.empty()) request.headers.Add("Access-Control-Request-Headers", fields);
  return request;
}

TEST(Cors, AnswersAPreflightByOriginMethodAndFields) {
  const Cors cors = *Cors::Parse(For({"https://shop.example"}, true));
  const uint32_t path_has =
      (1u << static_cast<unsigned>(Verb::kGet)) | (1u << static_cast<unsigned>(Verb::kPut));
  const struct {
    std::string_view origin, method, fields;
    int status;
  } rows[] = {
      {"https://shop.example", "PUT", "content-type, authorization", 204},
      {"https://shop.example", "HEAD", "", 204},
      {"https://shop.example", "DELETE", "", 403},
      {"https://shop.example", "put", "", 403},
      {"https://shop.example", "PROPFIND", "", 403},
      {"https://shop.example", "PUT", "x-other", 403},
      {"https://evil.example", "PUT", "", 403},
      {"null", "GET", "", 403},
  };
  for (const auto& row : rows) {
    http::Response response;
    cors.AnswerPreflight(Preflight(row.origin, row.method, row.fields), path_has, response);
    EXPECT_EQ(response.status, row.status) << row.origin << row.method << row.fields;
    EXPECT_EQ(response.headers.Has("access-control-allow-origin"), row.status == 204);
    EXPECT_EQ(response.headers.Has("access-control-allow-credentials"), row.status == 204);
    EXPECT_THAT(response.headers.Joined("vary"), HasSubstr("Origin"));
  }
}

TEST(Cors, SaysToAPageWhatItMaySeeAndNothingToOthers) {
  const Cors cors = *Cors::Parse(For({"https://shop.example"}, true));
  http::Request request;
  http::Response response;
  response.headers.Add("Access-Control-Allow-Origin", "*");  // of an upstream
  response.headers.Add("Vary", "Accept-Language");
  cors.AddTo(request, response);
  EXPECT_FALSE(response.headers.Has("access-control-allow-origin"));
  EXPECT_EQ(response.headers.Joined("vary"), "Accept-Language, Origin");
  request.headers.Add("Origin", "https://shop.example");
  cors.AddTo(request, response);
  EXPECT_EQ(response.headers.Joined("access-control-allow-origin"), "https://shop.example");
  EXPECT_EQ(response.headers.Joined("access-control-allow-credentials"), "true");
  EXPECT_THAT(response.headers.Joined("access-control-expose-headers"), HasSubstr("ETag"));
  EXPECT_EQ(response.headers.Joined("vary"), "Accept-Language, Origin");

  const Cors any = *Cors::Parse(For({"*"}));
  http::Response open;
  any.AddTo(request, open);
  EXPECT_EQ(open.headers.Joined("access-control-allow-origin"), "*");
  EXPECT_FALSE(open.headers.Has("access-control-allow-credentials"));
  EXPECT_FALSE(open.headers.Has("vary"));
}

http::Headers With(const AnswerFields& fields, bool page, bool tls, http::Headers headers = {}) {
  fields.AddTo(page, tls, headers);
  return headers;
}

TEST(AnswerFields, OfPagesAndOverTlsAreMore) {
  const AnswerFields fields = *AnswerFields::Make({}, {});
  const http::Headers api = With(fields, false, false);
  EXPECT_EQ(api.Joined("x-content-type-options"), "nosniff");
  EXPECT_EQ(api.size(), 1u);
  EXPECT_EQ(With(fields, false, true).Joined("strict-transport-security"), "max-age=31536000");
  const http::Headers page = With(fields, true, false);
  for (const std::string_view name : {"x-frame-options", "referrer-policy",
                                      "cross-origin-opener-policy", "cross-origin-resource-policy"})
    EXPECT_TRUE(page.Has(name)) << name;
  EXPECT_FALSE(page.Has("strict-transport-security"));
}

TEST(AnswerFields, CanBeChangedDroppedAndAdded) {
  const AnswerFields fields = *AnswerFields::Make(
      {{"x-frame-options", "DENY"}, {"X-Content-Type-Options", ""}, {"X-Served-By", "us"}},
      {{"X-Powered-By", ""}, {"Cache-Control", "no-store"}});
  http::Headers upstream;
  upstream.Add("X-Powered-By", "PHP/8.1");
  upstream.Add("cache-control", "public");
  upstream.Add("Server", "nginx/1.22.1 (Debian)");
  const http::Headers page = With(fields, true, false, upstream);
  EXPECT_EQ(page.Joined("x-frame-options"), "DENY");
  EXPECT_FALSE(page.Has("x-content-type-options"));
  EXPECT_EQ(page.Joined("x-served-by"), "us");
  EXPECT_FALSE(page.Has("x-powered-by"));
  EXPECT_EQ(page.Joined("cache-control"), "no-store");
  EXPECT_EQ(page.Joined("server"), "nginx");
  EXPECT_FALSE(With(fields, false, false).Has("x-frame-options"));
}

TEST(AnswerFields, AnUpstreamsOwnValueStays) {
  const AnswerFields fields = *AnswerFields::Make({}, {});
  http::Headers upstream;
  upstream.Add("x-frame-options", "DENY");
  EXPECT_EQ(With(fields, true, false, upstream).Joined("x-frame-options"), "DENY");
}

TEST(AnswerFields, RefuseWhatIsNoField) {
  const std::map<std::string, std::string> rows[] = {{{"Content-Length", "5"}},
                                                     {{"connection", ""}},
                                                     {{"X Y", "1"}},
                                                     {{"X-A", "1\r\nX-B: 2"}},
                                                     {{"", "1"}}};
  for (const auto& row : rows) {
    EXPECT_FALSE(AnswerFields::Make(row, {}).ok()) << row.begin()->first;
    EXPECT_FALSE(AnswerFields::Make({}, row).ok()) << row.begin()->first;
  }
}

struct Case {
  std::string_view accepts;
  int status;
  std::string_view fields;  // "name: value; name: value"
  std::optional<uint64_t> size;
  std::string_view coding;  // "" for 406
  bool varies;
};

http::Headers HeadersOf(std::string_view text) {
  http::Headers headers;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find('|'));
    const size_t colon = one.find(": ");
    headers.Add(one.substr(0, colon), one.substr(colon + 2));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
  }
  return headers;
}

TEST(Compression, IsOfWhatIsWorthItAndMayBe) {
  const Compression compression = *Compression::Make({});
  constexpr std::string_view kJson = "content-type: application/json";
  const Case rows[] = {
      {"gzip", 200, kJson, 5000, "gzip", true},
      {"gzip", 200, "Content-Type: Application/JSON; charset=utf-8", 5000, "gzip", true},
      {"gzip", 200, kJson, std::nullopt, "gzip", true},
      {"gzip", 404, "content-type: application/problem+json", 5000, "gzip", true},
      {"", 200, kJson, 5000, "identity", true},  // it might have been
      {"gzip", 200, kJson, 1023, "identity", false},
      {"gzip", 200, kJson, 0, "identity", false},
      {"gzip", 200, "content-type: image/png", 5000, "identity", false},
      {"gzip", 200, "content-type: text/event-stream", std::nullopt, "identity", false},
      {"gzip", 200, "", 5000, "identity", false},
      {"gzip", 200, "content-type: application/grpc+json", std::nullopt, "identity", false},
      {"*;q=0", 200, "content-type: application/grpc", std::nullopt, "identity", false},
      {"gzip", 204, kJson, std::nullopt, "identity", false},
      {"gzip", 206, kJson, 5000, "identity", false},
      {"gzip", 304, kJson, 5000, "identity", false},
      {"gzip", 200, "content-type: text/css|content-encoding: br", 5000, "identity", false},
      {"gzip", 200, "content-type: text/css|content-encoding: identity", 5000, "gzip", true},
      {"gzip", 200, "content-type: text/css|cache-control: public, No-Transform", 5000, "identity",
       false},
      {"gzip", 200, "content-type: text/css|content-range: bytes 0-4/9", 5000, "identity", false},
      {"gzip", 200, "content-type: text/css|Content-Digest: sha-256=:x:", 5000, "identity", false},
      {"gzip", 200, "content-type: text/css|Repr-Digest: sha-256=:x:", 5000, "identity", false},
      // Who refuses identity gets what there is, of whatever kind.
      {"identity;q=0, br", 200, "content-type: image/png", 5, "br", true},
      {"identity;q=0, br", 200, "content-type: image/png|content-encoding: gzip", 5, "identity",
       false},
      {"identity;q=0", 200, kJson, 5000, "", true},
      {"*;q=0", 200, kJson, 5, "", true},
      {"*;q=0", 500, kJson, 5000, "identity", true},  // an error is told all the same
  };
  for (const Case& row : rows) {
    http::Request request;
    http::Response response;
    response.status = row.status;
    response.headers = HeadersOf(row.fields);
    const auto verdict =
        compression.Judge(request, http::AcceptEncoding::Parse(row.accepts), response, row.size);
    const std::string what = fmt::format("{} {} {}", row.accepts, row.status, row.fields);
    EXPECT_EQ(verdict.not_acceptable, row.coding.empty()) << what;
    if (!row.coding.empty()) {
      EXPECT_EQ(http::CodingName(verdict.coding), row.coding) << what;
    }
    EXPECT_EQ(verdict.varies, row.varies) << what;
  }
}

TEST(Compression, TypesAreNamedOrOfAKind) {
  CompressionConfig config;
  config.types = {"text/*", "text/event-stream", "*+json"};
  const Compression compression = *Compression::Make(config);
  for (const auto& [type, wanted] :
       std::initializer_list<std::pair<const char*, bool>>{{"text/anything", true},
                                                           {"text/event-stream", true},
                                                           {"application/ld+json", true},
                                                           {"application/json", false}}) {
    http::Response response;
    response.headers.Add("content-type", type);
    const auto verdict =
        compression.Judge(http::Request(), http::AcceptEncoding::Parse("gzip"), response, 5000);
    EXPECT_EQ(verdict.coding == Coding::kGzip, wanted) << type;
  }
  for (const char* bad : {"", "json", "/json", "text/", "*", "text/a b"}) {
    config.types = {bad};
    EXPECT_FALSE(Compression::Make(config).ok()) << bad;
  }
}

TEST(Compression, MarksTheHead) {
  http::Headers headers = HeadersOf("etag: \"v1\"|accept-ranges: bytes|vary: Origin");
  Compression::Mark({.coding = Coding::kZstd, .varies = true}, headers);
  EXPECT_EQ(headers.Joined("content-encoding"), "zstd");
  EXPECT_EQ(headers.Joined("etag"), "W/\"v1\"");
  EXPECT_EQ(headers.Joined("vary"), "Origin, Accept-Encoding");
  EXPECT_FALSE(headers.Has("accept-ranges"));
  http::Headers weak = HeadersOf("etag: W/\"v1\"|vary: *");
  Compression::Mark({.coding = Coding::kGzip, .varies = true}, weak);
  EXPECT_EQ(weak.Joined("etag"), "W/\"v1\"");
  EXPECT_EQ(weak.Joined("vary"), "*");
  http::Headers plain = HeadersOf("etag: \"v1\"");
  Compression::Mark({.varies = true}, plain);
  EXPECT_EQ(plain.Joined("etag"), "\"v1\"");
  EXPECT_FALSE(plain.Has("content-encoding"));
}

TEST(Compression, A304HasTheTagThatTheClientHas) {
  const Compression compression = *Compression::Make({});
  http::Request request;
  request.headers.Add("if-none-match", "W/\"v1\"");
  http::Headers headers = HeadersOf("etag: \"v1\"");
  compression.MarkNotModified(request, headers);
  EXPECT_EQ(headers.Joined("etag"), "W/\"v1\"");
  EXPECT_EQ(headers.Joined("vary"), "Accept-Encoding");
  http::Request strong;
  strong.headers.Add("if-none-match", "\"v1\"");
  http::Headers same = HeadersOf("etag: \"v1\"");
  compression.MarkNotModified(strong, same);
  EXPECT_EQ(same.Joined("etag"), "\"v1\"");
}

TEST(ErrorPage, IsForWhoReadsPages) {
  const struct {
    std::string_view accept;
    bool page;
  } rows[] = {{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
              {"text/html", true},
              {"*/*", false},
              {"application/json", false},
              {"application/json, text/html", false},
              {"text/html, application/problem+json", false},
              {"", false}};
  for (const auto& row : rows) {
    http::Request request;
    request.headers.Add("Accept", row.accept);
    http::Response problem = http::ProblemResponse(NotFound("<script>x</script>"));
    EXPECT_EQ(WantsPage(request, problem), row.page) << row.accept;
    http::Response of_upstream;
    of_upstream.status = 404;
    of_upstream.SetBody("application/problem+json", "{}");
    EXPECT_FALSE(WantsPage(request, of_upstream)) << row.accept;
    MakePage(problem);
    EXPECT_THAT(problem.body, HasSubstr("404 Not Found"));
    EXPECT_THAT(problem.body, testing::Not(HasSubstr("script")));
  }
}

TEST(AnswerRules, AreCheckedBeforeAnythingIsMadeOfThem) {
  AnswerRules rules;
  RouteConfig a, b;
  a.path = b.path = "/x";
  b.headers = {{"X-Beta", "yes"}};
  EXPECT_TRUE(CheckAnswerRules(rules, {b, a}).ok());
  b.compress = RouteConfig::Compress::kOff;
  EXPECT_THAT(std::string(CheckAnswerRules(rules, {b, a}).message()), HasSubstr("routes[1]"));
  a.path = "/y";
  EXPECT_TRUE(CheckAnswerRules(rules, {b, a}).ok());
  a.cors.origins = {"null"};
  EXPECT_THAT(std::string(CheckAnswerRules(rules, {b, a}).message()), HasSubstr("routes[1].cors"));
  rules.cors.origins = {"*"};
  rules.cors.credentials = true;
  EXPECT_THAT(std::string(CheckAnswerRules(rules, {}).message()), HasSubstr("cors"));
}

}  // namespace
}  // namespace starling::gateway
