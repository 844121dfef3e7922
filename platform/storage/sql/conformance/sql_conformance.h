// What every adapter of the SQL port must do, as tests. An adapter's test binary compiles
// conformance/*.cc and says which adapter runs:
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, SqlConformance, testing::Values(Adapter{"embedded",
//   MakeFolder}));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <string>

#include "platform/async/runtime.h"
#include "platform/storage/sql/sql.h"

namespace starling::sql {

// Where one test's database is: empty at first, removed when destroyed.
class Location {
 public:
  virtual ~Location() = default;
  // Opens what is there; `options.path` is the location's to set.
  virtual StatusOr<std::unique_ptr<Database>> Open(Options options,
                                                   std::span<const EmbeddedFile> migrations) = 0;
};

struct Adapter {
  std::string name;
  std::function<std::unique_ptr<Location>()> make_location;
};

inline void PrintTo(const Adapter& adapter, std::ostream* out) { *out << adapter.name; }

// Starts a Write and keeps its answer.
class Started {
 public:
  template <typename F>
  Started(Runtime& runtime, Database& database, F f) {
    Spawn(runtime.executor(0), Run(database, std::move(f), promise_));
  }
  Status Get() { return future_.get(); }

 private:
  template <typename F>
  static Task<void> Run(Database& database, F f, std::shared_ptr<std::promise<Status>> promise) {
    Status status = co_await database.Write(std::move(f));
    promise->set_value(std::move(status));
  }
  std::shared_ptr<std::promise<Status>> promise_ = std::make_shared<std::promise<Status>>();
  std::future<Status> future_ = promise_->get_future();
};

// A Write that holds the writer until released, so that those behind it wait together.
struct Gate {
  std::latch reached{1};
  std::latch open{1};
  auto Function() {
    return [this](Transaction&) -> Status {
      reached.count_down();
      open.wait();
      return OkStatus();
    };
  }
};

inline constexpr EmbeddedFile kItems[] = {
    {"0001_items.sql",
     "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
     "                   amount INTEGER NOT NULL DEFAULT 0 CHECK (amount >= 0));"
     "CREATE TABLE part (id INTEGER PRIMARY KEY, item_id INTEGER NOT NULL REFERENCES item (id));"},
};

class SqlConformance : public testing::TestWithParam<Adapter> {
 protected:
  std::unique_ptr<Database> Open(Options options = {},
                                 std::span<const EmbeddedFile> migrations = kItems) {
    StatusOr<std::unique_ptr<Database>> database = location_->Open(std::move(options), migrations);
    if (!database.ok()) {
      ADD_FAILURE() << database.status();
      std::abort();
    }
    return *std::move(database);
  }
  Status OpenError(std::span<const EmbeddedFile> migrations) {
    return location_->Open({}, migrations).status();
  }

  static Status Insert(Connection& connection, int64_t id, std::string_view name) {
    return connection.Execute("INSERT INTO item (id, name) VALUES (?1, ?2)", id, name);
  }
  static Status Insert(Database& database, int64_t id, std::string_view name) {
    return database.WriteSync(
        [&](Transaction& transaction) -> Status { return Insert(transaction, id, name); });
  }
  // The ids that are stored, in order.
  static std::vector<int64_t> Ids(Database& database) {
    return database
        .ReadSync([](Connection& connection) {
          return connection.QueryAll("SELECT id FROM item ORDER BY id",
                                     [](const Row& row) { return row.Int(0); });
        })
        .value();
  }

 private:
  std::unique_ptr<Location> location_ = GetParam().make_location();
};

}  // namespace starling::sql
