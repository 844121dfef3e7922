// What a choice costs: Choose and the end of its Pick, with the machine's clock.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "platform/discovery/balancer.h"

namespace starling::discovery {
namespace {

std::vector<Endpoint> Endpoints(int64_t count) {
  std::vector<Endpoint> endpoints;
  for (int64_t i = 0; i < count; ++i) {
    endpoints.push_back({.address = fmt::format("10.0.{}.{}:9000", i / 256, i % 256),
                         .zone = i % 3 == 0 ? "a" : "b",
                         .instance = {},
                         .contract = {}});
  }
  return endpoints;
}

void Run(benchmark::State& state, Balancer& balancer, std::span<const std::string_view> avoid) {
  for (auto _ : state) {
    StatusOr<Pick> pick = balancer.Choose(avoid);
    pick->Succeeded();
  }
}

void BM_Choose(benchmark::State& state) {
  static std::unique_ptr<Balancer> balancer;
  if (state.thread_index() == 0) {
    balancer = std::make_unique<Balancer>(BalancerOptions{}, SystemClock(), 1);
    balancer->SetEndpoints(Endpoints(state.range(0)));
  }
  for (auto _ : state) {
    StatusOr<Pick> pick = balancer->Choose();
    pick->Succeeded();
  }
}
BENCHMARK(BM_Choose)->Arg(2)->Arg(10)->Arg(100)->Threads(1)->Threads(2);

void BM_ChooseInZone(benchmark::State& state) {
  Balancer balancer({.zone = "a"}, SystemClock(), 1);
  balancer.SetEndpoints(Endpoints(state.range(0)));
  Run(state, balancer, {});
}
BENCHMARK(BM_ChooseInZone)->Arg(10);

void BM_ChooseByWeight(benchmark::State& state) {
  Balancer balancer({}, SystemClock(), 1);
  std::vector<Endpoint> endpoints = Endpoints(state.range(0));
  endpoints[0].weight = 3;
  balancer.SetEndpoints(endpoints);
  Run(state, balancer, {});
}
BENCHMARK(BM_ChooseByWeight)->Arg(10);

void BM_ChooseAnother(benchmark::State& state) {
  Balancer balancer({}, SystemClock(), 1);
  const std::vector<Endpoint> endpoints = Endpoints(state.range(0));
  balancer.SetEndpoints(endpoints);
  const std::vector<std::string_view> tried = {endpoints[0].address};
  Run(state, balancer, tried);
}
BENCHMARK(BM_ChooseAnother)->Arg(10);

}  // namespace
}  // namespace starling::discovery

BENCHMARK_MAIN();
