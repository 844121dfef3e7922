// What bad input gets, as a table: request, status, and what the answer names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "platform/http/coding/encoder.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using http::Verb;
using testing::HasSubstr;
using testing_support::RunningProcess;

struct Row {
  const char* name;
  Verb verb;
  std::string path;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  int status;
  std::string says;  // in the problem document
};

class BadInput : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(running_.status().ok()) << running_.status(); }

  http::ClientResponse Send(Verb verb, const std::string& path, const std::string& body,
                            const std::vector<std::pair<std::string, std::string>>& headers) {
    http::ClientRequest request{
        .verb = verb, .url = running_.url() + path, .headers = {}, .body = body};
    request.headers.Set("authorization", "Bearer " + running_.admin_key());
    for (const auto& [name, value] : headers) {
      if (value.empty()) {
        request.headers.Remove(name);
      } else {
        request.headers.Set(name, value);
      }
    }
    auto response = running_.process().runtime().Block(running_.client().Send(std::move(request)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::ClientResponse();
  }

  RunningProcess running_;
};

TEST_F(BadInput, EachRowIsRefusedAndNamed) {
  const std::string good = R"({"title":"T"})";
  const Row rows[] = {
      {"unknown route", Verb::kGet, "/v1/nothing", "", {}, 404, "/v1/nothing"},
      {"wrong verb", Verb::kPost, "/v1/products/p", good, {}, 405, "use one of GET"},
      {"malformed JSON", Verb::kPut, "/v1/products/p", R"({"title": )", {}, 400, "at byte 10"},
      {"trailing text", Verb::kPut, "/v1/products/p", good + "x", {}, 400, "at byte 13"},
      {"unknown field",
       Verb::kPut,
       "/v1/products/p",
       R"({"titel":"T"})",
       {},
       400,
       "did you mean 'title'"},
      {"nested wrong type",
       Verb::kPut,
       "/v1/products/p",
       R"({"title":"T","price":{"units":"many"}})",
       {},
       400,
       "price.units"},
      {"missing field", Verb::kPut, "/v1/products/p", "{}", {}, 400, "title"},
      {"two ids",
       Verb::kPut,
       "/v1/products/p",
       R"({"product_id":"q","title":"T"})",
       {},
       400,
       "leave it out of the body"},
      {"bad price",
       Verb::kPut,
       "/v1/products/p",
       R"({"title":"T","price":{"currency_code":"euro"}})",
       {},
       400,
       "price.currency_code"},
      {"long title",
       Verb::kPut,
       "/v1/products/p",
       R"({"title":")" + std::string(501, 'x') + "\"}",
       {},
       400,
       "at most 500"},
      {"empty body", Verb::kPut, "/v1/products/p", "", {}, 400, "byte 0"},
      {"body on GET", Verb::kGet, "/v1/products/p", "{}", {}, 400, "takes no body"},
      {"media type",
       Verb::kPut,
       "/v1/products/p",
       good,
       {{"content-type", "text/xml"}},
       415,
       "application/json"},
      {"oversized body", Verb::kPut, "/v1/products/p", std::string(3 << 20, 'x'), {}, 413, ""},
      {"unknown parameter",
       Verb::kGet,
       "/v1/products?page_sise=2",
       "",
       {},
       400,
       "did you mean 'page_size'"},
      {"parameter type", Verb::kGet, "/v1/products?page_size=ten", "", {}, 400, "page_size"},
      {"parameter range",
       Verb::kGet,
       "/v1/products?page_size=5000",
       "",
       {},
       400,
       "outside 0 to 1000"},
      {"page token", Verb::kGet, "/v1/products?page_token=!", "", {}, 400, "page_token"},
      {"bad escape", Verb::kGet, "/v1/products?brand=%zz", "", {}, 400, "%zz"},
      {"enum", Verb::kGet, "/v1/products?availability=MAYBE", "", {}, 400, "availability"},
      {"update mask",
       Verb::kPatch,
       "/v1/products/p?update_mask=colour",
       good,
       {},
       404,
       "not in the catalogue"},
      {"no credentials",
       Verb::kGet,
       "/v1/products",
       "",
       {{"authorization", ""}},
       401,
       "needs credentials"},
      {"wrong credentials",
       Verb::kGet,
       "/v1/products",
       "",
       {{"authorization", "Bearer sk_no"}},
       401,
       "UNAUTHENTICATED"},
      {"basic credentials",
       Verb::kGet,
       "/v1/products",
       "",
       {{"authorization", "Basic x"}},
       401,
       "Bearer TOKEN"},
      {"deadline",
       Verb::kGet,
       "/v1/products",
       "",
       {{"x-request-timeout", "1ns"}},
       504,
       "DEADLINE_EXCEEDED"},
      {"bad deadline",
       Verb::kGet,
       "/v1/products",
       "",
       {{"x-request-timeout", "soon"}},
       400,
       "X-Request-Timeout"},
      {"idempotency key",
       Verb::kPost,
       "/v1/products",
       R"({"product_id":"i","title":"T"})",
       {{"idempotency-key", std::string(300, 'k')}},
       400,
       "at most 255"},
      {"no events", Verb::kPost, "/v1/events", "{}", {}, 400, "events"},
      {"event type",
       Verb::kPost,
       "/v1/events",
       R"({"events":[{"type":"veiw","product_id":"p"}]})",
       {},
       400,
       "events[0].type"},
      {"event in the future",
       Verb::kPost,
       "/v1/events",
       R"({"events":[{"type":"view","product_id":"p","occurred_at":"2200-01-01T00:00:00Z"}]})",
       {},
       400,
       "events[0].occurred_at"},
      {"short password",
       Verb::kPost,
       "/v1/users/u:setPassword",
       R"({"password":"short"})",
       {},
       400,
       "password"},
      {"preference",
       Verb::kPatch,
       "/v1/users/u",
       R"({"preferences":{"milk":2}})",
       {},
       400,
       "preferences.milk"},
      {"wrong password",
       Verb::kPost,
       "/v1/sessions",
       R"({"user_id":"u","password":"whatever"})",
       {},
       401,
       "the user or the password is wrong"},
  };
  for (const Row& row : rows) {
    const auto response = Send(row.verb, row.path, row.body, row.headers);
    EXPECT_EQ(response.status, row.status) << row.name << ": " << response.body;
    EXPECT_EQ(response.headers.Find("content-type"), "application/problem+json") << row.name;
    EXPECT_THAT(response.body, HasSubstr("\"status\":" + std::to_string(row.status))) << row.name;
    EXPECT_THAT(response.body, HasSubstr(row.says)) << row.name;
  }
}

