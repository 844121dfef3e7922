#include "platform/host/topology.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "platform/config/registry.h"

namespace starling::host {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

constexpr TopologyService kServices[] = {
    {"catalog", "starling.catalog.v1.Catalog", Keeps::kDatabase},
    {"features", "starling.features.v1.Features", Keeps::kFiles},
    {"recommendation", "starling.recommendation.v1.Recommendation", Keeps::kNothing},
    {"events", "starling.events.v1.Events", Keeps::kFiles},
};

constexpr std::string_view kGood = R"(
topology:
  processes:
    gateway: {http: "127.0.0.1:8080", admin: "127.0.0.1:8081"}
    catalog: {services: [catalog, events], grpc: "127.0.0.1:9001", zone: a}
    rest: {services: [features, recommendation], grpc: "127.0.0.1:9002", set: {runtime.io_threads: 1}}
)";

TopologyConfig Read(std::string_view yaml) {
  config::Registry registry;
  const auto topology = registry.Section<TopologyConfig>("topology");
  const Status loaded = registry.Load({.file = "topology.yaml", .file_content = std::string(yaml)});
  EXPECT_TRUE(loaded.ok()) << loaded;
  return *topology.Get();
}

// The good one with one text in place of another.
TopologyConfig Changed(std::string_view from, std::string_view to) {
  std::string yaml(kGood);
  const size_t at = yaml.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  yaml.replace(at, from.size(), to);
  return Read(yaml);
}

TEST(TopologyTest, TakesAGoodOne) {
  EXPECT_TRUE(CheckTopology(Read(kGood), kServices, {}).ok())
      << CheckTopology(Read(kGood), kServices, {});
}

TEST(TopologyTest, SaysWhatIsWrongAndWhere) {
  struct Row {
    std::string_view from, to, field, says;
  } rows[] = {
      {"[catalog, events]", "[events]", "topology.processes", "no process runs 'catalog'"},
      {"[catalog, events]", "[catalog]", "topology.processes", "no process runs 'events'"},
      {"[catalog, events]", "[catalogue, events]", "topology.processes.catalog.services",
       "did you mean 'catalog'"},
      {"[features, recommendation]", "[features, recommendation, catalog]",
       "topology.processes.rest.services", "storage.sql.url"},
      {"[catalog, events]", "[catalog, events, features]", "topology.processes.rest.services",
       "its store has one owner"},
      {"[catalog, events]", "[catalog, catalog, events]", "topology.processes.catalog.services",
       "twice"},
      {"127.0.0.1:9002", "127.0.0.1:9001", "topology.processes.rest.grpc",
       "topology.processes.catalog.grpc's already"},
      {"127.0.0.1:9002", "127.0.0.1", "topology.processes.rest.grpc", "HOST:PORT"},
      {"127.0.0.1:9002", "127.0.0.1:99999", "topology.processes.rest.grpc", "HOST:PORT"},
      {"grpc: \"127.0.0.1:9002\", ", "", "topology.processes.rest.grpc", "is missing"},
      {"http: \"127.0.0.1:8080\", ", "", "topology.processes", "nobody could call"},
      {"topology:\n", "topology:\n  contracts: {catalog: starling.catalog.v2.Catalog}\n",
       "topology.contracts.catalog", "starling.catalog.v1.Catalog"},
      {"topology:\n", "topology:\n  contracts: {orders: starling.orders.v1.Orders}\n",
       "topology.contracts.orders", "no such service"},
  };
  for (const Row& row : rows) {
    const Status status = CheckTopology(Changed(row.from, row.to), kServices, {});
    const auto violations = FieldViolations(status);
    EXPECT_TRUE(std::any_of(violations.begin(), violations.end(),
                            [&](const FieldViolation& violation) {
                              return violation.field == row.field &&
                                     violation.description.find(row.says) != std::string::npos;
                            }))
        << row.from << " -> " << row.to << ": " << status;
  }
  EXPECT_THAT(std::string(CheckTopology({}, kServices, {}).message()), HasSubstr("is empty"));
}

TEST(TopologyTest, SharedEnginesLetServicesRunTwice) {
  const TopologyConfig twice =
      Changed("[features, recommendation]", "[features, recommendation, catalog]");
  EXPECT_TRUE(CheckTopology(twice, kServices, {.shared_database = true}).ok());
  EXPECT_TRUE(
      CheckTopology(Changed("[catalog, events]", "[catalog]"), kServices, {.shared_events = true})
          .ok());
  EXPECT_TRUE(CheckTopology(Changed("[catalog, events]", "[catalog, events, recommendation]"),
                            kServices, {})
                  .ok())
      << "it keeps nothing";
}

