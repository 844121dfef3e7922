// What happens to a store when its server dies, hangs, is full or is not what was asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/storage/kv/redis/redis_store.h"
#include "platform/storage/kv/redis/server_check.h"
#include "platform/storage/kv/redis/test_server.h"

namespace starling::kv {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class RedisFault : public testing::Test {
 protected:
  std::shared_ptr<redis::Client> Client(redis::Options options = {}) {
    if (options.url.addresses.empty()) options.url = server_.url();
    return std::make_shared<redis::Client>(std::move(options), runtime_);
  }
  std::unique_ptr<Store> Open(redis::Options options = {}) {
    auto store = OpenRedis(Client(std::move(options)), {.name = name_});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  Status Put(Store& store, std::string_view key, std::string_view value) {
    return runtime_.Block(store.Put(key, value));
  }
  StatusOr<std::optional<std::string>> Get(Store& store, std::string_view key) {
    return runtime_.Block(store.Get(key));
  }
  // Until the connection of each io thread is back, as a caller does that comes again.
  void WaitUntilItAnswers(Store& store) {
    const Instant until = std::chrono::steady_clock::now() + seconds(30);
    for (int answers = 0; answers < 4 && std::chrono::steady_clock::now() < until;) {
      if (const auto value = Get(store, "any"); value.ok()) {
        ++answers;
      } else {
        EXPECT_EQ(value.status().code(), StatusCode::kUnavailable) << value.status();
        answers = 0;
        std::this_thread::sleep_for(milliseconds(10));
      }
    }
  }

  TestRedis& server_ = TestRedis::Get();
  Runtime runtime_{{.io_threads = 2}};
  const std::string name_ = "test/" + NewId();
};

TEST_F(RedisFault, EveryAcknowledgedWriteSurvivesKillNineAndCallsComeBack) {
  const auto store = Open();
  std::atomic<bool> stop = false;
  std::atomic<int> acknowledged_count = 0;
  std::mutex mutex;
  std::map<std::string, std::string> acknowledged;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; !stop; ++n) {
        const std::string key = fmt::format("{}/{}", i, n);
        const Status status = Put(*store, key, key);
        if (status.ok()) {
          ++acknowledged_count;
          const std::lock_guard lock(mutex);
          acknowledged[key] = key;
        } else {
          EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
          std::this_thread::sleep_for(milliseconds(1));
        }
      }
    });
  }
  const auto wait_for_more = [&](int more) {
    const int until = acknowledged_count + more;
    const Instant limit = std::chrono::steady_clock::now() + seconds(30);
    while (acknowledged_count < until && std::chrono::steady_clock::now() < limit)
      std::this_thread::sleep_for(milliseconds(1));
    EXPECT_GE(acknowledged_count, until) << "writes did not go on";
  };
  for (int round = 0; round < 3; ++round) {
    wait_for_more(100);
    ASSERT_TRUE(server_.Kill().ok());
    ASSERT_TRUE(server_.StartAgain().ok());
  }
  wait_for_more(100);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  WaitUntilItAnswers(*store);
  for (const auto& [key, value] : acknowledged) EXPECT_EQ(Get(*store, key).value(), value);
  EXPECT_TRUE(runtime_.Block(store->Check()).ok());
}

TEST_F(RedisFault, WhileTheServerIsAwayCallsFailAndNameIt) {
  const auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  ASSERT_TRUE(server_.Kill().ok());
  for (int i = 0; i < 50; ++i) {
    const Status status = Put(*store, "b", "2");
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(server_.url().addresses[0].ToString()));
    EXPECT_TRUE(RetryAfter(status).has_value());
    EXPECT_EQ(Get(*store, "a").status().code(), StatusCode::kUnavailable);
  }
  ASSERT_TRUE(server_.StartAgain().ok());
  WaitUntilItAnswers(*store);
  EXPECT_TRUE(Put(*store, "c", "3").ok());
  EXPECT_EQ(Get(*store, "a").value(), "1");
  EXPECT_EQ(Get(*store, "b").value(), std::nullopt);
}