TEST_F(BadInput, WhoseIdempotencyKeyIsRefusedIsToldWhereKeysAreDescribed) {
  const auto refused =
      Send(Verb::kPut, "/v1/products/p", R"({"title":"T"})", {{"idempotency-key", "\"a"}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.headers.Find("link"), R"(</openapi.json>; rel="help")");
  EXPECT_EQ(Send(Verb::kGet, "/openapi.json", "", {}).status, 200);
  const auto other = Send(Verb::kPut, "/v1/products/p", R"({"titel":"T"})", {});
  EXPECT_EQ(other.status, 400);
  EXPECT_FALSE(other.headers.Has("link"));
}

TEST_F(BadInput, AWrongVerbIsToldWhichThereAre) {
  EXPECT_EQ(Send(Verb::kDelete, "/v1/products", "", {}).headers.Find("allow"),
            "GET, HEAD, POST, OPTIONS");
}

TEST_F(BadInput, AReadIsNotSentAgainToWhoHasIt) {
  ASSERT_EQ(Send(Verb::kPut, "/v1/products/p", R"({"title":"T"})", {}).status, 200);
  const auto first = Send(Verb::kGet, "/v1/products/p", "", {});
  ASSERT_TRUE(first.headers.Find("etag").has_value());
  const auto second = Send(Verb::kGet, "/v1/products/p", "",
                           {{"if-none-match", std::string(*first.headers.Find("etag"))}});
  EXPECT_EQ(second.status, 304);
  EXPECT_TRUE(second.body.empty());
}

TEST_F(BadInput, ATraceGoesOn) {
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto response = Send(Verb::kGet, "/v1/products", "", {{"traceparent", parent}});
  EXPECT_THAT(std::string(*response.headers.Find("traceparent")),
              HasSubstr("0af7651916cd43dd8448eb211c80319c"));
}

TEST(Bounds, AConnectionAboveTheBoundIsToldWhenToComeAgain) {
  RunningProcess running(config::Sources::Pairs{{"http.max_connections", "1"}});
  ASSERT_TRUE(running.status().ok()) << running.status();
  Runtime other({.io_threads = 2});
  http::Client one(other, {.max_connections_per_origin = 1}),
      two(other, {.max_connections_per_origin = 1});
  const auto get = [&](http::Client& client) {
    return other.Block(client.Send(
        {.verb = Verb::kGet, .url = running.url() + "/healthz", .headers = {}, .body = ""}));
  };
  EXPECT_EQ(get(one)->status, 200);
  const auto refused = get(two);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->status, 503);
  EXPECT_TRUE(refused->headers.Find("retry-after").has_value());
}

