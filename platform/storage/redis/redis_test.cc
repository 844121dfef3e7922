// The pieces that need no server: URLs, the protocol, slots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/storage/redis/client.h"
#include "platform/storage/redis/reply.h"
#include "platform/storage/redis/slots.h"
#include "platform/storage/redis/url.h"

namespace starling::redis {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RedisUrl, SaysHostsUserAndDatabase) {
  struct Row {
    std::string_view text;
    std::string shown, user, password;
    int database;
  };
  const Row rows[] = {
      {"redis://127.0.0.1:6380", "Redis at 127.0.0.1:6380", "", "", 0},
      {"redis://cache", "Redis at cache:6379", "", "", 0},
      {"redis://cache/", "Redis at cache:6379", "", "", 0},
      {"redis://ada:p%40ss%2f@cache:1/3", "Redis at cache:1", "ada", "p@ss/", 3},
      {"redis://:secret@[::1]:7000/0", "Redis at [::1]:7000", "", "secret", 0},
      {"redis://[::1]", "Redis at [::1]:6379", "", "", 0},
      {"redis://a:1,b,c:3", "Redis at a:1, b:6379, c:3", "", "", 0},
  };
  for (const Row& row : rows) {
    const auto url = ParseUrl(row.text);
    ASSERT_TRUE(url.ok()) << row.text << ": " << url.status();
    EXPECT_EQ(url->Shown(), row.shown);
    EXPECT_EQ(url->user, row.user);
    EXPECT_EQ(url->password, row.password);
    EXPECT_EQ(url->database, row.database);
  }
}

TEST(RedisUrl, WhatIsNoneIsRefusedWithoutItsPassword) {
  const std::string_view urls[] = {"",
                                   "sesame",
                                   "http://u:sesame@h:1",
                                   "rediss://u:sesame@h:1",
                                   "redis://u:sesame@",
                                   "redis://u:sesame@h:99999",
                                   "redis://u:sesame@h:0",
                                   "redis://u:sesame@h:x",
                                   "redis://u:sesame@:6379",
                                   "redis://u:ses@ame@h:1",
                                   "redis://u:sesame%4@h:1",
                                   "redis://u:sesame%zz@h:1",
                                   "redis://sesame@h:1",
                                   "redis://u:sesame@h:1/x",
                                   "redis://u:sesame@h:1/-1",
                                   "redis://u:sesame@h:1,i:2/1",
                                   "redis://u:sesame@h:1,"};
  for (const std::string_view text : urls) {
    const auto url = ParseUrl(text);
    EXPECT_EQ(url.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(url.status().message()), Not(HasSubstr("ame"))) << text;
  }
}

TEST(RedisProtocol, ACommandIsWordsWithTheirSizes) {
  EXPECT_EQ(Command({"SET", "", std::string_view("a\0\r\n", 4)}),
            std::string("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\0\r\n\r\n", 29));
}

TEST(RedisProtocol, RepliesComeInAnyPieces) {
  const std::string_view bytes =
      "+OK\r\n-ERR no\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    ReplyReader reader;
    std::vector<Reply> replies;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      ASSERT_TRUE(reader.Feed(bytes.substr(at, piece)).ok());
      while (true) {
        auto reply = reader.Next();
        ASSERT_TRUE(reply.ok()) << reply.status();
        if (!reply->has_value()) break;
        replies.push_back(**std::move(reply));
      }
    }
    ASSERT_EQ(replies.size(), 6u);
    EXPECT_EQ(replies[0].text(), "OK");
    EXPECT_TRUE(replies[1].is_error());
    EXPECT_EQ(replies[1].text(), "ERR no");
    EXPECT_EQ(replies[2].integer(), -7);
    EXPECT_EQ(replies[3].text(), "a\r\n");
    EXPECT_TRUE(replies[4].is_nil());
    ASSERT_EQ(replies[5].size(), 2u);
    EXPECT_EQ(replies[5][1][0].text(), "x");
    EXPECT_EQ(replies[5].text(), "");
    EXPECT_EQ(replies[0].size(), 0u);
  }
}

TEST(RedisProtocol, OtherBytesAreAnError) {
  ReplyReader reader;
  ASSERT_TRUE(reader.Feed("HTTP/1.1 400 Bad Request\r\n").ok());
  EXPECT_EQ(reader.Next().status().code(), StatusCode::kInternal);
}

