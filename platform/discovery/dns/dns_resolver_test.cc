// Against a server that speaks the protocol on loopback.
#include "platform/discovery/dns/dns_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/discovery/conformance/suite.h"
#include "platform/discovery/dns/answer.h"
#include "platform/discovery/dns/dns_server.h"

namespace starling::discovery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Mood = dns::Server::Mood;

class DnsResolverTest : public ::testing::Test {
 protected:
  DnsResolverOptions Options(int port = 9000) {
    return {.name = "{service}.test",
            .port = port,
            .servers = server_.address(),
            .timeout = milliseconds(200),
            .tries = 2,
            .min_ttl = milliseconds(20),
            .max_ttl = seconds(30),
            .retry = milliseconds(20)};
  }
  template <typename Condition>
  bool Eventually(Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(10));
    return condition();
  }
  dns::Server server_;
};

TEST_F(DnsResolverTest, EachAddressOfTheNameIsAnEndpoint) {
  server_.Set("catalog.test", {dns::Server::A("127.0.0.2"), dns::Server::A("127.0.0.1"),
                               dns::Server::Aaaa("fd00::7")});
  DnsResolver resolver(Options());
  Heard heard;
  const auto watch = resolver.Watch("catalog", heard.Callback());
  EXPECT_TRUE(heard.Becomes({At("127.0.0.1:9000", "127.0.0.1"), At("127.0.0.2:9000", "127.0.0.2"),
                             At("[fd00::7]:9000", "[fd00::7]")}));
}

TEST_F(DnsResolverTest, TheLowestPriorityOfSrvRecordsIsTaken) {
  server_.Set("catalog.test",
              {dns::Server::Srv(10, 2, 9001, "a.pods"), dns::Server::Srv(10, 0, 9002, "b.pods"),
               dns::Server::Srv(20, 1, 9003, "spare.pods")});
  server_.Set("a.pods", {dns::Server::A("127.0.0.1")});
  server_.Set("b.pods", {dns::Server::A("127.0.0.1")});
  server_.Set("spare.pods", {dns::Server::A("127.0.0.1")});
  DnsResolver resolver(Options(0));
  Heard heard;
  const auto watch = resolver.Watch("catalog", heard.Callback());
  EXPECT_TRUE(heard.Becomes(
      {At("127.0.0.1:9001", "a.pods", "", 2), At("127.0.0.1:9002", "b.pods", "", 1)}));
}

TEST_F(DnsResolverTest, ATimeToLiveIsKept) {
  server_.Set("catalog.test", {dns::Server::A("127.0.0.1", 3600)});
  server_.Set("other.test", {dns::Server::A("127.0.0.1", 0)});
  DnsResolver resolver(Options());
  Heard heard;
  const auto watch = resolver.Watch("catalog", heard.Callback());
  ASSERT_TRUE(heard.Becomes({At("127.0.0.1:9000", "127.0.0.1")}));
  ASSERT_EQ(resolver.rounds(), 1u);
  Heard other;
  const auto watch_other = resolver.Watch("other", other.Callback());
  ASSERT_TRUE(Eventually([&] { return resolver.rounds() > 5; }));
  // All rounds but one were of the name whose answers are old at once: two questions each.
  server_.Set("catalog.test", {dns::Server::A("127.0.0.2", 3600)});
  const uint64_t rounds = resolver.rounds();
  ASSERT_TRUE(Eventually([&] { return resolver.rounds() > rounds + 5; }));
  EXPECT_EQ(heard.Lists().size(), 1u);
}

TEST_F(DnsResolverTest, ALongTimeToLiveIsCut) {
  server_.Set("catalog.test", {dns::Server::A("127.0.0.1", 3600)});
  DnsResolverOptions options = Options();
  options.max_ttl = milliseconds(30);
  DnsResolver resolver(options);
  Heard heard;
  const auto watch = resolver.Watch("catalog", heard.Callback());
  ASSERT_TRUE(heard.Becomes({At("127.0.0.1:9000", "127.0.0.1")}));
  server_.Set("catalog.test", {dns::Server::A("127.0.0.2", 3600)});
  EXPECT_TRUE(heard.Becomes({At("127.0.0.2:9000", "127.0.0.2")}));
}

TEST_F(DnsResolverTest, AServerInTroubleChangesNothing) {
  server_.Set("catalog.test", {dns::Server::A("127.0.0.1")});
  DnsResolver resolver(Options());
  Heard heard;
  const auto watch = resolver.Watch("catalog", heard.Callback());
  ASSERT_TRUE(heard.Becomes({At("127.0.0.1:9000", "127.0.0.1")}));
  for (const Mood mood : {Mood::kFails, Mood::kGarbage, Mood::kSilent}) {
    server_.SetMood(mood);
    const int questions = server_.questions();
    ASSERT_TRUE(Eventually([&] { return server_.questions() > questions + 8; }));
    EXPECT_EQ(heard.Lists().size(), 1u);
  }
  server_.SetMood(Mood::kAnswers);
  server_.Set("catalog.test", {});  // no such name: an answer
  EXPECT_TRUE(heard.Becomes({}));
}

TEST_F(DnsResolverTest, SaysWhatIsWrongWithItsOptions) {
  DnsResolverOptions no_service = Options();
  no_service.name = "catalog.test";
  DnsResolverOptions no_server = Options();
  no_server.servers = "not an address";
  DnsResolverOptions no_port = Options(65536);
  for (const DnsResolverOptions& options : {no_service, no_server, no_port}) {
    DnsResolver resolver(options);
    EXPECT_EQ(resolver.Watch("catalog", [](const auto&) {}).status().code(),
              StatusCode::kInvalidArgument);
  }
}

TEST(DnsAnswerTest, WhatCannotBeReadIsAnError) {
  for (const std::string_view bytes : {std::string_view(""), std::string_view("x"),
                                       std::string_view("\0\0\x81\x80\0\1\0\1\0\0\0\0\xc0", 13)}) {
    EXPECT_EQ(dns::ReadA(bytes).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(dns::ReadAaaa(bytes).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(dns::ReadSrv(bytes).status().code(), StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace starling::discovery
