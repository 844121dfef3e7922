#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "platform/base/id.h"
#include "platform/config/config_test_sections.h"
#include "platform/config/yaml.h"

namespace starling::config {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ConfigErrors, NameEveryMistakeOfEverySourceAtOnce) {
  Configured config;
  const Status status =
      config.LoadText("http:\n  port: eighty\n  limit: -1\n  tls: on\nhtpp: {}\n",
                      {{"STARLING_HTTP_LOG", "some"}, {"STARLING_HTTP_PORTS", "1"}},
                      {{"http.sample_rate", "2"}, {"http.idle", "1s"}});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(
      FieldViolations(status),
      testing::UnorderedElementsAre(
          FieldViolation{"http.port", "'eighty' is not an integer (starling.yaml:2:9)"},
          FieldViolation{"http.limit", "'-1' is not an integer, 0 or more (starling.yaml:3:10)"},
          FieldViolation{
              "http.tls",
              "expected a section (keys with values), found one value (starling.yaml:4:8)"},
          FieldViolation{"htpp", "is no known key (did you mean 'http'?) (starling.yaml:5:1)"},
          FieldViolation{"http.log", "'some' is not one of all, errors (STARLING_HTTP_LOG)"},
          FieldViolation{"STARLING_HTTP_PORTS",
                         "names no known key (did you mean 'STARLING_HTTP_PORT'?)"},
          FieldViolation{"http.sample_rate",
                         "'2' breaks the rule; expected 0 to 1 (--set http.sample_rate)"},
          FieldViolation{"http.idle",
                         "is no known key (did you mean 'http.idle_timeout'?) (--set http.idle)"}));
  EXPECT_EQ(config.registry.problems().size(), 8u);
  EXPECT_EQ(config.http.Get()->port, 8080) << "nothing of a wrong configuration is taken";
}

struct BadFile {
  const char* yaml;
  const char* field;
  const char* message;
};

class ConfigErrorsTable : public testing::TestWithParam<BadFile> {};

