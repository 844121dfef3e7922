// A saga over three services, in a process that ends at random points: at the end every order is
// either done or undone, in all stores, once. SAGA_ROUNDS=500 for the long run.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>

#include "platform/base/id.h"
#include "platform/saga/store.h"

extern char** environ;

namespace starling {
namespace {

constexpr int kOrders = 3;  // a round
constexpr int kCrashed = 42;

class SagaOverThreeServices : public testing::Test {
 protected:
  SagaOverThreeServices() { std::filesystem::create_directories(folder_); }
  ~SagaOverThreeServices() override { std::filesystem::remove_all(folder_); }

  // The exit code of saga_shop, which stands beside this test's binary.
  int Shop(const std::string& seed, int orders, bool grpc, int crash_at) const {
    const std::filesystem::path program =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "saga_shop";
    std::vector<std::string> words = {program,
                                      folder_,
                                      seed,
                                      std::to_string(orders),
                                      grpc ? "grpc" : "local",
                                      std::to_string(crash_at)};
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = 0;
    if (posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments.data(), environ) != 0) {
      return -1;
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  struct Change {
    int64_t done = 0;
    int64_t undone = 0;
  };
  std::map<std::string, Change> ChangesOf(std::string_view service) const {
    const auto database =
        *sql::Database::Open({.path = folder_ / fmt::format("{}.sqlite", service)}, {});
    std::map<std::string, Change> changes;
    EXPECT_TRUE(database
                    ->ReadSync([&](sql::Connection& connection) {
                      return connection.Query(
                          "SELECT id, done, undone FROM orders", [&](const sql::Row& row) {
                            changes[std::string(row.Text(0))] = {row.Int(1), row.Int(2)};
                          });
                    })
                    .ok());
    return changes;
  }
  std::map<std::string, saga::Phase> Runs() const {
    const auto database = *sql::Database::Open({.path = folder_ / "orders.sqlite"}, {});
    std::map<std::string, saga::Phase> runs;
    EXPECT_TRUE(database
                    ->ReadSync([&](sql::Connection& connection) {
                      return connection.Query(
                          "SELECT orders.id, saga_runs.phase FROM orders LEFT JOIN saga_runs ON "
                          "saga_runs.id = orders.id",
                          [&](const sql::Row& row) {
                            EXPECT_FALSE(row.IsNull(1)) << "an order without its run";
                            runs[std::string(row.Text(0))] = static_cast<saga::Phase>(row.Int(1));
                          });
                    })
                    .ok());
    return runs;
  }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / NewId();
};

TEST_F(SagaOverThreeServices, EveryOrderIsDoneOrUndoneOnceWhereverTheProcessEnds) {
  const char* asked = std::getenv("SAGA_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
  const int wanted = asked != nullptr ? std::atoi(asked) : 24;
  std::mt19937 random(7);
  int crashed = 0;
  // A quick machine is often done before its end comes: then there are more rounds.
  int rounds = 0;
  for (; rounds < wanted || (crashed <= wanted / 2 && rounds < 4 * wanted); ++rounds) {
    const int crash_at = 1 + static_cast<int>(random() % 90);
    const int code = Shop(std::to_string(rounds), kOrders, rounds % 2 == 1, crash_at);
    ASSERT_TRUE(code == 0 || code == kCrashed) << "round " << rounds << ": exit code " << code;
    crashed += code == kCrashed ? 1 : 0;
  }
  ASSERT_EQ(Shop("last", kOrders, false, 0), 0) << "some run did not end";
  EXPECT_GT(crashed, wanted / 2);

  auto stock = ChangesOf("stock");
  auto payments = ChangesOf("payments");
  auto shipping = ChangesOf("shipping");
  std::map<saga::Phase, int> ended;
  for (const auto& [id, phase] : Runs()) {
    ++ended[phase];
    if (phase == saga::Phase::kCompleted) {
      for (const Change& change : {stock[id], payments[id], shipping[id]}) {
        EXPECT_EQ(change.done, 1) << id;
        EXPECT_EQ(change.undone, 0) << id;
      }
      continue;
    }
    EXPECT_EQ(phase, saga::Phase::kCompensated) << id;
    for (const Change& change : {stock[id], payments[id]}) {
      EXPECT_LE(change.done, 1) << id;
      EXPECT_LE(change.undone, 1) << id;
      EXPECT_LE(change.done, change.undone) << id << " was not undone";
    }
    EXPECT_EQ(shipping[id].done, 0) << id;
  }
  EXPECT_GT(ended[saga::Phase::kCompleted], 0);
  EXPECT_GT(ended[saga::Phase::kCompensated], 0);
  std::printf("%d rounds, %d crashes, %d orders completed, %d compensated\n", rounds, crashed,
              ended[saga::Phase::kCompleted], ended[saga::Phase::kCompensated]);
}

}  // namespace
}  // namespace starling
