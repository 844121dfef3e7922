// What a call of the key-value store costs, and the memory of an idle one (counter rss_kib).
#include <benchmark/benchmark.h>

#include <fstream>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
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

}  // namespace
}  // namespace starling::kv

BENCHMARK_MAIN();
