#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "platform/config/config_test_sections.h"
#include "platform/config/yaml.h"

namespace starling::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

TEST(Config, GivesDefaultsWithoutAnySource) {
  Configured config;
  ASSERT_EQ(config.registry.Load({}), OkStatus());
  EXPECT_EQ(config.http.Get()->port, 8080);
  EXPECT_EQ(config.http.Get()->idle_timeout, seconds(75));
  EXPECT_THAT(config.http.Get()->cors_origins, ElementsAre("https://a.example"));
}

TEST(Config, ReadsEveryTypeFromTheFile) {
  Configured config;
  ASSERT_EQ(config.LoadText(R"(
http:
  port: 9000
  idle_timeout: 250s
  max_body: 16KiB
  sample_rate: 0.25
  limit: 18446744073709551615
  log: all
  cors_origins: [https://b.example, "https://c.example"]
  headers: {x-a: "1", x-b: two words}
  tls:
    enabled: true
    key: secret-pem
cluster:
  topology:
    peers:
      catalog: {address: "127.0.0.1:7000", weight: 3}
      profile:
        address: localhost:7001
catalog: {anything: [goes]}
)"),
            OkStatus());
  const auto http = config.http.Get();
  EXPECT_EQ(http->port, 9000);
  EXPECT_EQ(http->idle_timeout, seconds(250));
  EXPECT_EQ(http->max_body, Bytes::KiB(16));
  EXPECT_EQ(http->sample_rate, 0.25);
  EXPECT_EQ(http->limit, 18446744073709551615ull);
  EXPECT_EQ(http->log, LogMode::kAll);
  EXPECT_THAT(http->cors_origins, ElementsAre("https://b.example", "https://c.example"));
  EXPECT_THAT(http->headers, ElementsAre(Pair("x-a", "1"), Pair("x-b", "two words")));
  EXPECT_TRUE(http->tls.enabled);
  EXPECT_EQ(http->tls.key.Reveal(), "secret-pem");
  const auto topology = config.topology.Get();
  ASSERT_EQ(topology->peers.size(), 2u);
  EXPECT_EQ(topology->peers.at("catalog").weight, 3);
  EXPECT_EQ(topology->peers.at("profile").address, "localhost:7001");
  EXPECT_EQ(topology->peers.at("profile").weight, 1);
}

TEST(Config, PutsTheCommandLineOverTheEnvironmentOverTheFileOverDefaults) {
  Configured config;
  ASSERT_EQ(
      config.LoadText(
          "http: {port: 1, limit: 1, sample_rate: 0.1}",
          {{"STARLING_HTTP_LIMIT", "2"}, {"STARLING_HTTP_SAMPLE_RATE", "0.2"}, {"HOME", "/root"}},
          {{"http.sample_rate", "0.3"}}),
      OkStatus());
  const auto http = config.http.Get();
  EXPECT_EQ(http->port, 1);
  EXPECT_EQ(http->limit, 2u);
  EXPECT_EQ(http->sample_rate, 0.3);
  EXPECT_EQ(http->idle_timeout, seconds(75));
}

TEST(Config, ReadsListsMapsAndPathsFromVariablesAndTheCommandLine) {
  Configured config;
  ASSERT_EQ(config.LoadText(
                "cluster: {topology: {peers: {catalog: {address: a}, profile: {address: b}}}}",
                {{"STARLING_HTTP_CORS_ORIGINS", "x, y"},
                 {"STARLING_HTTP__IDLE_TIMEOUT", "1500ms"},
                 {"STARLING_CLUSTER__TOPOLOGY__PEERS__CATALOG__WEIGHT", "9"},
                 {"STARLING_HTTP_HEADERS", "{a: b}"}},
                {{"cluster.topology.peers.search.address", "c"},
                 {"cluster.topology.peers.profile.weight", "7"}}),
            OkStatus());
  EXPECT_THAT(config.http.Get()->cors_origins, ElementsAre("x", "y"));
  EXPECT_EQ(config.http.Get()->idle_timeout, milliseconds(1500));
  EXPECT_THAT(config.http.Get()->headers, ElementsAre(Pair("a", "b")));
  const auto& peers = config.topology.Get()->peers;
  ASSERT_EQ(peers.size(), 3u);
  EXPECT_EQ(peers.at("catalog").address, "a");
  EXPECT_EQ(peers.at("catalog").weight, 9);
  EXPECT_EQ(peers.at("profile").weight, 7);
  EXPECT_EQ(peers.at("search").address, "c");
}

TEST(Config, ReplacesAListByTheLaterLayerAndByAnEmptyOne) {
  Configured config;
  ASSERT_EQ(
      config.LoadText("http: {cors_origins: [a, b]}", {{"STARLING_HTTP_CORS_ORIGINS", "[c]"}}),
      OkStatus());
  EXPECT_THAT(config.http.Get()->cors_origins, ElementsAre("c"));
  ASSERT_EQ(config.LoadText("http: {cors_origins: [], headers: {}}"), OkStatus());
  EXPECT_THAT(config.http.Get()->cors_origins, IsEmpty());
  EXPECT_THAT(config.http.Get()->headers, IsEmpty());
}

TEST(Config, PassesOverWhatKubernetesSetsForServicesAndWhatItIsToldToIgnore) {
  Configured config;
  Sources sources;
  sources.environment = {{"STARLING_SERVICE_HOST", "10.0.0.1"},
                         {"STARLING_SERVICE_PORT_HTTP", "80"},
                         {"STARLING_PORT", "tcp://10.0.0.1:80"},
                         {"STARLING_GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"},
                         {"STARLING_CONFIG", "/etc/starling.yaml"},
                         {"STARLING_CATALOG_ANYTHING", "x"}};
  sources.ignored_variables = {"STARLING_CONFIG"};
  EXPECT_EQ(config.registry.Load(sources), OkStatus());
}

TEST(Config, ShowsTheRunningValuesWithTheirSourcesAndHidesSecrets) {
  Configured config;
  ASSERT_EQ(config.LoadText("http:\n  port: 9000\n  tls: {key: my-secret}\ncluster: {topology: "
                            "{peers: {catalog: {address: a}}}}",
                            {{"STARLING_HTTP_LIMIT", "5"}}, {{"http.log", "all"}}),
            OkStatus());
  EXPECT_EQ(config.registry.Show(), R"(http:
  port: 9000  # starling.yaml:2:9
  idle_timeout: 75s  # default
  max_body: 1MiB  # default
  sample_rate: 0.5  # default
  limit: 5  # STARLING_HTTP_LIMIT
  log: all  # --set http.log
  cors_origins: ["https://a.example"]  # default
  headers:
    server: starling  # default
  tls:
    enabled: false  # default
    certificate: ""  # default
    key: "***"  # starling.yaml:3:14
cluster:
  topology:
    peers:
      catalog:
        address: a  # starling.yaml:4:49
        weight: 1  # default
)");
}

TEST(Config, ReadsBackWhatItShows) {
  Configured config;
  ASSERT_EQ(
      config.LoadText(R"(http: {headers: {"a: b": "x # y\t\"z\"\n", yes: "true", "": ""}})").code(),
      StatusCode::kInvalidArgument);  // an empty key is none
  ASSERT_EQ(
      config.LoadText(
          R"(http: {headers: {"a: b": "x # y\t\"z\"\n", yes: "true", n: "~", u: "héllo", q: "\x01"}})"),
      OkStatus());
  const std::string digest = config.registry.Digest();
  Configured other;
  ASSERT_EQ(other.LoadText(config.registry.Show()), OkStatus());
  EXPECT_EQ(other.http.Get()->headers, config.http.Get()->headers);
  EXPECT_EQ(other.registry.Digest(), digest);
}

TEST(Config, DigestFollowsValuesAndNotSecrets) {
  Configured config;
  ASSERT_EQ(config.LoadText("http: {port: 1}"), OkStatus());
  const std::string digest = config.registry.Digest();
  EXPECT_THAT(digest, testing::MatchesRegex("[0-9a-f]{16}"));
  ASSERT_EQ(config.LoadText("http: {port: 1, tls: {key: x}}"), OkStatus());
  EXPECT_EQ(config.registry.Digest(), digest);
  ASSERT_EQ(config.LoadText("http: {port: 2}"), OkStatus());
  EXPECT_NE(config.registry.Digest(), digest);
}

TEST(Config, DocumentsEveryKey) {
  Configured config;
  const std::string documentation = config.registry.Documentation();
  EXPECT_THAT(documentation, HasSubstr("## http\n\nthe public API\n"));
  EXPECT_THAT(
      documentation,
      HasSubstr(
          "| `http.port` | integer, 0 to 65535 | `8080` | restart | TCP port of the public API |"));
  EXPECT_THAT(
      documentation,
      HasSubstr(
          "| `http.idle_timeout` | duration such as 250ms, 5s, 10m, at least 1s | `75s` | live |"));
  EXPECT_THAT(
      documentation,
      HasSubstr(
          "| `cluster.topology.peers.<name>.address` | text | required | live | host:port |"));
  EXPECT_THAT(documentation, HasSubstr("| `http.log` | one of all, errors | `errors` |"));
}

struct SparesOptions {
  std::vector<PeerOptions> spares;
  static void Describe(Fields<SparesOptions>& fields) {
    fields.Add("spares", &SparesOptions::spares, "who else");
  }
};

TEST(Config, DocumentsTheKeysOfAListsItems) {
  Registry registry;
  registry.Section<SparesOptions>("cluster");
  const std::string documentation = registry.Documentation();
  EXPECT_THAT(documentation,
              HasSubstr("| `cluster.spares` | list, its keys below | `[]` | live |"));
  EXPECT_THAT(documentation,
              HasSubstr("| `cluster.spares[].weight` | integer, 1 to 100 | `1` | restart |"));
}

TEST(Config, GivesTheSameSectionToTwoParts) {
  Registry registry;
  Handle<TlsOptions> a = registry.Section<TlsOptions>("tls");
  Handle<TlsOptions> b = registry.Section<TlsOptions>("tls");
  ASSERT_EQ(registry.Load({.overrides = {{"tls.certificate", "x.pem"}}}), OkStatus());
  EXPECT_EQ(a.Get(), b.Get());
  EXPECT_EQ(b.Get()->certificate, "x.pem");
}

TEST(ConfigDeathTest, EndsTheProcessOnSectionsThatOverlap) {
  Registry registry;
  registry.Section<TlsOptions>("http.tls");
  EXPECT_DEATH(registry.Section<HttpOptions>("http"), "within each other");
  EXPECT_DEATH(registry.Section<PeerOptions>("http.tls"), "two types");
}

TEST(Bytes, ReadsUnitsOf1024AndOf1000AndNothingElse) {
  EXPECT_EQ(Bytes::Parse("16KiB"), Bytes(16384));
  EXPECT_EQ(Bytes::Parse("2GiB"), Bytes(2ull << 30));
  EXPECT_EQ(Bytes::Parse("10kB"), Bytes(10'000));
  EXPECT_EQ(Bytes::Parse("4096"), Bytes(4096));
  EXPECT_EQ(Bytes::Parse("7B"), Bytes(7));
  for (const char* bad :
       {"", "KiB", "1.5MiB", "-1", "1 MiB", "1kib", "1K", "18446744073709551616", "16777216TiB"}) {
    EXPECT_EQ(Bytes::Parse(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(Bytes::MiB(64).ToText(), "64MiB");
  EXPECT_EQ(Bytes(1500).ToText(), "1500B");
  EXPECT_EQ(Bytes().ToText(), "0B");
}

TEST(Secret, PrintsNothingOfItself) {
  std::ostringstream out;
  out << Secret("abc");
  EXPECT_EQ(out.str(), "***");
}

TEST(Handle, FixedGivesWhatItWasMadeWith) {
  HttpOptions options;
  options.port = 7;
  EXPECT_EQ(Handle<HttpOptions>::Fixed(options).Get()->port, 7);
}

}  // namespace
}  // namespace starling::config