TEST(Bounds, EventsAreRefusedWhileTheirConsumerIsTooFarBehindAndTakenAgainOnceItIsNot) {
  RunningProcess running(config::Sources::Pairs{{"messaging.max_lag", "1"}});
  ASSERT_TRUE(running.status().ok()) << running.status();
  const auto view = [&] {
    http::ClientRequest request{
        .verb = Verb::kPost,
        .url = running.url() + "/v1/events",
        .headers = {},
        .body = R"({"events":[{"user_id":"u","product_id":"p","type":"view"}]})"};
    request.headers.Set("authorization", "Bearer " + running.admin_key());
    return *running.process().runtime().Block(running.client().Send(request));
  };
  // Somebody else holds the users' database for writing, so their consumer cannot go on.
  sqlite3* holder = nullptr;
  ASSERT_EQ(sqlite3_open((running.folder() / "profile" / "profile.sqlite").c_str(), &holder), 0);
  ASSERT_EQ(sqlite3_exec(holder, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(view().status, 202);
  const auto refused = view();
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_THAT(refused.body, HasSubstr("group 'profile' is 1 events behind, its limit is 1"));
  EXPECT_TRUE(refused.headers.Find("retry-after").has_value());
  EXPECT_EQ(sqlite3_exec(holder, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(holder);
  const Instant until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  int status = 503;
  while (status == 503 && std::chrono::steady_clock::now() < until) status = view().status;
  EXPECT_EQ(status, 202);
}

TEST(Configuration, AWrongOrUnknownKeyIsRefusedWithTheNearestRightOne) {
  RunningProcess running(config::Sources::Pairs{{"http.prot", "1"}});
  EXPECT_THAT(std::string(running.status().message()), HasSubstr("http.port"));
  RunningProcess wrong(config::Sources::Pairs{{"http.max_connections", "many"}});
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("http.max_connections"));
}

TEST(Configuration, ADeadlineOfAMethodHoldsOverHttp) {
  RunningProcess running(
      config::Sources::Pairs{{"methods.deadlines", "{catalog.ListProducts: 1ns}"}});
  ASSERT_TRUE(running.status().ok()) << running.status();
  http::ClientRequest request{
      .verb = Verb::kGet, .url = running.url() + "/v1/products", .headers = {}, .body = ""};
  request.headers.Set("authorization", "Bearer " + running.admin_key());
  const auto response = running.process().runtime().Block(running.client().Send(request));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 504);
}

TEST(OpenApi, DescribesEveryRoute) {
  RunningProcess running;
  ASSERT_TRUE(running.status().ok()) << running.status();
  const auto document = running.process().runtime().Block(running.client().Send(
      {.verb = Verb::kGet, .url = running.url() + "/openapi.json", .headers = {}, .body = ""}));
  ASSERT_TRUE(document.ok());
  for (const rpc::Binding& binding : running.process().services().bindings()) {
    for (const rpc::MethodDescriptor& method : binding.descriptor->methods) {
      for (const rpc::HttpRule& rule : method.http)
        EXPECT_THAT(document->body, HasSubstr("\"" + std::string(rule.path) + "\""));
    }
  }
}

// What unpacks to more than it should is refused while it is unpacked.
TEST_F(BadInput, PackedBodiesAreUnpackedWithinBounds) {
  const auto gzip = [](std::string_view body) {
    return http::Encode(http::Coding::kGzip, 9, body);
  };
  const std::string good = R"({"title":"T"})";
  const std::string bomb = gzip(R"({"title":")" + std::string(50'000'000, 'a'));
  std::string many;  // members, each of them small
  for (int i = 0; i < 200; ++i) many += gzip(std::string(60'000, ' '));
  const Row rows[] = {
      {"a bomb", Verb::kPut, "/v1/products/p", bomb, {{"content-encoding", "gzip"}}, 413, "times"},
      {"a bomb in pieces",
       Verb::kPut,
       "/v1/products/p",
       many,
       {{"content-encoding", "gzip"}},
       413,
       "packed"},
      {"a bomb in a bomb",
       Verb::kPut,
       "/v1/products/p",
       gzip(bomb),
       {{"content-encoding", "gzip, gzip"}},
       415,
       "gzip"},
      {"no gzip",
       Verb::kPut,
       "/v1/products/p",
       good,
       {{"content-encoding", "gzip"}},
       400,
       "no gzip"},
      {"half of it",
       Verb::kPut,
       "/v1/products/p",
       gzip(good).substr(0, 15),
       {{"content-encoding", "gzip"}},
       400,
       "ends before"},
      {"something behind it",
       Verb::kPut,
       "/v1/products/p",
       gzip(good) + "{}",
       {{"content-encoding", "gzip"}},
       400,
       "gzip"},
      {"another coding",
       Verb::kPut,
       "/v1/products/p",
       good,
       {{"content-encoding", "br"}},
       415,
       "br"},
      {"bad JSON in it",
       Verb::kPut,
       "/v1/products/p",
       gzip(good + "x"),
       {{"content-encoding", "gzip"}},
       400,
       "at byte 13"},
      {"nobody's bomb",
       Verb::kPut,
       "/v1/products/p",
       bomb,
       {{"content-encoding", "gzip"}, {"authorization", "Bearer nonsense"}},
       401,
       "token"},
  };
  for (const Row& row : rows) {
    const http::ClientResponse response = Send(row.verb, row.path, row.body, row.headers);
    EXPECT_EQ(response.status, row.status) << row.name << ": " << response.body;
    EXPECT_THAT(response.body, HasSubstr(row.says)) << row.name;
    EXPECT_EQ(response.headers.Find("accept-encoding") == "gzip", row.status == 415) << row.name;
  }
  for (const char* coding : {"gzip", "X-GZIP"}) {
    const http::ClientResponse taken =
        Send(Verb::kPut, "/v1/products/packed", gzip(good), {{"content-encoding", coding}});
    EXPECT_EQ(taken.status / 100, 2) << taken.body;
  }
  EXPECT_THAT(Send(Verb::kGet, "/v1/products/packed", "", {}).body, HasSubstr("\"T\""));
}

}  // namespace
}  // namespace starling
