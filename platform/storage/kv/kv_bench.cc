// What a call of the key-value store costs, and the memory of an idle one (counter rss_kib). With
// 64 calls in flight: RocksDB, Redis, and beside it redis-benchmark with as many connections, on
// the same server in the same run.
//   build/release/bin/kv_bench --benchmark_filter=InFlight
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <latch>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/storage/kv/redis/redis_store.h"
#include "platform/storage/kv/redis/test_server.h"
#include "platform/storage/kv/store.h"

namespace starling::kv {
namespace {

int64_t ResidentKib() {
  std::ifstream status("/proc/self/statm");
  int64_t total = 0, resident = 0;
  status >> total >> resident;
  return resident * 4;
}

struct Fixture {
  Fixture() {
    store = Store::Open({.path = path}, runtime.blocking()).value();
    for (int i = 0; i < 1000; ++i) {
      Batch batch;
      batch.Put(fmt::format("key{}", i), std::string(200, 'x'));
      if (!runtime.Block(store->Apply(batch, Durability::kBuffered)).ok()) std::abort();
    }
  }
  ~Fixture() {
    store.reset();
    std::filesystem::remove_all(path);
  }
  const std::filesystem::path path = std::filesystem::temp_directory_path() / NewId();
  Runtime runtime{{.io_threads = 1}};
  std::unique_ptr<Store> store;
};

void IdleMemory(benchmark::State& state) {
  for (auto _ : state) {
    Runtime runtime({.io_threads = 1});
    const auto path = std::filesystem::temp_directory_path() / NewId();
    const int64_t before = ResidentKib();
    const auto store = Store::Open({.path = path}, runtime.blocking()).value();
    state.counters["rss_kib"] = static_cast<double>(ResidentKib() - before);
    std::filesystem::remove_all(path);
  }
}
BENCHMARK(IdleMemory)->Iterations(1)->Unit(benchmark::kMillisecond);

void GetFromMemory(benchmark::State& state) {
  Fixture fixture;
  fixture.runtime.Block([](Store& store, benchmark::State& state) -> Task<void> {
    int i = 0;
    for (auto _ : state) {
      const std::string key = fmt::format("key{}", i++ % 1000);
      const StatusOr<std::optional<std::string>> value = co_await store.Get(key);
      if (!value.ok() || !value->has_value()) std::abort();
    }
  }(*fixture.store, state));
}
BENCHMARK(GetFromMemory);

void PutWith(benchmark::State& state, Durability durability) {
  Fixture fixture;
  fixture.runtime.Block(
      [](Store& store, benchmark::State& state, Durability durability) -> Task<void> {
        for (auto _ : state) {
          const PutOptions options = {.durability = durability};
          const Status status = co_await store.Put("key", "value", options);
          if (!status.ok()) std::abort();
        }
      }(*fixture.store, state, durability));
}
void PutBuffered(benchmark::State& state) { PutWith(state, Durability::kBuffered); }
void PutSynced(benchmark::State& state) { PutWith(state, Durability::kSynced); }
BENCHMARK(PutBuffered)->UseRealTime();
BENCHMARK(PutSynced)->UseRealTime();

constexpr int kInFlight = 64;
constexpr int kCalls = 20'000;  // of one iteration
constexpr int kKeys = 1000;

struct RedisFixture {
  RedisFixture() {
    auto client =
        std::make_shared<redis::Client>(redis::Options{.url = TestRedis::Get().url()}, runtime);
    store = OpenRedis(std::move(client), {.name = NewId()}).value();
    Batch batch;
    for (int i = 0; i < kKeys; ++i) batch.Put(fmt::format("key{}", i), std::string(200, 'x'));
    if (!runtime.Block(store->Apply(batch, Durability::kSynced)).ok()) std::abort();
  }
  Runtime runtime{{.io_threads = 1}};
  std::unique_ptr<Store> store;
};

enum class Operation { kGet, kPutBuffered, kPutSynced };

Task<void> CallAgain(Store& store, Operation operation, std::atomic<int>& left, std::latch& done) {
  const std::string value(200, 'x');
  for (int i = --left; i >= 0; i = --left) {
    const std::string key = fmt::format("key{}", i % kKeys);
    if (operation == Operation::kGet) {
      const StatusOr<std::optional<std::string>> got = co_await store.Get(key);
      if (!got.ok() || !got->has_value()) std::abort();
    } else {
      const bool synced = operation == Operation::kPutSynced;
      const PutOptions options = {.durability =
                                      synced ? Durability::kSynced : Durability::kBuffered};
      const Status put = co_await store.Put(key, value, options);
      if (!put.ok()) std::abort();
    }
  }
  done.count_down();
}

template <typename Engine>
void InFlight(benchmark::State& state, Operation operation) {
  Engine fixture;
  for (auto _ : state) {
    std::atomic<int> left = kCalls;
    std::latch done(kInFlight);
    for (int i = 0; i < kInFlight; ++i) {
      Spawn(fixture.runtime.executor(0),
            [&] { return CallAgain(*fixture.store, operation, left, done); });
    }
    done.wait();
  }
  state.SetItemsProcessed(state.iterations() * kCalls);
}

// The peer: `redis-benchmark -c 64 -P 1`.
void RedisBenchmark(benchmark::State& state, const char* test) {
  const redis::Address server = TestRedis::Get().url().addresses.front();
  for (auto _ : state) {
    const std::string command =
        fmt::format("redis-benchmark -h {} -p {} -c {} -P 1 -n 200000 -r {} -d 200 -t {} --csv",
                    server.host, server.port, kInFlight, kKeys, test);
    std::FILE* const output = ::popen(command.c_str(), "r");
    char line[512];
    double per_second = 0;
    while (output != nullptr && std::fgets(line, sizeof(line), output) != nullptr)
      std::sscanf(line, "\"%*[^\"]\",\"%lf\"", &per_second);
    if (output == nullptr || ::pclose(output) != 0 || per_second == 0) std::abort();
    state.counters["items_per_second"] = per_second;
  }
}

void InFlightRedis(benchmark::State& state, Operation operation) {
  InFlight<RedisFixture>(state, operation);
}
void InFlightRocksDb(benchmark::State& state, Operation operation) {
  InFlight<Fixture>(state, operation);
}

BENCHMARK_CAPTURE(RedisBenchmark, get, "get")->Iterations(1);
BENCHMARK_CAPTURE(InFlightRedis, get, Operation::kGet)->Name("InFlightRedisGet")->UseRealTime();
BENCHMARK_CAPTURE(InFlightRocksDb, get, Operation::kGet)->Name("InFlightRocksDbGet")->UseRealTime();
BENCHMARK_CAPTURE(RedisBenchmark, set, "set")->Iterations(1);
BENCHMARK_CAPTURE(InFlightRedis, put, Operation::kPutSynced)
    ->Name("InFlightRedisPut")
    ->UseRealTime();
BENCHMARK_CAPTURE(InFlightRocksDb, buffered, Operation::kPutBuffered)
    ->Name("InFlightRocksDbPutBuffered")
    ->UseRealTime();
BENCHMARK_CAPTURE(InFlightRocksDb, synced, Operation::kPutSynced)
    ->Name("InFlightRocksDbPutSynced")
    ->UseRealTime();

}  // namespace
}  // namespace starling::kv

BENCHMARK_MAIN();