TEST_P(ConfigErrorsTable, NameTheKeyThePlaceAndWhatIsExpected) {
  Configured config;
  const Status status = config.LoadText(GetParam().yaml);
  ASSERT_EQ(status.code(), StatusCode::kInvalidArgument) << GetParam().yaml;
  const std::vector<FieldViolation> violations = FieldViolations(status);
  ASSERT_EQ(violations.size(), 1u) << status;
  EXPECT_EQ(violations[0].field, GetParam().field);
  EXPECT_THAT(violations[0].description, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    BadFiles, ConfigErrorsTable,
    testing::Values(
        BadFile{"http: {port: 65536}", "http.port",
                "'65536' breaks the rule; expected 0 to 65535 (starling.yaml:1:14)"},
        BadFile{"http: {port: 99999999999}", "http.port", "is not an integer"},
        BadFile{"http: {port: 80.5}", "http.port", "is not an integer"},
        BadFile{"http: {port: }", "http.port", "expected an integer, found nothing"},
        BadFile{"http: {port: [1]}", "http.port", "expected an integer, found a list"},
        BadFile{"http: {idle_timeout: 10}", "http.idle_timeout",
                "'10' is not a duration such as 250ms"},
        BadFile{"http: {idle_timeout: -5s}", "http.idle_timeout", "'-5s' is not a duration"},
        BadFile{"http: {idle_timeout: 10ms}", "http.idle_timeout", "expected at least 1s"},
        BadFile{"http: {max_body: 1.5MiB}", "http.max_body", "is not a size such as 16KiB"},
        BadFile{"http: {sample_rate: nan}", "http.sample_rate", "is not a number"},
        BadFile{"http: {sample_rate: .inf}", "http.sample_rate", "is not a number"},
        BadFile{"http: {tls: {enabled: yes}}", "http.tls.enabled", "'yes' is not true or false"},
        BadFile{"http: {tls: {enabled: true}}", "http.tls", "enabled needs a key"},
        BadFile{"http: {tls: {key: '***'}}", "http.tls.key", "how a secret is shown"},
        BadFile{"http: {tls: {key: a, key_file: b}}", "http.tls.key", "given twice"},
        BadFile{"http: {tls: {kee: a}}", "http.tls.kee", "did you mean 'key'?"},
        BadFile{"http: {cors_origins: one}", "http.cors_origins",
                "expected a list, each a text, found one value"},
        BadFile{"http: {cors_origins: }", "http.cors_origins", "write [] for an empty list"},
        BadFile{"http: {headers: [a]}", "http.headers", "expected a map"},
        BadFile{"http: {headers: {a: {b: c}}}", "http.headers.a", "expected a text, found a map"},
        BadFile{"http: [1]", "http", "expected a section"},
        BadFile{"cluster: 7", "cluster", "expected a map of sections"},
        BadFile{"cluster: {topologie: {}}", "cluster.topologie",
                "did you mean 'cluster.topology'?"},
        BadFile{"cluster: {topology: {peers: {a: {}}}}", "cluster.topology.peers.a.address",
                "is missing; expected a text (starling.yaml:1:33)"},
        BadFile{"cluster: {topology: {peers: {a: {address: x, weight: 0}}}}",
                "cluster.topology.peers.a.weight", "expected 1 to 100"},
        BadFile{"idle_timeout: 5s", "idle_timeout", "did you mean 'http.idle_timeout'?"},
        BadFile{"catalogue: {}", "catalogue", "is no known key"},
        BadFile{"http: {port: 1, port: 2}", "starling.yaml:1:17", "the key 'port' is there twice"},
        BadFile{"http: &x {port: 1}", "starling.yaml:1:7", "anchors"},
        BadFile{"http: {port: *x}", "starling.yaml:1:14", "aliases"},
        BadFile{"http: !!int 7", "starling.yaml:1:7", "tags"},
        BadFile{"http: {port: 1", "starling.yaml:1:15",
                "is no valid YAML: did not find expected ',' or '}' while parsing a flow mapping, "
                "which begins at 1:7"},
        BadFile{"http:\n  cors_origins: [a, b\n", "starling.yaml:3:1",
                "did not find expected ',' or ']' while parsing a flow sequence, which begins at "
                "2:17"},
        BadFile{"http:\n\tport: 1", "starling.yaml:2:1", "found character that cannot start"},
        BadFile{"http:\n  # \xff\n", "starling.yaml:2:5", "invalid leading UTF-8 octet"},
        BadFile{"? [a]\n: b", "starling.yaml:1:3", "a key is a list or a map"},
        BadFile{"~: b", "starling.yaml:1:1", "a key is empty"},
        BadFile{"- a", "starling.yaml:1:1", "expected sections"},
        BadFile{"just words", "starling.yaml:1:1", "expected sections"},
        BadFile{"--- {}\n---\n{}", "starling.yaml:2:1", "several documents"},
        BadFile{"http: {headers: {a: \"x\\q\"}}", "starling.yaml:1:23",
                "is no valid YAML: found unknown escape character"}));

TEST(ConfigErrors, NameBadVariablesAndOverrides) {
  struct Row {
    Sources::Pairs environment, overrides;
    const char* field;
    const char* message;
  };
  const Row rows[] = {
      {{{"STARLING_HTTP__PORTT", "1"}},
       {},
       "http.portt",
       "did you mean 'http.port'?) (STARLING_HTTP__PORTT)"},
      {{{"STARLING_HTP_PORT", "1"}}, {}, "STARLING_HTP_PORT", "did you mean 'STARLING_HTTP_PORT'?"},
      {{{"STARLING___", "1"}}, {}, "STARLING___", "is no known key"},
      {{{"STARLING_HTTP_HEADERS", "a=b"}},
       {},
       "http.headers",
       "'a=b' is no map; expected {name: value}"},
      {{{"STARLING_HTTP_CORS_ORIGINS", "[a"}},
       {},
       "STARLING_HTTP_CORS_ORIGINS:1:3",
       "did not find expected ',' or ']'"},
      {{{"STARLING_HTTP_PORT", "tcp://10.0.0.1:80"}},
       {},
       "http.port",
       "'tcp://10.0.0.1:80' is not an integer"},
      {{}, {{"", "1"}}, "--set ", "is no known key"},
      {{}, {{"http", "1"}}, "http", "is no map"},
      {{}, {{"http.port.x", "1"}}, "http.port.x", "is no known key"},
      {{},
       {{"cluster.topology.peers..address", "1"}},
       "cluster.topology.peers..address",
       "is no known key"},
      {{}, {{"http.port", "1\n2"}}, "http.port", "'1\\x0a2' is not an integer"},
  };
  for (const Row& row : rows) {
    Configured config;
    const std::vector<FieldViolation> violations =
        FieldViolations(config.LoadText("", row.environment, row.overrides));
    ASSERT_EQ(violations.size(), 1u) << row.message;
    EXPECT_EQ(violations[0].field, row.field);
    EXPECT_THAT(violations[0].description, HasSubstr(row.message));
  }
}

TEST(ConfigErrors, NeverShowASecret) {
  Configured config;
  for (const char* yaml :
       {"http: {tls: {key: [hunter2]}}", "http: {tls: {key: hunter2, key_file: hunter2x}}",
        "http: {tls: {key: {a: hunter2}}}"}) {
    const Status status = config.LoadText(yaml);
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hunter2"))) << yaml;
  }
  ASSERT_EQ(config.LoadText("http: {tls: {key: hunter2}}"), OkStatus());
  EXPECT_THAT(config.registry.Show() + config.registry.Documentation(), Not(HasSubstr("hunter2")));
}

TEST(ConfigErrors, AMissingFileAndAFolderAreRefused) {
  Configured config;
  Status status = config.registry.Load({.file = testing::TempDir() + "no-such-file.yaml"});
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot be read: No such file"));
  status = config.registry.Load({.file = testing::TempDir()});
  EXPECT_THAT(std::string(status.message()), HasSubstr("is no plain file"));
}

TEST(ConfigErrors, ListAtMostAHundredAndCountTheRest) {
  std::string yaml = "http:\n";
  for (int i = 0; i < 150; ++i) yaml += fmt::format("  wrong{}: 1\n", i);
  Configured config;
  const std::vector<FieldViolation> violations = FieldViolations(config.LoadText(yaml));
  ASSERT_EQ(violations.size(), 101u);
  EXPECT_EQ(violations.back().description, "50 more mistakes");
}

std::string Repeat(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Yaml, RefusesWhatIsTooLargeOrTooDeep) {
  const std::pair<std::string, const char*> rows[] = {
      {std::string(kMaxYamlBytes + 1, ' '), "above the limit"},
      {Repeat("[", 500'000), ""},
      {Repeat("{a: ", 250'000), ""},
      {Repeat("[", 33) + Repeat("]", 33), "nested more than 32 levels"},
      {Repeat("- ", 500'000), "nested more than 32 levels"},
      {Repeat("? ", 500'000), ""},
      {"a: [" + Repeat("x,", 200'000) + "]", "more than 100000 values"},
      {std::string("a: \0b", 5), "byte 3 is zero"},
  };
  for (const auto& [yaml, message] : rows) {
    Problems problems;
    EXPECT_EQ(ParseYaml(yaml, "x", problems), std::nullopt) << yaml.substr(0, 10);
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_THAT(problems.list()[0].message, HasSubstr(message));
  }
}

TEST(Yaml, ReadsAnEmptyTextAsAnEmptyMap) {
  for (const char* yaml : {"", "\n", "# only a comment\n", "---\n", "~"}) {
    Problems problems;
    const std::optional<Node> root = ParseYaml(yaml, "x", problems);
    ASSERT_TRUE(root.has_value()) << yaml;
    EXPECT_EQ(root->kind, Node::kMap);
  }
}

}  // namespace
}  // namespace starling::config
