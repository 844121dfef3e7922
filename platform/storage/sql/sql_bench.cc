// What a commit costs beside the disk's own fdatasync, and what engines make of many writers: the
// embedded one by group commit, PostgreSQL on some connections.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/storage/sql/postgres/test_server.h"
#include "platform/storage/sql/sql.h"

namespace starling::sql {
namespace {

constexpr EmbeddedFile kRows[] = {
    {"0001_rows.sql",
     "CREATE TABLE entry (id INTEGER PRIMARY KEY, data TEXT NOT NULL);"
     "CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);"
     "INSERT INTO counter (id, value) VALUES (1, 0);"}};

enum Engine : int64_t { kSqlite, kPostgres };

struct Fixture {
  explicit Fixture(int64_t engine = kSqlite) {
    std::filesystem::create_directories(folder);
    Options options{.path = folder / "bench.db"};
    if (engine == kPostgres) options.url = TestServer::Get().MakeDatabase();
    database = Database::Open(std::move(options), kRows).value();
  }
  ~Fixture() {
    database.reset();
    std::filesystem::remove_all(folder);
  }
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / NewId();
  Runtime runtime{{.io_threads = 1}};
  std::unique_ptr<Database> database;
};

Task<Status> WriteRow(Database& database) {
  Status status = co_await database.Write([](Transaction& transaction) {
    return transaction.Execute("INSERT INTO entry (data) VALUES (?1)",
                               "a row of some forty bytes or so");
  });
  co_return status;
}

// The floor: one log frame and its header, appended and synced.
void RawFdatasync(benchmark::State& state) {
  const Fixture fixture;
  const int file = ::open((fixture.folder / "raw").c_str(), O_CREAT | O_WRONLY, 0600);
  const std::string frame(4096 + 24, 'x');
  off_t at = 0;
  for (auto _ : state) {
    // As the log is written: over the same few megabytes.
    if (::pwrite(file, frame.data(), frame.size(), at) < 0 || ::fdatasync(file) != 0) std::abort();
    at = (at + static_cast<off_t>(frame.size())) % (4 << 20);
  }
  ::close(file);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(RawFdatasync)->UseRealTime();

// All change one row, as writes of the catalogue do.
Task<Status> ChangeOneRow(Database& database) {
  Status status = co_await database.Write([](Transaction& transaction) {
    return transaction.Execute("UPDATE counter SET value = value + 1 WHERE id = 1");
  });
  co_return status;
}

template <Task<Status> (*Write)(Database&)>
void Writers(benchmark::State& state) {
  Fixture fixture(state.range(0));
  const auto writers = static_cast<int>(state.range(1));
  boost::asio::io_context context(1);
  for (auto _ : state) {
    for (int i = 0; i < writers; ++i) {
      Spawn(context.get_executor(), [](Database& database) -> Task<void> {
        const Status status = co_await Write(database);
        if (!status.ok()) std::abort();
      }(*fixture.database));
    }
    context.run();
    context.restart();
  }
  state.SetItemsProcessed(state.iterations() * writers);
  const Statistics statistics = fixture.database->statistics();
  state.counters["writes_a_commit"] =
      static_cast<double>(statistics.writes) / static_cast<double>(statistics.commits);
}
BENCHMARK(Writers<WriteRow>)
    ->ArgNames({"postgres", "writers"})
    ->ArgsProduct({{kSqlite, kPostgres}, {1, 64, 512}})
    ->UseRealTime();
BENCHMARK(Writers<ChangeOneRow>)
    ->ArgNames({"postgres", "writers"})
    ->ArgsProduct({{kSqlite, kPostgres}, {1, 64}})
    ->UseRealTime();

void Read(benchmark::State& state) {
  Fixture fixture(state.range(0));
  if (!fixture.runtime.Block(WriteRow(*fixture.database)).ok()) std::abort();
  fixture.runtime.Block([](Database& database, benchmark::State& state) -> Task<void> {
    for (auto _ : state) {
      const StatusOr<std::optional<int64_t>> length =
          co_await database.Read([](Connection& connection) {
            return connection.QueryOne(
                "SELECT length(data) FROM entry WHERE id = ?1",
                [](const Row& row) { return row.Int(0); }, 1);
          });
      if (!length.ok()) std::abort();
    }
  }(*fixture.database, state));
}
BENCHMARK(Read)->ArgNames({"postgres"})->Arg(kSqlite)->Arg(kPostgres)->UseRealTime();

}  // namespace
}  // namespace starling::sql

BENCHMARK_MAIN();
