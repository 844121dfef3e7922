// Limits of routes over real sockets: how often, how many at once, who is refused first.
#include "platform/rpc/route_limits.h"

#include <thread>

#include "platform/gateway/gateway_test_fixture.h"
#include "platform/gateway/proxy_route.h"
#include "platform/rpc/structured_fields.h"

namespace starling::gateway {
namespace {

using http::StatusOf;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using Answer = RawServer::Answer;

constexpr double kSlow = 0.001;  // a token in 1000 s: none comes back while a test runs

// The value of a field of an answer, all its lines as one list.
std::string FieldOf(const std::string& answer, std::string_view name) {
  std::string joined;
  const std::string begin = fmt::format("\r\n{}: ", name);
  const std::string head = answer.substr(0, answer.find("\r\n\r\n"));
  for (size_t at = head.find(begin); at != std::string::npos; at = head.find(begin, at + 1)) {
    const size_t from = at + begin.size();
    if (!joined.empty()) joined += ", ";
    joined += head.substr(from, head.find("\r\n", from) - from);
  }
  return joined;
}

class LimitsOfRoutes : public GatewayTest {
 protected:
  LimitsOfRoutes() { edge_.limits = &limits_; }
  Status SetRoutes(const std::vector<RouteConfig>& routes) {
    auto router = std::make_shared<http::Router>();
    STARLING_RETURN_IF_ERROR(upstreams_.Set({{"up", To({up_.address()})}}));
    STARLING_RETURN_IF_ERROR(AddProxyRoutes(routes, upstreams_, cache_, edge_, *router, &table_));
    if (server_ != nullptr) {
      server_->SetRouter(router);
      return OkStatus();
    }
    server_ = std::make_unique<http::Server>(runtime_, http::ServerOptions{}, router);
    STARLING_ASSIGN_OR_RETURN(port_, server_->Start());
    return OkStatus();
  }
  static RouteConfig Limited(std::string path, int burst, RouteRateLimitConfig::Per per) {
    RouteConfig route = Route(std::move(path), "up");
    route.rate_limit = {.requests_per_second = kSlow, .burst = burst, .per = per};
    return route;
  }
  int Admitted(std::string_view path, std::string_view fields = "") {
    int admitted = 0;
    for (int i = 0; i < 6; ++i) admitted += StatusOf(Get(path, fields)) == 200 ? 1 : 0;
    return admitted;
  }