TEST_F(RedisFault, AServerThatHangsIsGivenUpAndUsedAgain) {
  const auto store = Open({.url = server_.url(),
                           .connect_timeout = milliseconds(200),
                           .call_timeout = milliseconds(200)});
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  ASSERT_TRUE(server_.Pause().ok());
  // Both of a call under way, and of those that come behind it.
  for (int i = 0; i < 20; ++i) {
    const Status status = Put(*store, "b", "2");
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("has not answered within 200ms"));
  }
  ASSERT_TRUE(server_.Resume().ok());
  WaitUntilItAnswers(*store);
  EXPECT_TRUE(Put(*store, "c", "3").ok());
  EXPECT_EQ(Get(*store, "a").value(), "1");
}

TEST_F(RedisFault, WaitingCallsAreBounded) {
  const auto store = Open({.url = server_.url(), .call_timeout = seconds(20), .max_waiting = 4});
  ASSERT_TRUE(server_.Pause().ok());
  std::atomic<int> overloaded = 0, done = 0;
  for (int i = 0; i < 10; ++i) {
    Spawn(runtime_.executor(0), [](Store& store, auto& overloaded, auto& done) -> Task<void> {
      const StatusOr<std::optional<std::string>> value = co_await store.Get("a");
      if (Reason(value.status()) == reason::kOverloaded) ++overloaded;
      ++done;
    }(*store, overloaded, done));
  }
  while (done < 6) std::this_thread::sleep_for(milliseconds(1));
  ASSERT_TRUE(server_.Resume().ok());
  while (done < 10) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(overloaded, 6);
}

TEST_F(RedisFault, AFullServerRefusesPutsAndTakesDeletions) {
  const auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  ASSERT_TRUE(Put(*store, "b", "1").ok());
  server_.Tell({"CONFIG", "SET", "maxmemory", "1"});
  Batch mixed;
  mixed.Delete("a").Put("c", "3");
  const Status status = runtime_.Block(store->Apply(mixed, Durability::kSynced));
  const Status deleted = runtime_.Block(store->Delete("b"));
  const auto kept = Get(*store, "a");
  server_.Tell({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("maxmemory"));
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(kept.value(), "1") << "nothing of the batch";
  EXPECT_EQ(Get(*store, "b").value(), std::nullopt);
  EXPECT_EQ(Get(*store, "c").value(), std::nullopt);
  EXPECT_TRUE(Put(*store, "c", "3").ok());
}

TEST_F(RedisFault, ScriptsThatTheServerForgotAreSentAgain) {
  const auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  server_.Tell({"SCRIPT", "FLUSH"});
  EXPECT_TRUE(Put(*store, "b", "2").ok());
}

TEST_F(RedisFault, AServerThatForgetsIsRefusedUnlessConfiguredSo) {
  server_.Tell({"CONFIG", "SET", "appendonly", "no"});
  const auto refused = OpenRedis(Client(), {.name = name_});
  const auto accepted = OpenRedis(Client(), {.name = name_, .keeps = RedisKeeps::kNothing});
  server_.Tell({"CONFIG", "SET", "appendonly", "yes"});
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("appendonly yes"));
  EXPECT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(OpenRedis(Client(), {.name = name_, .keeps = RedisKeeps::kAlways}).status().code(),
            StatusCode::kFailedPrecondition)
      << "appendfsync is everysec";
  server_.Tell({"CONFIG", "SET", "appendfsync", "always"});
  const auto synced = OpenRedis(Client(), {.name = name_, .keeps = RedisKeeps::kAlways});
  server_.Tell({"CONFIG", "SET", "appendfsync", "everysec"});
  EXPECT_TRUE(synced.ok()) << synced.status();
}

TEST_F(RedisFault, ThePasswordIsAskedForAndNeverShown) {
  server_.Tell({"ACL", "SETUSER", "ada", "on", ">sesame", "~*", "&*", "+@all"});
  redis::Url url = server_.url();
  url.user = "ada";
  url.password = "sesame";
  const auto let_in = OpenRedis(Client({.url = url}), {.name = name_});
  EXPECT_TRUE(let_in.ok()) << let_in.status();
  url.password = "sesamo";
  const auto refused = OpenRedis(Client({.url = url}), {.name = name_});
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("WRONGPASS"));
  EXPECT_THAT(std::string(refused.status().message()), Not(HasSubstr("sesam")));
}

