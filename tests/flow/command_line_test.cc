// The binary's commands as their users type them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "platform/base/id.h"
#include "platform/http/client.h"
#include "tests/faults/starling_process.h"

namespace starling {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing_support::Ran;
using testing_support::RunStarling;
using testing_support::StarlingProcess;

class CommandLine : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  http::ClientResponse Send(http::Verb verb, const std::string& url, const std::string& token,
                            const std::string& body = "") {
    http::ClientRequest request{.verb = verb, .url = url, .headers = {}, .body = body};
    if (!token.empty()) request.headers.Set("authorization", "Bearer " + token);
    auto response = runtime_.Block(client_.Send(std::move(request)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::ClientResponse();
  }
  std::string Config(const std::string& text) {
    const std::filesystem::path path = folder_ / "starling.yaml";
    std::ofstream(path) << text;
    return path;
  }
  static std::string LastLine(const std::string& text) {
    const size_t end = text.find_last_not_of('\n') + 1;
    const size_t start = text.rfind('\n', end - 1) + 1;
    return text.substr(start, end - start);
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("starling-cli-" + NewId());
  const std::string data_ = folder_ / "data";
  Runtime runtime_{{.io_threads = 1}};
  http::Client client_{runtime_, {}};
};

TEST_F(CommandLine, EveryCommandTeachesItself) {
  const Ran help = RunStarling({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command : {"up", "serve", "doctor", "config", "openapi", "keys", "new"}) {
    EXPECT_THAT(help.output, HasSubstr(command));
    const Ran own = RunStarling({command, "--help"});
    EXPECT_EQ(own.exit_code, 0) << command;
    EXPECT_THAT(own.output, HasSubstr("--help")) << command;
  }
  const Ran none = RunStarling({});
  EXPECT_NE(none.exit_code, 0);
  EXPECT_THAT(none.output, HasSubstr("subcommand"));
}

TEST_F(CommandLine, AConfigurationIsCheckedAndItsMistakesAreNamed) {
  const std::string good = Config("http:\n  port: 9000\nlog:\n  level: warning\n");
  const Ran right = RunStarling({"config", "check", "--config", good});
  EXPECT_EQ(right.exit_code, 0) << right.output;
  const Ran shown = RunStarling({"config", "show", "--config", good});
  EXPECT_EQ(shown.exit_code, 0);
  EXPECT_THAT(shown.output, HasSubstr("port: 9000"));

  const std::string bad = Config("http:\n  prot: 9000\n  max_connections: many\n");
  const Ran wrong = RunStarling({"config", "check", "--config", bad});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.output,
              AllOf(HasSubstr("http.prot"), HasSubstr("port"), HasSubstr("http.max_connections")));
  EXPECT_EQ(RunStarling({"up", "--config", bad, "--data", data_}).exit_code, 1);
}

TEST_F(CommandLine, DoctorSaysWhatIsWrongAndWhatToDo) {
  const Ran well = RunStarling({"doctor", "--data", data_, "--port", "0"});
  EXPECT_EQ(well.exit_code, 0) << well.output;
  EXPECT_THAT(well.output, HasSubstr("all is well"));

  StarlingProcess holder(folder_ / "other");
  ASSERT_TRUE(holder.ready()) << holder.output();
  const std::string port = holder.Url().substr(holder.Url().rfind(':') + 1);
  const Ran taken = RunStarling({"doctor", "--data", data_, "--port", port});
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_THAT(taken.output, AllOf(HasSubstr("port " + port + " (API): taken by another process"),
                                  HasSubstr("choose another with --port")));
  const Ran held = RunStarling({"doctor", "--data", folder_ / "other", "--port", port});
  EXPECT_THAT(held.output, HasSubstr("in use by starling up"));

  const Ran unwritable = RunStarling({"doctor", "--data", "/proc/starling", "--port", "0"});
  EXPECT_EQ(unwritable.exit_code, 1);
  EXPECT_THAT(unwritable.output, HasSubstr("cannot be written"));
}

TEST_F(CommandLine, DoctorLooksForEnginesAndTheModel) {
  // Port 1 is nobody's.
  const Ran away =
      RunStarling({"doctor", "--data", data_, "--port", "0", "--set", "discovery.engine=etcd",
                   "--set", "discovery.urls=[http://127.0.0.1:1]", "--set",
                   "storage.sql.url=postgresql://u:hidden@127.0.0.1:1/db"});
  EXPECT_EQ(away.exit_code, 1);
  EXPECT_THAT(away.output,
              AllOf(HasSubstr("etcd at 127.0.0.1:1: nobody answers"), HasSubstr("discovery.urls"),
                    HasSubstr("PostgreSQL at 127.0.0.1:1: nobody answers"),
                    HasSubstr("storage.sql.url"), Not(HasSubstr("hidden"))));
  StarlingProcess running(data_);
  ASSERT_TRUE(running.ready()) << running.output();
  const std::string place = running.Url().substr(std::string_view("http://").size());
  const Ran there =
      RunStarling({"doctor", "--data", folder_ / "other", "--port", "0", "--set",
                   "discovery.engine=etcd", "--set", "discovery.urls=[" + running.Url() + "]"});
  EXPECT_EQ(there.exit_code, 0) << there.output;
  EXPECT_THAT(there.output, AllOf(HasSubstr("etcd at " + place + ": reachable"),
                                  HasSubstr("`starling train` makes one")));
}

TEST_F(CommandLine, DoctorOfAClusterSaysWhoCannotBeAsked) {
  const Ran none = RunStarling({"doctor", "--cluster"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.output, HasSubstr("--topology"));
  const Ran gone = RunStarling({"doctor", "--cluster", "--json", "--set",
                                "topology.processes={a: {admin: \"127.0.0.1:1\"}, b: {}}"});
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_THAT(gone.output, AllOf(HasSubstr(R"("well":false)"), HasSubstr("a cannot be asked"),
                                 HasSubstr("b cannot be asked: it has no admin address")));
}

TEST_F(CommandLine, AKeyOpensWhatItsScopesSayUntilItIsRevokedWhileTheServerRuns) {
  StarlingProcess starling(data_);
  ASSERT_TRUE(starling.ready()) << starling.output();
  const Ran created =
      RunStarling({"keys", "create", "--scope", "catalog.read,events.write", "--data", data_});
  ASSERT_EQ(created.exit_code, 0) << created.output;
  const std::string key = LastLine(created.output);
  const std::string products = starling.Url() + "/v1/products";
  // The server looks for new keys by itself.
  int status = 401;
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (status == 401 && std::chrono::steady_clock::now() < until)
    status = Send(http::Verb::kGet, products, key).status;
  EXPECT_EQ(status, 200);
  const auto refused = Send(http::Verb::kPost, products, key, R"({"product_id":"p","title":"T"})");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("catalog.write"));

  const Ran list = RunStarling({"keys", "list", "--data", data_});
  EXPECT_THAT(list.output, HasSubstr("catalog.read"));
  EXPECT_THAT(list.output, Not(HasSubstr(key)));
  const size_t named = created.output.find("key ") + 4;
  const std::string id = created.output.substr(named, created.output.find(' ', named) - named);
  EXPECT_EQ(RunStarling({"keys", "revoke", id, "--data", data_}).exit_code, 0);
  const Instant revoked_until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (status == 200 && std::chrono::steady_clock::now() < revoked_until)
    status = Send(http::Verb::kGet, products, key).status;
  EXPECT_EQ(status, 401);
  EXPECT_NE(RunStarling({"keys", "revoke", "nothing", "--data", data_}).exit_code, 0);
  const Ran wrong = RunStarling({"keys", "create", "--scope", "Catalog!", "--data", data_});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.output, HasSubstr("Catalog!"));
}

#ifndef __SANITIZE_THREAD__  // gRPC: see three_ways_test.cc
TEST_F(CommandLine, ServicesInTwoProcessesAskEachOther) {
  StarlingProcess users(folder_ / "users", 0,
                        {"serve", "profile", "--set", "grpc.cluster_key=cluster-secret"});
  ASSERT_TRUE(users.ready()) << users.output();
  StarlingProcess shop(folder_ / "shop", 0,
                       {"serve", "catalog", "ingestion", "--set", "grpc.cluster_key=cluster-secret",
                        "--set", "peers.services.profile.addresses=" + users.GrpcAddress()});
  ASSERT_TRUE(shop.ready()) << shop.output();
  ASSERT_EQ(
      Send(http::Verb::kPut, shop.Url() + "/v1/products/p", shop.AdminKey(), R"({"title":"Bread"})")
          .status,
      200);
  // A user of one process signs in there and reads the other's products with that session.
  ASSERT_EQ(Send(http::Verb::kPatch, users.Url() + "/v1/users/ada", users.AdminKey(),
                 R"({"display_name":"Ada"})")
                .status,
            200);
  ASSERT_EQ(Send(http::Verb::kPost, users.Url() + "/v1/users/ada:setPassword", users.AdminKey(),
                 R"({"password":"correct horse"})")
                .status,
            204);
  const auto session = Send(http::Verb::kPost, users.Url() + "/v1/sessions", "",
                            R"({"user_id":"ada","password":"correct horse"})");
  ASSERT_EQ(session.status, 201) << session.body;
  const std::string before = "\"access_token\":\"";
  const size_t at = session.body.find(before) + before.size();
  const std::string token = session.body.substr(at, session.body.find('"', at) - at);
  const auto product = Send(http::Verb::kGet, shop.Url() + "/v1/products/p", token);
  EXPECT_EQ(product.status, 200) << product.body;
  // Each process serves the routes of what it can reach: the shop those of its peer too.
  const auto user = Send(http::Verb::kGet, shop.Url() + "/v1/users/ada", shop.AdminKey());
  EXPECT_EQ(user.status, 200) << user.body;
  EXPECT_THAT(user.body, HasSubstr("Ada"));
  EXPECT_EQ(Send(http::Verb::kGet, shop.Url() + "/v1/users/bob", token).status, 404);
  EXPECT_EQ(Send(http::Verb::kGet, users.Url() + "/v1/products/p", users.AdminKey()).status, 404);
  EXPECT_EQ(users.End(SIGTERM), 0);
  EXPECT_EQ(Send(http::Verb::kGet, shop.Url() + "/v1/products/p", token).status, 503);
  EXPECT_EQ(Send(http::Verb::kGet, shop.Url() + "/v1/products/p", shop.AdminKey()).status, 200);
}

#endif

TEST_F(CommandLine, AServiceThatThereIsNotIsNamedWithThoseThatThereAre) {
  const Ran ran = RunStarling({"serve", "catalogue", "--data", data_, "--port", "0"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.output, AllOf(HasSubstr("'catalogue'"), HasSubstr("did you mean 'catalog'")));
}

TEST_F(CommandLine, ASignalThatAnotherThreadGetsEndsItWellToo) {
  for (const int signal : {SIGTERM, SIGINT}) {
    StarlingProcess starling(data_);
    ASSERT_TRUE(starling.ready()) << starling.output();
    EXPECT_EQ(starling.EndByForeignThread(signal), 0);
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(CommandLine, AnIdleProcessTakesAtMost60MB) {
  const StarlingProcess starling(data_);
  ASSERT_TRUE(starling.ready()) << starling.output();
  EXPECT_LE(starling.ResidentBytes(), 60'000'000u);
  RecordProperty("resident_bytes", std::to_string(starling.ResidentBytes()));
}
#endif

}  // namespace
}  // namespace starling
