// What the adapter needs of a server, and what it does when that is not there.
#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "platform/async/runtime.h"
#include "platform/storage/sql/postgres/test_server.h"
#include "platform/storage/vector/pgvector/extension.h"
#include "platform/storage/vector/pgvector/pgvector_store.h"

namespace starling::vector {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Batch One(float value) {
  Batch batch(2);
  batch.Add("a", std::vector<float>{value, 0});
  return batch;
}

TEST(PgVector, KnowsWhichVersionsHaveHnsw) {
  for (const char* version : {"0.5.0", "0.5", "0.6.2", "0.10.0", "1.0", "1"})
    EXPECT_TRUE(IsNewEnough(version)) << version;
  for (const char* version : {"0.4.4", "0.4", "0", "", "new"})
    EXPECT_FALSE(IsNewEnough(version)) << version;
}

TEST(PgVector, AnOldExtensionIsRefusedAndSaysWhatToDo) {
  sql::TestServer& server = sql::TestServer::Get();
  const std::string url = server.MakeDatabase();
  server.Run(url, "CREATE EXTENSION vector");
  server.Run(url, "UPDATE pg_extension SET extversion = '0.4.4' WHERE extname = 'vector'");
  const Status old = OpenPgVector({.url = url}).status();
  EXPECT_EQ(old.code(), StatusCode::kFailedPrecondition) << old;
  EXPECT_THAT(std::string(old.message()), HasSubstr("pgvector 0.4.4"));
  EXPECT_THAT(std::string(old.message()), HasSubstr("ALTER EXTENSION vector UPDATE"));
}

TEST(PgVector, AUserWhoMayNotMakeTheExtensionIsToldWhoMust) {
  sql::TestServer& server = sql::TestServer::Get();
  std::string url = server.MakeDatabase();
  const std::string database = url.substr(url.rfind('/') + 1);
  server.Run(url, "DROP ROLE IF EXISTS plain");
  server.Run(url, "CREATE ROLE plain LOGIN");
  server.Run(url, "CREATE SCHEMA vectors AUTHORIZATION plain");
  std::string as_plain = url;
  as_plain.replace(as_plain.find("starling@"), 8, "plain");
  const Status refused = OpenPgVector({.url = as_plain}).status();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("CREATE EXTENSION vector;"));
  // Once it is there, in whatever schema, such a user needs no more.
  server.Run(url, "CREATE SCHEMA \"Odd one\"");
  server.Run(url, "CREATE EXTENSION vector SCHEMA \"Odd one\"");
  server.Run(url, "GRANT USAGE ON SCHEMA \"Odd one\" TO plain");
  Runtime runtime({.io_threads = 1});
  const auto store = OpenPgVector({.url = as_plain});
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(runtime.Block((*store)->Replace("c", {.dimension = 2}, One(3))).ok());
  const std::vector<float> query = {1, 0};
  EXPECT_EQ(runtime.Block((*store)->Nearest("c", {.values = query})).value(),
            (std::vector<Hit>{{"a", 3}}));
}

TEST(PgVector, TwoProcessesShareCollectionsAndMayStartAtOnce) {
  const std::string url = sql::TestServer::Get().MakeDatabase();
  auto opening = std::async(std::launch::async, [&] { return OpenPgVector({.url = url}); });
  const auto first = OpenPgVector({.url = url});
  const auto second = opening.get();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  Runtime runtime({.io_threads = 1});
  ASSERT_TRUE(runtime.Block((*first)->Replace("c", {.dimension = 2}, One(3))).ok());
  EXPECT_THAT(runtime.Block((*second)->List()).value(), ElementsAre("c"));
  ASSERT_TRUE(runtime.Block((*second)->Replace("c", {.dimension = 2}, One(5))).ok());
  const std::vector<float> query = {1, 0};
  EXPECT_EQ(runtime.Block((*first)->Nearest("c", {.values = query}))->front().score, 5);
  EXPECT_TRUE((*first)->IsShared());
}

TEST(PgVector, IsUnavailableWhileTheServerIsAwayAndGoesOnAfter) {
  sql::TestServer& server = sql::TestServer::Get();
  Runtime runtime({.io_threads = 1});
  const auto store = *OpenPgVector({.url = server.MakeDatabase()});
  ASSERT_TRUE(runtime.Block(store->Replace("c", {.dimension = 2}, One(3))).ok());
  const std::vector<float> query = {1, 0};
  ASSERT_TRUE(server.Kill().ok());
  EXPECT_EQ(runtime.Block(store->Nearest("c", {.values = query})).status().code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(runtime.Block(store->Replace("c", {.dimension = 2}, One(4))).code(),
            StatusCode::kUnavailable);
  ASSERT_TRUE(server.StartAgain().ok());
  const auto again = [&] { return runtime.Block(store->Nearest("c", {.values = query})); };
  StatusOr<std::vector<Hit>> hits = again();
  for (int i = 0; i < 100 && !hits.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    hits = again();
  }
  ASSERT_TRUE(hits.ok()) << hits.status();
  EXPECT_EQ(*hits, (std::vector<Hit>{{"a", 3}}));
}

}  // namespace
}  // namespace starling::vector
