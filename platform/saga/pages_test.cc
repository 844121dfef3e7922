#include "platform/saga/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "platform/base/id.h"
#include "platform/saga/engine.h"

namespace starling::saga {
namespace {

using testing::HasSubstr;
using testing::Not;

class SagaPagesTest : public testing::Test {
 protected:
  SagaPagesTest() {
    std::filesystem::create_directories(folder_);
    database_ = *sql::Database::Open({.path = folder_ / "t.sqlite"}, {});
    engine_ = *Engine::Open("orders", *database_, runtime_, telemetry_, clock_,
                            {.directory = &directory_});
    const auto good = [](StepContext&, State&) -> Task<Status> { co_return OkStatus(); };
    EXPECT_TRUE(engine_->Add({.name = "buy", .steps = {{.name = "reserve", .action = good}}}).ok());
    EXPECT_TRUE(engine_
                    ->Add({.name = "fail",
                           .steps = {{.name = "reserve", .action = good, .compensation = good},
                                     {.name = "pay",
                                      .action = [](StepContext&, State&) -> Task<Status> {
                                        co_return FailedPrecondition("<b>no</b> money");
                                      }},
                                     {.name = "ship", .action = good}}})
                    .ok());
    EXPECT_TRUE(AddSagaRoutes(router_, directory_).ok());
    engine_->Work();
    Run("buy", "order-1");
    clock_.Advance(std::chrono::seconds(1));
    Run("fail", "order-2");
  }
  ~SagaPagesTest() override {
    engine_.reset();
    runtime_.Stop();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Run(std::string_view saga, const std::string& id) {
    EXPECT_TRUE(database_
                    ->WriteSync([&](sql::Transaction& transaction) {
                      return engine_->Start(transaction, saga, id, {"the secret state"});
                    })
                    .ok());
    EXPECT_TRUE(Ended(runtime_.Block(engine_->Wait(id, std::chrono::seconds(30)))->phase));
  }
  http::Response Get(const std::string& path, const std::string& query = "",
                     std::string_view accept = "text/html") {
    http::DetachedExchange exchange;
    exchange.request.path = path;
    exchange.request.query = query;
    exchange.request.headers.Set("accept", accept);
    runtime_.Block(router_.Handle(exchange));
    return exchange.response;
  }
  std::string Json(const std::string& path, const std::string& query = "") {
    return Get(path, query, "application/json").body;
  }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / NewId();
  FakeClock clock_{*ParseRfc3339("2026-01-02T03:04:05Z")};
  telemetry::Telemetry telemetry_;
  Directory directory_;
  http::Router router_;
  Runtime runtime_{{.io_threads = 1}};
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(SagaPagesTest, ListsTheNewestRunsFirst) {
  const http::Response page = Get("/sagas");
  EXPECT_EQ(page.status, 200);
  EXPECT_LT(page.body.find("order-2"), page.body.find("order-1"));
  EXPECT_THAT(page.body, HasSubstr(R"(<a href="/sagas/order-1?service=orders">order-1</a>)"));
  EXPECT_THAT(page.body, HasSubstr("2026-01-02T03:04:06Z"));
  EXPECT_THAT(page.body, HasSubstr("&lt;b&gt;no&lt;/b&gt; money"));
  EXPECT_THAT(page.body, Not(HasSubstr("{{")));
}

TEST_F(SagaPagesTest, FiltersAndSaysWhichFilterIsWrong) {
  const auto shown = [&](const std::string& query) {
    const std::string json = Json("/sagas", query);
    return std::string(json.find("order-1") != std::string::npos ? "1" : "") +
           (json.find("order-2") != std::string::npos ? "2" : "");
  };
  EXPECT_EQ(shown(""), "12");
  EXPECT_EQ(shown("saga=buy"), "1");
  EXPECT_EQ(shown("phase=compensated"), "2");
  EXPECT_EQ(shown("phase="), "12");
  EXPECT_EQ(shown("stuck=1"), "");
  EXPECT_EQ(shown("service=orders"), "12");
  EXPECT_EQ(shown("service=other"), "");
  EXPECT_EQ(shown("limit=1"), "2");
  EXPECT_EQ(Get("/sagas", "phase=done").status, 400);
  EXPECT_EQ(Get("/sagas", "limit=0").status, 400);
  EXPECT_EQ(Get("/sagas", "limit=1x").status, 400);
}

TEST_F(SagaPagesTest, ShowsEachStepOfARun) {
  const std::string page = Get("/sagas/order-2").body;
  EXPECT_THAT(page, HasSubstr("fail/order-2/reserve/c"));
  EXPECT_THAT(page, HasSubstr("undo reserve"));
  EXPECT_THAT(page, HasSubstr("FAILED_PRECONDITION: &lt;b&gt;no&lt;/b&gt; money"));
  EXPECT_THAT(page, HasSubstr("Never begun: ship"));
  EXPECT_THAT(page, Not(HasSubstr("the secret state")));
  EXPECT_EQ(Get("/sagas/order-3").status, 404);
  EXPECT_EQ(Get("/sagas/order-2", "service=other").status, 404);
}

TEST_F(SagaPagesTest, GivesJsonToWhoAcceptsNoPage) {
  EXPECT_EQ(Json("/sagas/order-1"),
            R"({"id":"order-1","service":"orders","saga":"buy","version":1,"phase":"completed",)"
            R"("stuck":false,"step":0,"startedAt":"2026-01-02T03:04:05Z",)"
            R"("updatedAt":"2026-01-02T03:04:05Z","endedAt":"2026-01-02T03:04:05Z",)"
            R"("steps":[{"name":"reserve","compensation":false,"phase":"done","attempts":1,)"
            R"("startedAt":"2026-01-02T03:04:05Z","endedAt":"2026-01-02T03:04:05Z",)"
            R"("key":"buy/order-1/reserve"}]})");
  EXPECT_THAT(Json("/sagas"), HasSubstr(R"("error":"FAILED_PRECONDITION: pay: <b>no</b> money")"));
  EXPECT_THAT(Get("/sagas", "", "text/html, application/json;q=0.9").body, HasSubstr("<html"));
}

TEST_F(SagaPagesTest, AnEngineThatIsGoneIsNotListed) {
  engine_.reset();
  EXPECT_THAT(Get("/sagas").body, HasSubstr("No runs."));
}

}  // namespace
}  // namespace starling::saga
