#include "platform/discovery/etcd/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::discovery::etcd {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(EtcdWireTest, APrefixEndsWhereTheNextBegins) {
  EXPECT_EQ(EndOfPrefix("/a/"), "/a0");
  EXPECT_EQ(EndOfPrefix("a\xff"), "b");
  EXPECT_EQ(EndOfPrefix("\xff\xff"), std::string(1, '\0'));
  EXPECT_EQ(EndOfPrefix(""), std::string(1, '\0'));
}

TEST(EtcdWireTest, WritesWhatItsGatewayReads) {
  EXPECT_EQ(RangeRequest("/s/"), R"({"key":"L3Mv","range_end":"L3Mw"})");
  EXPECT_EQ(GrantRequest(std::chrono::milliseconds(2700)), R"({"TTL":"2"})");
  EXPECT_EQ(GrantRequest(std::chrono::milliseconds(1)), R"({"TTL":"1"})");
  EXPECT_EQ(PutRequest({{"a", "1"}, {"b", ""}}, 7),
            R"({"success":[{"request_put":{"key":"YQ==","value":"MQ==","lease":"7"}},)"
            R"({"request_put":{"key":"Yg==","value":"","lease":"7"}}]})");
}

// Lines as etcd 3.4.23 has sent them.
TEST(EtcdWireTest, ReadsItsAnswers) {
  const auto range = ReadRange(
      R"({"header":{"cluster_id":"27","member_id":"17","revision":"4","raft_term":"2"},)"
      R"("kvs":[{"key":"L3MvYg==","create_revision":"3","mod_revision":"3","version":"1","value":"djI="},)"
      R"({"key":"L3MvYw==","mod_revision":"3"}],"count":"2"})");
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_EQ(range->header.revision, 4);
  EXPECT_EQ(range->header.cluster, "27");
  EXPECT_THAT(range->values, ElementsAre(Pair("/s/b", "v2"), Pair("/s/c", "")));

  EXPECT_EQ(
      ReadGrant(R"({"header":{"revision":"1"},"ID":"4704469551076064262","TTL":"5"})").value(),
      4704469551076064262);
  EXPECT_TRUE(ReadKeepAlive(R"({"result":{"header":{},"ID":"123","TTL":"5"}})").value());
  EXPECT_FALSE(ReadKeepAlive(R"({"result":{"header":{},"ID":"123"}})").value());

  const auto gone = ReadWatch(
      R"({"result":{"header":{"revision":"4"},"events":[{"type":"DELETE","kv":{"key":"L3MvYQ==","mod_revision":"4"}}]}})");
  ASSERT_TRUE(gone.ok()) << gone.status();
  ASSERT_EQ(gone->changes.size(), 1u);
  EXPECT_EQ(gone->changes[0].key, "/s/a");
  EXPECT_FALSE(gone->changes[0].value.has_value());
  const auto forgotten =
      ReadWatch(R"({"result":{"header":{},"canceled":true,"compact_revision":"4"}})");
  EXPECT_TRUE(forgotten->canceled);
  EXPECT_EQ(forgotten->compacted, 4);
  EXPECT_TRUE(ReadWatch(R"({"result":{"header":{"revision":"1"},"created":true}})")->created);
}

TEST(EtcdWireTest, ErrorsKeepEtcdsCode) {
  EXPECT_EQ(ReadError(404, R"({"error":"e","message":"lease not found","code":5})"),
            NotFound("etcd: lease not found"));
  EXPECT_EQ(ReadError(502, "<html>").code(), StatusCode::kUnavailable);
  EXPECT_EQ(ReadWatch(R"({"error":{"grpc_code":14,"http_code":503,"message":"no leader"}})")
                .status()
                .code(),
            StatusCode::kUnavailable);
}

TEST(EtcdWireTest, SaysWhatItCannotRead) {
  for (const char* bad : {"", "{", "[]", "7", "{}", R"({"header":[]})", R"({"result":7})",
                          R"({"header":{"revision":"4"},"kvs":[7]})",
                          R"({"header":{"revision":"4"},"kvs":[{"key":"!","value":""}]})"}) {
    EXPECT_EQ(ReadRange(bad).status().code(), StatusCode::kDataLoss) << bad;
    EXPECT_FALSE(ReadGrant(bad).ok()) << bad;
    EXPECT_FALSE(ReadKeepAlive(bad).ok()) << bad;
    EXPECT_FALSE(ReadWatch(bad).ok()) << bad;
  }
  EXPECT_FALSE(ReadWatch(R"({"result":{"events":[{"kv":7}]}})").ok());
  EXPECT_FALSE(ReadWatch(R"({"result":{"events":[7]}})").ok());
}

TEST(EtcdWireTest, WhatIsRegisteredIsReadAsItWasWritten) {
  const Registered one = {
      .address = "[::1]:9000", .zone = "a \"b\"", .contract = "\n\\", .weight = 7};
  EXPECT_EQ(ReadRegistered(WriteRegistered(one)).value(), one);
  EXPECT_EQ(ReadRegistered(R"({"address":"h:1"})")->weight, 1u);
  EXPECT_EQ(ReadRegistered(R"({"address":"h:1","weight":99999999})")->weight, 65535u);
  for (const char* bad : {"", "x", "[]", "{}", R"({"address":"h"})", R"({"address":7})"})
    EXPECT_EQ(ReadRegistered(bad).status().code(), StatusCode::kInvalidArgument) << bad;
}

}  // namespace
}  // namespace starling::discovery::etcd
