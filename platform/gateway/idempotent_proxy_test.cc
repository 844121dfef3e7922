// A POST that comes twice with one key acts once at the upstream.
#include "platform/gateway/idempotent_proxy.h"

#include <filesystem>
#include <thread>

#include "platform/base/id.h"
#include "platform/gateway/gateway_test_fixture.h"
#include "platform/rpc/sql_idempotency_store.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::StatusOf;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using Answer = RawServer::Answer;

class IdempotentProxy : public GatewayTest {
 protected:
  IdempotentProxy() { edge_.idempotency = store_.get(); }
  ~IdempotentProxy() override {
    server_.reset();
    runtime_.Stop();
    std::filesystem::remove_all(folder_);
  }
  void StartWith(RouteIdempotency idempotency) {
    RouteConfig route = Route("/pay", "up");
    route.methods = {"POST", "PATCH", "PUT", "GET"};
    route.idempotency = idempotency;
    RouteConfig other = route;
    other.path = "/other";
    Start({{"up", To({up_.address()})}}, {route, other});
  }
  static std::string PostOf(std::string_view key, std::string_view body = "1 EUR",
                            std::string_view fields = "", std::string_view path = "/pay",
                            std::string_view verb = "POST") {
    return fmt::format("{} {} HTTP/1.1\r\nHost: x\r\n{}{}Content-Length: {}\r\n\r\n{}", verb, path,
                       key.empty() ? "" : fmt::format("Idempotency-Key: {}\r\n", key), fields,
                       body.size(), body);
  }
  std::string Post(std::string_view key, std::string_view body = "1 EUR",
                   std::string_view fields = "", std::string_view path = "/pay",
                   std::string_view verb = "POST") {
    return Ask(PostOf(key, body, fields, path, verb));
  }
  size_t acted() { return up_.requests().size(); }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("idempotent-" + NewId());
  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
  std::unique_ptr<sql::Database> database_ = [this] {
    std::filesystem::create_directories(folder_);
    return sql::Database::Open({.path = folder_ / "keys.sqlite"}, {}).value();
  }();
  std::unique_ptr<rpc::IdempotencyStore> store_ =
      rpc::OpenSqlIdempotencyStore(*database_, clock_, {}).value();
  std::function<Answer(int)> answer_ = [](int number) -> Answer {
    return {fmt::format("HTTP/1.1 201 Created\r\nX-Payment: p{0}\r\nContent-Length: 2\r\n\r\np{0}",
                        number)};
  };
  RawServer up_{[this](const std::string&, int number) { return answer_(number); }};
};