TEST(RedisProtocol, AnErrorBecomesTheStatusThatSaysWhatToDo) {
  struct Row {
    std::string_view error;
    StatusCode code;
  };
  const Row rows[] = {
      {"OOM command not allowed when used memory > 'maxmemory'.", StatusCode::kResourceExhausted},
      {"LOADING Redis is loading the dataset in memory", StatusCode::kUnavailable},
      {"CLUSTERDOWN Hash slot not served", StatusCode::kUnavailable},
      {"MASTERDOWN Link with MASTER is down", StatusCode::kUnavailable},
      {"READONLY You can't write against a read only replica.", StatusCode::kUnavailable},
      {"TRYAGAIN Multiple keys request during rehashing of slot", StatusCode::kUnavailable},
      {"MISCONF Errors writing to the AOF file", StatusCode::kUnavailable},
      {"BUSY Redis is busy running a script", StatusCode::kUnavailable},
      {"NOAUTH Authentication required.", StatusCode::kFailedPrecondition},
      {"WRONGPASS invalid username-password pair", StatusCode::kFailedPrecondition},
      {"NOPERM this user has no permissions", StatusCode::kFailedPrecondition},
      {"WRONGTYPE Operation against a key", StatusCode::kInternal},
      {"OOMPH", StatusCode::kInternal},
      {"", StatusCode::kInternal},
  };
  for (const Row& row : rows) {
    const Status status = StatusOfError(row.error, "Redis at h:1");
    EXPECT_EQ(status.code(), row.code) << row.error;
    EXPECT_THAT(std::string(status.message()), HasSubstr("Redis at h:1"));
  }
}

TEST(RedisSlots, AreThoseOfTheSpecification) {
  EXPECT_EQ(SlotOf("123456789"), 0x31c3 % kSlots);  // its appendix: CRC16 is 31C3
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("{user1000}.followers"));
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("user1000"));
  EXPECT_NE(SlotOf("foo{}{bar}"), SlotOf("bar")) << "an empty tag is none";
  EXPECT_EQ(SlotOf("foo{{bar}}zap"), SlotOf("{bar"));
  EXPECT_EQ(SlotOf("foo{bar}{zap}"), SlotOf("bar"));
  EXPECT_EQ(SlotOf(""), 0);
}

TEST(RedisSlots, ARedirectNamesANode) {
  const Address asked{"10.0.0.1", 6379};
  const auto moved = ParseRedirect("MOVED 3999 127.0.0.1:6381", asked);
  ASSERT_TRUE(moved.has_value());
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->node, (Address{"127.0.0.1", 6381}));
  EXPECT_FALSE(moved->ask);
  const auto ask = ParseRedirect("ASK 16383 :7000", asked);
  ASSERT_TRUE(ask.has_value());
  EXPECT_TRUE(ask->ask);
  EXPECT_EQ(ask->node, (Address{"10.0.0.1", 7000})) << "its own host is left out";
  EXPECT_EQ(ParseRedirect("MOVED 1 ::1:7000", asked)->node, (Address{"::1", 7000}));
  for (const std::string_view text :
       {"ERR", "MOVED", "MOVED 3999", "MOVED 16384 h:1", "MOVED -1 h:1", "MOVED x h:1", "MOVED 1 h",
        "MOVED 1 h:0", "ASKING 1 h:1"}) {
    EXPECT_FALSE(ParseRedirect(text, asked).has_value()) << text;
  }
}

TEST(RedisSlots, TheMapIsFilledFromTheClusterAndForgetsANode) {
  ReplyReader reader;
  ASSERT_TRUE(reader
                  .Feed("*3\r\n*3\r\n:0\r\n:100\r\n*2\r\n$1\r\na\r\n:1\r\n"
                        "*3\r\n:101\r\n:16383\r\n*2\r\n$0\r\n\r\n:2\r\n"
                        "*3\r\n:5\r\n:99999\r\n*2\r\n$1\r\nz\r\n:3\r\n")
                  .ok());
  const auto reply = reader.Next();
  ASSERT_TRUE(reply.ok() && reply->has_value());
  SlotMap map;
  EXPECT_EQ(map.Find(0), nullptr);
  map.Fill(**reply, {"asked", 9});
  EXPECT_EQ(*map.Find(100), (Address{"a", 1}));
  EXPECT_EQ(*map.Find(101), (Address{"asked", 2}));
  EXPECT_EQ(map.nodes().size(), 2u);
  map.Set(100, {"b", 4});
  EXPECT_EQ(*map.Find(100), (Address{"b", 4}));
  map.Forget({"a", 1});
  EXPECT_EQ(map.Find(0), nullptr);
  EXPECT_EQ(*map.Find(100), (Address{"b", 4}));
}

TEST(RedisScript, IsKnownByItsSha1) {
  EXPECT_EQ(Script("return 1").sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

}  // namespace
}  // namespace starling::redis