TEST_F(RedisFault, DatabasesDoNotMeet) {
  redis::Url url = server_.url();
  url.database = 3;
  const auto store = Open(), other = Open({.url = url});
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  EXPECT_EQ(Get(*other, "a").value(), std::nullopt);
}

TEST_F(RedisFault, WhatAnotherProgramWroteIsDataLoss) {
  const auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  server_.Tell({"HSET", "{" + name_ + "}:values", "a", "\x07nonsense"});
  EXPECT_EQ(Get(*store, "a").status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(runtime_.Block(store->Scan({})).status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  EXPECT_TRUE(runtime_.Block(store->Check()).ok());
  server_.Tell({"HSET", "{" + name_ + "}:values", "b", "x"});
  const Status status = runtime_.Block(store->Check());
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 values, but 1 keys"));
}

TEST_F(RedisFault, WhatHasExpiredIsRemovedByLaterWrites) {
  FakeClock clock(*ParseRfc3339("2026-01-02T03:04:05Z"));
  const auto store = OpenRedis(Client(), {.name = name_}, clock).value();
  Batch batch;
  for (int i = 0; i < 40; ++i) batch.Put(fmt::format("{}", i), "x", seconds(1));
  batch.Put("kept", "x", seconds(60)).Put("0", "for ever");
  ASSERT_TRUE(runtime_.Block(store->Apply(batch, Durability::kBuffered)).ok());
  EXPECT_EQ(server_.Tell({"HLEN", "{" + name_ + "}:values"}), "41");
  clock.Advance(seconds(2));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Put(*store, "other", "x").ok());
  EXPECT_EQ(server_.Tell({"HLEN", "{" + name_ + "}:values"}), "3");
  EXPECT_EQ(server_.Tell({"ZCARD", "{" + name_ + "}:order"}), "3");
  EXPECT_EQ(server_.Tell({"ZCARD", "{" + name_ + "}:expiry"}), "1");
  EXPECT_EQ(Get(*store, "0").value(), "for ever");
}

TEST_F(RedisFault, ACallMayComeFromAThreadThatIsNotTheRuntimes) {
  const auto store = Open();
  EXPECT_TRUE(RunSync(store->Put("a", "1")).ok());
  EXPECT_EQ(RunSync(store->Get("a")).value(), "1");
}

TEST(RedisServer, IsCheckedForWhatItKeeps) {
  const std::string good =
      "# Server\r\nredis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string info = good;
    info.replace(info.find(from), from.size(), to);
    return info;
  };
  struct Row {
    std::string info;
    std::string_view appendfsync;
    RedisKeeps keeps;
    std::string_view says;  // "": good
  };
  const Row rows[] = {
      {good, "everysec", RedisKeeps::kEverySecond, ""},
      {good, "", RedisKeeps::kEverySecond, ""},
      {good, "always", RedisKeeps::kAlways, ""},
      {good, "everysec", RedisKeeps::kAlways, "appendfsync everysec"},
      {good, "", RedisKeeps::kAlways, "cannot be asked"},
      {with("aof_enabled:1", "aof_enabled:0"), "", RedisKeeps::kEverySecond, "appendonly yes"},
      {with("aof_enabled:1", "aof_enabled:0"), "", RedisKeeps::kNothing, ""},
      {with("noeviction", "allkeys-lru"), "", RedisKeeps::kEverySecond, "allkeys-lru"},
      {with("noeviction", "volatile-ttl"), "", RedisKeeps::kEverySecond, ""},
      {with("7.0.15", "6.2.1"), "", RedisKeeps::kNothing, "version 6.2.1"},
      {"", "", RedisKeeps::kNothing, "version 7 is needed"},
  };
  for (const Row& row : rows) {
    const Status status = CheckRedisServer(row.info, row.appendfsync, row.keeps, "Redis");
    EXPECT_EQ(status.ok(), row.says.empty()) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(row.says)));
  }
}

}  // namespace
}  // namespace starling::kv