TEST_F(IdempotentProxy, InterimAnswersGoToWhoActsAlone) {
  StartWith(RouteIdempotency::kOptional);
  answer_ = [](int) -> Answer {
    return {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + Ok("paid")};
  };
  const auto ask = [&] {
    http::RawSocket socket(port_);
    socket.Send(PostOf("k", "1 EUR", "Connection: close\r\n"));
    return socket.ReadToEnd();
  };
  EXPECT_THAT(ask(),
              testing::StartsWith("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 "));
  const std::string again = ask();
  EXPECT_THAT(again, testing::StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(again, testing::EndsWith("paid"));
  EXPECT_EQ(acted(), 1u);
}

TEST_F(IdempotentProxy, TheSameRequestGetsTheSameAnswerAndActsOnce) {
  StartWith(RouteIdempotency::kOptional);
  const std::string first = Post("\"k-1\"");
  EXPECT_EQ(StatusOf(first), 201);
  EXPECT_EQ(BodyOf(first), "p1");
  EXPECT_THAT(first, Not(HasSubstr("Idempotent-Replayed")));
  EXPECT_THAT(up_.requests()[0], HasSubstr("Idempotency-Key: \"k-1\"\r\n"));
  const std::string again = Post("k-1");
  EXPECT_EQ(StatusOf(again), 201);
  EXPECT_EQ(BodyOf(again), "p1");
  EXPECT_THAT(again, HasSubstr("X-Payment: p1\r\n"));
  EXPECT_THAT(again, HasSubstr("Idempotent-Replayed: true\r\n"));
  EXPECT_EQ(acted(), 1u);
  EXPECT_EQ(BodyOf(Post("k-2")), "p2") << "another key is another request";
  EXPECT_EQ(BodyOf(Post("")), "p3");
  EXPECT_EQ(BodyOf(Post("")), "p4") << "without a key each acts";
}

TEST_F(IdempotentProxy, WhatIsOfOneRequestAloneIsNotKept) {
  StartWith(RouteIdempotency::kOptional);
  answer_ = [](int) -> Answer {
    return {Ok("paid", "RateLimit: \"theirs\";r=4;t=9\r\nX-A: b\r\n")};
  };
  const std::string first = Post("k", "1 EUR", "X-Request-Id: a\r\n");
  EXPECT_THAT(first, HasSubstr("RateLimit: \"theirs\""));
  const std::string again = Post("k", "1 EUR", "X-Request-Id: b\r\n");
  EXPECT_THAT(again, HasSubstr("X-A: b\r\n"));
  EXPECT_THAT(again, Not(HasSubstr("RateLimit:")));
  for (const char* field : {"x-request-id: ", "traceparent: "}) {
    const auto value = [&](const std::string& answer) {
      const size_t at = answer.find(field);
      EXPECT_NE(at, std::string::npos) << answer;
      EXPECT_EQ(answer.find(field, at + 1), std::string::npos) << answer;
      return answer.substr(at, answer.find('\r', at) - at);
    };
    EXPECT_NE(value(first), value(again));
  }
}

TEST_F(IdempotentProxy, AnotherRequestWithTheKeyIsRefusedWhateverDiffers) {
  StartWith(RouteIdempotency::kOptional);
  EXPECT_EQ(StatusOf(Post("k")), 201);
  for (const std::string& answer : {Post("k", "2 EUR"), Post("k", "1 EUR", "", "/pay?x=1"),
                                    Post("k", "1 EUR", "Content-Type: text/plain\r\n"),
                                    Post("k", "1 EUR", "", "/pay", "PATCH")}) {
    EXPECT_EQ(StatusOf(answer), 422) << answer;
    EXPECT_THAT(answer, HasSubstr(R"("reason":"IDEMPOTENCY_KEY_REUSED")"));
    EXPECT_THAT(answer, HasSubstr("content-type: application/problem+json"));
  }
  EXPECT_EQ(acted(), 1u);
  EXPECT_EQ(BodyOf(Post("k", "1 EUR", "", "/other")), "p2") << "another route has its own keys";
}

TEST_F(IdempotentProxy, WhereAKeyIsRequiredThereIsNoneWithoutAndNoBadOne) {
  StartWith(RouteIdempotency::kRequired);
  for (const std::string& answer : {Post(""), Post("\"a"), Post("a b"), Post("\"\"")}) {
    EXPECT_EQ(StatusOf(answer), 400) << answer;
    EXPECT_THAT(answer, HasSubstr(R"("field":"Idempotency-Key")"));
    EXPECT_THAT(answer, HasSubstr(R"(; rel="help")")) << "2.7: a link to documentation";
  }
  EXPECT_EQ(acted(), 0u);
  EXPECT_EQ(StatusOf(Post("", "x", "", "/pay", "PUT")), 201) << "PUT may be sent again anyway";
  EXPECT_EQ(StatusOf(Get("/pay")), 201);
  EXPECT_EQ(StatusOf(Post("k", "x", "", "/pay", "PATCH")), 201);
  EXPECT_EQ(StatusOf(Post("", "x", "", "/pay", "PATCH")), 400);
}

TEST_F(IdempotentProxy, WhileTheFirstRunsTheSecondIsRefused) {
  StartWith(RouteIdempotency::kOptional);
  answer_ = [](int) -> Answer { return {.bytes = Ok("done"), .before = milliseconds(500)}; };
  std::string first;
  std::thread thread([&] { first = Post("k"); });
  while (acted() == 0) std::this_thread::yield();
  const std::string second = Post("k");
  EXPECT_EQ(StatusOf(second), 409);
  EXPECT_THAT(second, HasSubstr(R"("reason":"IDEMPOTENCY_KEY_IN_FLIGHT")"));
  const std::string other = Post("k", "other");
  EXPECT_EQ(StatusOf(other), 422);
  EXPECT_THAT(other, HasSubstr(R"(; rel="help")"));
  thread.join();
  EXPECT_EQ(BodyOf(first), "done");
  EXPECT_EQ(BodyOf(Post("k")), "done");
  EXPECT_EQ(acted(), 1u);
}

TEST_F(IdempotentProxy, AnErrorIsAnAnswerButNotOneThatSaysTryAgain) {
  StartWith(RouteIdempotency::kOptional);
  struct Row {
    int status;
    bool kept;
  };
  for (const Row& row : std::initializer_list<Row>{{400, true},
                                                   {402, true},
                                                   {404, true},
                                                   {409, true},
                                                   {500, true},
                                                   {302, true},
                                                   {408, false},
                                                   {425, false},
                                                   {429, false},
                                                   {502, false},
                                                   {503, false},
                                                   {504, false}}) {
    answer_ = [&](int) -> Answer {
      return {fmt::format("HTTP/1.1 {} X\r\nContent-Length: 3\r\n\r\nerr", row.status)};
    };
    const std::string key = fmt::format("k{}", row.status);
    const size_t before = acted();
    EXPECT_EQ(StatusOf(Post(key)), row.status);
    EXPECT_EQ(StatusOf(Post(key)), row.status);
    EXPECT_EQ(acted() - before, row.kept ? 1u : 2u) << row.status;
  }
}

TEST_F(IdempotentProxy, AnAnswerThatDidNotComeFreesTheKey) {
  StartWith(RouteIdempotency::kOptional);
  answer_ = [](int number) -> Answer {
    if (number == 1)
      return {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", .close = true};
    return {Ok("done")};
  };
  EXPECT_EQ(StatusOf(Post("k")), 503);
  EXPECT_EQ(BodyOf(Post("k")), "done");
  EXPECT_EQ(acted(), 2u);
}

TEST_F(IdempotentProxy, EachCallerHasItsOwnKeys) {
  StartWith(RouteIdempotency::kOptional);
  EXPECT_EQ(BodyOf(Post("k")), "p1");
  EXPECT_EQ(BodyOf(Post("k", "1 EUR", "Authorization: Bearer ada\r\n")), "p2");
  EXPECT_EQ(BodyOf(Post("k", "1 EUR", "Authorization: Bearer reader\r\n")), "p3");
  EXPECT_EQ(BodyOf(Post("k", "2 EUR", "Authorization: Bearer ada\r\n")).substr(0, 1), "{");
  EXPECT_EQ(BodyOf(Post("k", "1 EUR", "Authorization: Bearer ada\r\n")), "p2");
}

TEST_F(IdempotentProxy, AKeyEndsAfterItsTime) {
  StartWith(RouteIdempotency::kOptional);
  EXPECT_EQ(BodyOf(Post("k")), "p1");
  clock_.Advance(std::chrono::hours(23));
  EXPECT_EQ(BodyOf(Post("k")), "p1");
  clock_.Advance(std::chrono::hours(2));
  EXPECT_EQ(BodyOf(Post("k")), "p2");
}

TEST_F(IdempotentProxy, AnAnswerAboveTheBoundGoesOutOnceAndIsNotDoneAgain) {
  StartWith(RouteIdempotency::kOptional);
  std::string large(Once::kMostKept, 'x');
  answer_ = [&](int) -> Answer { return {Ok(large)}; };
  EXPECT_EQ(BodyOf(Post("fits")).size(), large.size());
  EXPECT_EQ(BodyOf(Post("fits")).size(), large.size());
  EXPECT_EQ(acted(), 1u);
  large += 'x';
  const std::string first = Post("k");
  EXPECT_EQ(BodyOf(first).size(), large.size());
  EXPECT_THAT(first, HasSubstr("traceparent: ")) << "streamed, and all the same told of";
  std::string again;
  do {
    again = Post("k");  // its client may have it all a moment before it is kept
  } while (again.find("IN_FLIGHT") != std::string::npos);
  EXPECT_EQ(StatusOf(again), 409);
  EXPECT_THAT(again, HasSubstr("256 KiB"));
  EXPECT_EQ(acted(), 2u);
}

TEST_F(IdempotentProxy, AClientThatGoesAwayFindsTheAnswerWhenItAsksAgain) {
  StartWith(RouteIdempotency::kOptional);
  answer_ = [](int) -> Answer { return {.bytes = Ok("done"), .before = milliseconds(400)}; };
  {
    http::RawSocket gone(port_);
    gone.Send(PostOf("k"));
    while (acted() == 0) std::this_thread::yield();
  }
  std::string again;
  do {
    again = Post("k");
  } while (StatusOf(again) == 409);
  EXPECT_EQ(BodyOf(again), "done");
  EXPECT_THAT(again, HasSubstr("Idempotent-Replayed: true\r\n"));
  EXPECT_EQ(acted(), 1u);
}

TEST_F(IdempotentProxy, AChangeOnACachedRouteMakesOldWhatIsKeptOfIt) {
  RouteConfig route = Route("/item", "up");
  route.cache = true;
  route.idempotency = RouteIdempotency::kOptional;
  Start({{"up", To({up_.address()})}}, {route});
  answer_ = [](int number) -> Answer {
    return {Ok(std::to_string(number), "Cache-Control: public, max-age=100\r\n")};
  };
  EXPECT_EQ(BodyOf(Get("/item")), "1");
  EXPECT_EQ(BodyOf(Get("/item")), "1");
  const std::string post =
      "POST /item HTTP/1.1\r\nHost: shop.example\r\nIdempotency-Key: k\r\nContent-Length: "
      "0\r\n\r\n";
  EXPECT_EQ(BodyOf(Ask(post)), "2");
  EXPECT_EQ(BodyOf(Get("/item")), "3");
  EXPECT_EQ(BodyOf(Ask(post)), "2") << "what is given again changed nothing";
  EXPECT_EQ(BodyOf(Get("/item")), "3");
}

TEST(StoredAnswer, IsReadAsItWasWritten) {
  http::Response response;
  response.status = 418;
  response.headers.Add("a", "1: x");
  response.headers.Add("a", "");
  response.body = std::string("\n\0\nbody", 7);
  const auto read = ReadAnswer(WriteAnswer(response));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->status, 418);
  EXPECT_EQ(read->headers.Joined("a"), "1: x, ");
  EXPECT_EQ(read->body, response.body);
  for (const char* bad : {"", "200", "x\n\n", "200\na\n\n", "200\na: b\n"})
    EXPECT_FALSE(ReadAnswer(bad)) << bad;
}

}  // namespace
}  // namespace starling::gateway