TEST(TopologyTest, InstancesNeedWhatTheirServiceKeeps) {
  constexpr TopologyService kTwice[] = {
      {"tables", "x", Keeps::kDatabase},
      {"view", "x", Keeps::kDatabase | Keeps::kView},
      {"files", "x", Keeps::kView | Keeps::kFolder},
  };
  constexpr TopologyEngines kAll = {
      .shared_database = true, .shared_events = true, .feeds_views = true};
  const auto problems = [&](const TopologyEngines& engines, std::string_view data) {
    std::string yaml = R"(
topology:
  processes:
    one: {services: [tables, view, files], grpc: "127.0.0.1:9001", http: "127.0.0.1:8080"}
    two: {services: [tables, view, files], grpc: "127.0.0.1:9002", data: "DATA"}
)";
    yaml.replace(yaml.find("DATA"), 4, data);
    std::string all;
    for (const FieldViolation& violation :
         FieldViolations(CheckTopology(Read(yaml), kTwice, engines)))
      all += violation.field + ": " + violation.description + "\n";
    return all;
  };
  EXPECT_EQ(problems(kAll, "data-2"), "");
  EXPECT_THAT(problems(kAll, ""),
              HasSubstr("topology.processes.two.data: is that of one, which runs 'files' too"));
  const std::string no_broker = problems({.shared_database = true}, "data-2");
  EXPECT_THAT(no_broker, HasSubstr("'view' is run by one too"));
  EXPECT_THAT(no_broker, HasSubstr("'files' is run by one too"));
  EXPECT_THAT(no_broker, HasSubstr("messaging.engine kafka"));
  EXPECT_THAT(no_broker, Not(HasSubstr("'tables'")));
  const std::string no_server = problems({.shared_events = true, .feeds_views = true}, "data-2");
  EXPECT_THAT(no_server, HasSubstr("'tables' is run by one too"));
  EXPECT_THAT(no_server, HasSubstr("storage.sql.url"));
  EXPECT_THAT(no_server, Not(HasSubstr("'files'")));
}

TEST(TopologyTest, GivesEachProcessItsSettings) {
  const TopologyConfig topology = Read(kGood);
  const auto rest = SettingsOf(topology, "rest");
  ASSERT_TRUE(rest.ok());
  EXPECT_THAT(*rest, ElementsAre(Pair("http.enabled", "false"), Pair("grpc.enabled", "true"),
                                 Pair("grpc.address", "127.0.0.1"), Pair("grpc.port", "9002"),
                                 Pair("runtime.io_threads", "1")));
  const auto gateway = SettingsOf(topology, "gateway");
  ASSERT_TRUE(gateway.ok());
  EXPECT_THAT(*gateway, Contains(Pair("http.enabled", "true")));
  EXPECT_THAT(*gateway, Contains(Pair("admin.port", "8081")));
  EXPECT_THAT(std::string(SettingsOf(topology, "gatway").status().message()),
              HasSubstr("did you mean 'gateway'"));
}

TEST(TopologyTest, FindsWhoRunsAService) {
  const TopologyConfig topology = Read(kGood);
  EXPECT_THAT(AddressesOf(topology, "catalog"), ElementsAre("127.0.0.1:9001"));
  EXPECT_THAT(AddressesOf(topology, "orders"), IsEmpty());
  const std::string drawing = DrawTopology(topology);
  for (const std::string_view part :
       {"gateway", "127.0.0.1:8080", "catalog, events", "(zone a)", "features, recommendation"}) {
    EXPECT_THAT(drawing, HasSubstr(std::string(part)));
  }
}

TEST(TopologyTest, ReadsAddresses) {
  EXPECT_EQ(SplitAddress("[::1]:80").value(), std::pair(std::string("::1"), 80));
  EXPECT_EQ(SplitAddress("localhost:0").value(), std::pair(std::string("localhost"), 0));
  for (const std::string_view bad : {"", ":80", "host", "host:", "host:8o", "host:-1", "h:65536"})
    EXPECT_FALSE(SplitAddress(bad).ok()) << bad;
}

}  // namespace
}  // namespace starling::host