  using Per = RouteRateLimitConfig::Per;
  std::atomic<int> milliseconds_{0};
  RawServer up_{[this](const std::string&, int) -> Answer {
    return {.bytes = Ok("x"), .before = milliseconds(milliseconds_.load())};
  }};
  rpc::GatewayLimits limits_{{.requests = rpc::RateLimiter::Limit{kSlow, 100}},
                             telemetry_.metrics()};
  RouteTable table_;
};

TEST_F(LimitsOfRoutes, EachRouteCountsForItselfByWhatItsLimitIsPer) {
  ASSERT_TRUE(SetRoutes({Limited("/caller", 2, Per::kCaller), Limited("/all", 3, Per::kAll),
                         Limited("/address", 4, Per::kAddress), Route("/free", "up")})
                  .ok());
  EXPECT_EQ(Admitted("/caller"), 2);
  EXPECT_EQ(Admitted("/caller", "Authorization: Bearer ada\r\n"), 2);
  EXPECT_EQ(Admitted("/all"), 3);
  EXPECT_EQ(Admitted("/all", "Authorization: Bearer ada\r\n"), 0);
  EXPECT_EQ(Admitted("/address"), 4);
  EXPECT_EQ(Admitted("/address", "Authorization: Bearer ada\r\n"), 0);
  EXPECT_EQ(Admitted("/free"), 6);
}

TEST_F(LimitsOfRoutes, ARefusalIsAProblemThatNamesThePolicyAndTheFieldsNameAll) {
  ASSERT_TRUE(SetRoutes({Limited("/all", 1, Per::kAll)}).ok());
  const std::string good = Get("/all");
  EXPECT_EQ(StatusOf(good), 200);
  const std::string refused = Get("/all");
  EXPECT_EQ(StatusOf(refused), 429);
  EXPECT_THAT(refused, HasSubstr("#quota-exceeded"));
  EXPECT_THAT(refused, HasSubstr(R"("violated-policies":["/all"])"));
  EXPECT_THAT(refused, HasSubstr("\r\nRetry-After: 1000\r\n"));
  for (const std::string& answer : {good, refused}) {
    const auto policies = rpc::ParseSfList(FieldOf(answer, "RateLimit-Policy"));
    const auto now = rpc::ParseSfList(FieldOf(answer, "RateLimit"));
    ASSERT_TRUE(policies && now) << answer;
    ASSERT_EQ(policies->size(), 2u) << answer;
    ASSERT_EQ(now->size(), 2u) << answer;
    EXPECT_EQ(policies->at(0).value, "\"requests\"");
    EXPECT_EQ(now->at(1).value, "\"/all\"");
    EXPECT_EQ(now->at(1).parameters.at("r"), "0");
    // Of a refusal, the one that refuses alone has a time.
    EXPECT_EQ(now->at(0).parameters.count("t"), answer == good ? 1u : 0u);
    // What Retry-After says, and not sooner.
    EXPECT_EQ(now->at(1).parameters.at("t"), "1000");
  }
}

TEST_F(LimitsOfRoutes, WhoMayNotAskTakesNoTokenOfTheRoute) {
  RouteConfig route = Limited("/all", 2, Per::kAll);
  route.access = "user";
  ASSERT_TRUE(SetRoutes({route}).ok());
  EXPECT_EQ(StatusOf(Get("/all")), 401);
  EXPECT_EQ(StatusOf(Get("/all", "Authorization: Bearer reader\r\n")), 403);
  EXPECT_EQ(Admitted("/all", "Authorization: Bearer ada\r\n"), 2);
}

TEST_F(LimitsOfRoutes, AChangeOfOtherThingsForgetsNoBucket) {
  RouteConfig route = Limited("/all", 2, Per::kAll);
  ASSERT_TRUE(SetRoutes({route}).ok());
  EXPECT_EQ(Admitted("/all"), 2);
  route.retries = 0;
  ASSERT_TRUE(SetRoutes({Route("/new", "up"), route}).ok());
  EXPECT_EQ(Admitted("/all"), 0);
  route.rate_limit.burst = 3;
  ASSERT_TRUE(SetRoutes({route}).ok());
  EXPECT_EQ(Admitted("/all"), 3) << "another limit begins with full buckets";
}

TEST_F(LimitsOfRoutes, AsManyRunAtOnceAsMay) {
  RouteConfig route = Route("/few", "up");
  route.max_concurrent = 2;
  ASSERT_TRUE(SetRoutes({route, Route("/free", "up")}).ok());
  milliseconds_ = 1000;
  std::vector<std::thread> threads;
  threads.reserve(2);
  std::atomic<int> answered{0};
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] { answered += StatusOf(Get("/few")) == 200 ? 1 : 0; });
  while (up_.requests().size() < 2) std::this_thread::yield();
  EXPECT_EQ(table_.List()->at(0)->limits->running(), 2);
  const std::string refused = Get("/few");
  EXPECT_EQ(StatusOf(refused), 503);
  EXPECT_THAT(refused, HasSubstr("#temporary-reduced-capacity"));
  EXPECT_THAT(refused, HasSubstr(R"("violated-policies":["/few at once"])"));
  EXPECT_THAT(refused, HasSubstr("\r\nRetry-After: 1\r\n"));
  const auto now = rpc::ParseSfList(FieldOf(refused, "RateLimit"));
  ASSERT_TRUE(now && now->size() == 2u) << refused;
  EXPECT_EQ(now->at(1).value, "\"/few at once\"");
  EXPECT_EQ(up_.requests().size(), 2u);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 2);
  milliseconds_ = 0;
  EXPECT_EQ(StatusOf(Get("/few")), 200);
}

TEST_F(LimitsOfRoutes, TheLeastImportantRouteIsRefusedFirst) {
  resilience::ConcurrencyLimiter ten({.initial = 10, .least = 10, .most = 10});
  edge_.concurrency = &ten;
  RouteConfig bulk = Route("/bulk", "up"), page = Route("/page", "up"), buy = Route("/buy", "up");
  bulk.priority = resilience::Priority::kSheddable;
  buy.priority = resilience::Priority::kCritical;
  ASSERT_TRUE(SetRoutes({bulk, page, buy}).ok());
  std::vector<resilience::ConcurrencyLimiter::Admission> others;
  const auto statuses = [&] {
    return std::vector<int>{StatusOf(Get("/bulk")), StatusOf(Get("/page")), StatusOf(Get("/buy"))};
  };
  const auto busy = [&](size_t count) {
    while (others.size() < count) others.push_back(ten.Admit(resilience::Priority::kCritical));
  };
  EXPECT_EQ(statuses(), (std::vector<int>{200, 200, 200}));
  busy(7);
  EXPECT_EQ(statuses(), (std::vector<int>{503, 200, 200}));
  busy(9);
  EXPECT_EQ(statuses(), (std::vector<int>{503, 503, 200}));
  const std::string refused = Get("/bulk");
  EXPECT_THAT(refused, HasSubstr("#temporary-reduced-capacity"));
  EXPECT_THAT(refused, HasSubstr("\r\nRetry-After: "));
  EXPECT_THAT(refused, Not(HasSubstr("violated-policies"))) << "no policy of the caller's";
}

}  // namespace
}  // namespace starling::gateway
