// What an answer from the cache costs the gateway: hits by size of body, a hit answered by 304, one
// of several by Vary, and what a miss pays for the cache. Allocations of a hit are counted.
//   build/release/bin/bench_http_cache
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <new>

#include "platform/gateway/cache/http_cache.h"

namespace {

thread_local uint64_t allocations = 0;

void* Allocate(size_t size) {
  ++allocations;
  void* const block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
// Not inlined: the compiler would take the pair for a mismatch.
[[gnu::noinline]] void Free(void* block) { std::free(block); }

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void operator delete(void* block) noexcept { Free(block); }
void operator delete(void* block, size_t) noexcept { Free(block); }

namespace starling::gateway {
namespace {

// As a browser sends it.
http::Request Request(int n) {
  http::Request request;
  request.target = fmt::format("/v1/products/p-{}?fields=title", n);
  request.headers.Add("Host", "shop.example");
  request.headers.Add("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101");
  request.headers.Add("Accept", "application/json,*/*;q=0.8");
  request.headers.Add("Accept-Language", "en-GB,en;q=0.5");
  request.headers.Add("Accept-Encoding", "gzip, deflate, br");
  request.headers.Add("Connection", "keep-alive");
  return request;
}

Fetch Origin(size_t body_bytes, std::string_view cache_control) {
  return [=](http::Request&, http::Exchange&) -> Task<Fetched> {
    Fetched fetched;
    fetched.response.headers.Add("Date", "Fri, 02 Jan 2026 03:04:05 GMT");
    fetched.response.headers.Add("Content-Type", "application/json");
    fetched.response.headers.Add("Cache-Control", cache_control);
    fetched.response.headers.Add("ETag", "\"0123456789abcdef\"");
    fetched.response.headers.Add("Vary", "Accept-Encoding");
    fetched.response.body.assign(body_bytes, 'x');
    co_return fetched;
  };
}

constexpr std::string_view kYears = "max-age=1000000000";

// One exchange, as a connection uses it again and again.
void Hit(benchmark::State& state, size_t body_bytes, int keys, bool has_it) {
  HttpCache cache({.max_bytes = size_t{256} << 20});
  std::vector<http::DetachedExchange> exchanges(static_cast<size_t>(keys));
  for (int i = 0; i < keys; ++i) {
    auto& exchange = exchanges[static_cast<size_t>(i)];
    exchange.request = Request(i);
    RunSync(cache.Serve(exchange, "products", Origin(body_bytes, kYears)));
    if (has_it) exchange.request.headers.Add("If-None-Match", "\"0123456789abcdef\"");
    if (!cache.ServeFresh(exchange, "products")) state.SkipWithError("not a hit");
  }
  const uint64_t before = allocations;
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.ServeFresh(exchanges[next], "products"));
    next = next + 1 == exchanges.size() ? 0 : next + 1;
  }
  state.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before),
                                                     benchmark::Counter::kAvgIterations);
}

void BM_Hit(benchmark::State& state) { Hit(state, static_cast<size_t>(state.range(0)), 1, false); }
void BM_HitOf10000(benchmark::State& state) { Hit(state, 1024, 10'000, false); }
void BM_NotModified(benchmark::State& state) { Hit(state, 1024, 1, true); }

// The same by the coroutine, with its Fetch made each time.
Task<void> ServeAll(benchmark::State& state, HttpCache& cache, http::Exchange& exchange,
                    std::string_view cache_control) {
  for (auto _ : state) co_await cache.Serve(exchange, "products", Origin(1024, cache_control));
}

void BM_Serve(benchmark::State& state, std::string_view cache_control) {
  HttpCache cache({});
  http::DetachedExchange exchange;
  exchange.request = Request(1);
  RunSync(cache.Serve(exchange, "products", Origin(1024, cache_control)));
  const uint64_t before = allocations;
  RunSync(ServeAll(state, cache, exchange, cache_control));
  state.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before),
                                                     benchmark::Counter::kAvgIterations);
}

// What both have in common: the copy of the body.
void BM_CopyOnly(benchmark::State& state) {
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  std::string to;
  for (auto _ : state) {
    to.assign(body);
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
}

BENCHMARK(BM_CopyOnly)->Arg(1024)->Arg(65536);
BENCHMARK(BM_Hit)->Arg(16)->Arg(1024)->Arg(65536);
BENCHMARK(BM_HitOf10000);
BENCHMARK(BM_NotModified);
BENCHMARK_CAPTURE(BM_Serve, hit, kYears);
BENCHMARK_CAPTURE(BM_Serve, miss_stored_each_time, "max-age=0");
BENCHMARK_CAPTURE(BM_Serve, miss_not_stored, "no-store");

}  // namespace
}  // namespace starling::gateway

BENCHMARK_MAIN();
