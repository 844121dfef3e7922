#include "platform/host/digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/host/options.h"

namespace starling::host {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Set = std::pair<std::string, std::string>;

struct Running {
  template <typename... Sets>
  explicit Running(Sets... sets) : config(registry) {
    config::Sources::Pairs overrides{std::move(sets)...};
    EXPECT_TRUE(registry.Load({.overrides = std::move(overrides)}).ok());
  }
  std::map<std::string, std::string> Compared(const std::string& cluster_key = "key") const {
    return ComparedConfig(registry, OwnKeys(*config.topology.Get()), SecretHashes(cluster_key));
  }
  config::Registry registry;
  const ProcessConfig config;
};

ProcessDigest Process(std::string name, std::map<std::string, std::string> config) {
  return {.process = std::move(name), .version = "1", .ready = true, .config = std::move(config)};
}

TEST(Digest, ComesBackAsItWasWritten) {
  const ProcessDigest digest{.process = "a \"b\"",
                             .version = "0.1.0",
                             .ready = true,
                             .config = {{"log.level", "\"info\\n\""}, {"x", "[a, \"b: c\"]"}},
                             .contracts = {{"starling.catalog.v1", "0123456789abcdef"}},
                             .models = {{"inference", "20260101"}},
                             .problems = {"log.level: no"},
                             .pending = {"http.port: running 1, wanted 2"}};
  const auto read = ReadDigest(WriteDigest(digest));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->process, digest.process);
  EXPECT_EQ(read->version, digest.version);
  EXPECT_TRUE(read->ready);
  EXPECT_EQ(read->config, digest.config);
  EXPECT_EQ(read->contracts, digest.contracts);
  EXPECT_EQ(read->models, digest.models);
  EXPECT_EQ(read->problems, digest.problems);
  EXPECT_EQ(read->pending, digest.pending);
}

TEST(Digest, WhatIsNoneIsRefused) {
  for (const char* text : {"", "[]", "{}", "<html>", "{\"version\": \"1\"}", "{\"version\""})
    EXPECT_EQ(ReadDigest(text).status().code(), StatusCode::kInvalidArgument) << text;
}

TEST(Digest, AddressesAndWhatTheTopologySetsAreAProcessOwn) {
  const Running one(Set{"http.port", "1"}, Set{"admin.port", "2"}, Set{"grpc.address", "10.0.0.1"});
  const Running other(Set{"http.port", "3"}, Set{"admin.port", "4"});
  EXPECT_EQ(one.Compared(), other.Compared());
  const Running set(Set{"runtime.io_threads", "2"},
                    Set{"topology.processes", "{a: {set: {runtime.io_threads: \"2\"}}}"});
  EXPECT_FALSE(set.Compared().contains("runtime.io_threads"));
  EXPECT_TRUE(one.Compared().contains("runtime.io_threads"));
}

TEST(Digest, AKeyThatDiffersIsNamedWithItsValuesAndWhoHasThem) {
  const Running well, edited(Set{"log.level", "debug"});
  const auto drifts = FindDrift({Process("a", well.Compared()), Process("b", edited.Compared()),
                                 Process("c", well.Compared())});
  ASSERT_EQ(drifts.size(), 1u);
  EXPECT_EQ(drifts[0].key, "log.level");
  EXPECT_THAT(drifts[0].holders.at("debug"), ElementsAre("b"));
  EXPECT_THAT(drifts[0].holders.at("info"), ElementsAre("a", "c"));
  EXPECT_EQ(Describe(drifts[0]), "config log.level: debug at b; info at 2 others");
  EXPECT_NE(GaugeOf(well.Compared()), GaugeOf(edited.Compared()));
}

TEST(Digest, AKeyThatOneLacksDiffersAndAModelThatOneDoesNotServeDoesNot) {
  ProcessDigest a = Process("a", {{"peers.services.x.addresses", "[]"}});
  ProcessDigest b = Process("b", {});
  a.models = {{"inference", "1"}};
  EXPECT_THAT(FindDrift({a, b}), testing::SizeIs(1));
  b.config = a.config;
  EXPECT_THAT(FindDrift({a, b}), testing::IsEmpty());
  b.models = {{"inference", "2"}};
  ASSERT_THAT(FindDrift({a, b}), testing::SizeIs(1));
  EXPECT_EQ(FindDrift({a, b})[0].part, "model");
}

TEST(Digest, SecretsAreComparedAndNeverShown) {
  const Running one(Set{"grpc.cluster_key", "hunter2"}), same(Set{"grpc.cluster_key", "hunter2"}),
      other(Set{"grpc.cluster_key", "hunter3"});
  EXPECT_EQ(one.Compared(), same.Compared());
  const auto drifts = FindDrift({Process("a", one.Compared()), Process("b", other.Compared())});
  ASSERT_EQ(drifts.size(), 1u);
  EXPECT_EQ(drifts[0].key, "grpc.cluster_key");
  const std::string shown = WriteDigest(Process("a", one.Compared())) + Describe(drifts[0]);
  EXPECT_THAT(shown, Not(HasSubstr("hunter")));
  EXPECT_THAT(shown, HasSubstr("***"));
  // Under another cluster key another hash, and without one none.
  EXPECT_NE(one.Compared("key").at("grpc.cluster_key"), one.Compared("yek").at("grpc.cluster_key"));
  EXPECT_EQ(one.Compared("").at("grpc.cluster_key"), "***");
  EXPECT_EQ(Running().Compared().at("grpc.cluster_key"), "");
}

}  // namespace
}  // namespace starling::host
