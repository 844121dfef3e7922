// A process whose tables are on PostgreSQL does what one on SQLite does; two may share them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/profile/v1/profile.service.h"
#include "platform/storage/sql/postgres/test_server.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using testing_support::RunningProcess;

class OnPostgres : public testing::Test {
 protected:
  config::Sources::Pairs Settings() const { return {{"storage.sql.url", url_}}; }

  StatusOr<http::ClientResponse> Send(RunningProcess& process, http::Verb verb,
                                      const std::string& path, const std::string& body,
                                      const std::string& idempotency_key = "") {
    http::ClientRequest request{
        .verb = verb, .url = process.url() + path, .headers = {}, .body = body};
    request.headers.Set("authorization", "Bearer " + key_);
    request.headers.Set("content-type", "application/json");
    if (!idempotency_key.empty()) request.headers.Set("idempotency-key", idempotency_key);
    return process.process().runtime().Block(process.client().Send(std::move(request)));
  }
  int Code(RunningProcess& process, http::Verb verb, const std::string& path,
           const std::string& body = "") {
    const auto response = Send(process, verb, path, body);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->status : 0;
  }

  const std::string url_ = sql::TestServer::Get().MakeDatabase();
  std::string key_;
};

TEST_F(OnPostgres, WhatWasWrittenIsThereForTheNextProcessWithAnEmptyDataFolder) {
  std::string etag, answer;
  {
    RunningProcess first(Settings());
    ASSERT_TRUE(first.status().ok()) << first.status();
    key_ = first.admin_key();
    ASSERT_FALSE(key_.empty());
    const auto put = Send(first, http::Verb::kPut, "/v1/products/bread", R"({"title":"Bread"})");
    ASSERT_TRUE(put.ok() && put->status == 200) << put->body;
    etag = put->headers.Find("etag").value_or("");
    EXPECT_EQ(Code(first, http::Verb::kPatch, "/v1/users/ada", R"({"display_name":"Ada"})"), 200);
    const auto once = Send(first, http::Verb::kPost, "/v1/products",
                           R"({"product_id":"once","title":"Once"})", "key-1");
    ASSERT_TRUE(once.ok()) << once.status();
    answer = once->body;
    EXPECT_FALSE(std::filesystem::exists(first.folder() / "catalog" / "catalog.sqlite"));
  }
  RunningProcess second(Settings());
  ASSERT_TRUE(second.status().ok()) << second.status();
  EXPECT_EQ(second.admin_key(), "") << "there was one already";
  const auto got = Send(second, http::Verb::kGet, "/v1/products/bread", "");
  ASSERT_TRUE(got.ok() && got->status == 200) << got->body;
  EXPECT_EQ(got->headers.Find("etag").value_or(""), etag);
  EXPECT_EQ(Code(second, http::Verb::kGet, "/v1/users/ada"), 200);
  const auto again = Send(second, http::Verb::kPost, "/v1/products",
                          R"({"product_id":"once","title":"Once"})", "key-1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->body, answer) << "the idempotency key is known";
}

TEST_F(OnPostgres, TwoProcessesWriteSideBySideAndNoneOverwritesTheOther) {
  RunningProcess first(Settings());
  ASSERT_TRUE(first.status().ok()) << first.status();
  key_ = first.admin_key();
  RunningProcess second(Settings());
  ASSERT_TRUE(second.status().ok()) << second.status();
  ASSERT_EQ(Code(first, http::Verb::kPut, "/v1/products/bread", R"({"title":"Bread"})"), 200);
  // Made by the one, the other refuses to make it again: what decides is the database.
  EXPECT_EQ(
      Code(second, http::Verb::kPost, "/v1/products", R"({"product_id":"bread","title":"Other"})"),
      409);
  EXPECT_EQ(Code(second, http::Verb::kPatch, "/v1/users/ada", R"({"display_name":"Ada"})"), 200);
  EXPECT_EQ(Code(first, http::Verb::kGet, "/v1/users/ada"), 200);
}

TEST_F(OnPostgres, AServiceMayHaveItsTablesElsewhere) {
  const std::string elsewhere = sql::TestServer::Get().MakeDatabase();
  config::Sources::Pairs settings = Settings();
  settings.emplace_back("storage.sql.services.profile.url", elsewhere);
  RunningProcess process(settings);
  ASSERT_TRUE(process.status().ok()) << process.status();
  key_ = process.admin_key();
  ASSERT_EQ(Code(process, http::Verb::kPatch, "/v1/users/ada", R"({"display_name":"Ada"})"), 200);
  sql::TestServer::Run(elsewhere, "DELETE FROM profile.users");
  EXPECT_EQ(Code(process, http::Verb::kGet, "/v1/users/ada"), 404);
}

TEST_F(OnPostgres, WhatCannotBeReachedStopsTheStartAndIsNamed) {
  RunningProcess process(
      config::Sources::Pairs{{"storage.sql.url", "postgresql://u:topsecret@127.0.0.1:1/shop"}});
  EXPECT_EQ(process.status().code(), StatusCode::kUnavailable) << process.status();
  EXPECT_THAT(std::string(process.status().message()), testing::HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(std::string(process.status().message()),
              testing::Not(testing::HasSubstr("topsecret")));
}

}  // namespace
}  // namespace starling
