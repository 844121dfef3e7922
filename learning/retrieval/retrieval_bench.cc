// How long the best ten of 65,000 items take in every way, beside merely reading their factors; and
// folding a user in.
//
//   bench_retrieval                               made data
//   bench_retrieval --benchmark_filter=Shop       only what is like a shop
//
// `Shop`: ALS factors of made purchases whose popularity falls as 1 / rank, queries are users that
// are folded in. `Isotropic`: normal factors without any structure, all norms much the same, which
// no shop has: the hardest case for every index. Recall@10 is the counter `recall`.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "learning/models/als.h"
#include "learning/random.h"
#include "learning/retrieval/retrieval_index.h"

namespace starling::learning {
namespace {

constexpr size_t kItems = 65'000;
constexpr size_t kDimension = 64;
constexpr size_t kQueries = 500;
constexpr size_t kEvents = 50;
constexpr TopKOptions kTen = {.k = 10};

struct Catalogue {
  std::vector<float> factors;
  std::vector<float> queries;
  std::unique_ptr<AlsModel> model;
  std::vector<std::vector<HistoryItem>> histories;
  std::unique_ptr<RetrievalIndex> index;  // measured
  std::shared_ptr<const HnswGraph> graph;

  ItemFactors items() const { return {factors, kDimension}; }
  std::span<const float> query(size_t i) const {
    return std::span(queries).subspan(i % kQueries * kDimension, kDimension);
  }
};

double SecondsOfSteadyClock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Index(Catalogue& made) {
  const QuantisedItems codes = QuantisedItems::Make(made.items());
  made.graph = std::make_shared<const HnswGraph>(*HnswGraph::Build(codes, {}));
  made.index = std::make_unique<RetrievalIndex>(*RetrievalIndex::Make(
      made.items(), SecondsOfSteadyClock,
      {.sample = std::span(made.queries).first(200 * kDimension), .made_graph = made.graph}));
}

// Users buy mostly in a few of 100 groups, in each mostly what is popular there.
uint32_t Purchase(uint32_t user, Random& random) {
  constexpr uint32_t kGroups = 100;
  constexpr uint32_t kOfGroup = kItems / kGroups;
  const uint64_t group =
      random.Below(4) == 0 ? random.Below(kGroups) : (user + random.Below(3) * 37) % kGroups;
  const auto rank =
      static_cast<uint32_t>(std::min<double>(kOfGroup - 1, std::pow(kOfGroup, random.Unit()) - 1));
  return static_cast<uint32_t>(group * kOfGroup) + rank;
}

const Catalogue& Shop() {
  static const Catalogue& shop = *[] {
    constexpr uint32_t kUsers = 20'000;
    Random random(1);
    std::vector<Interaction> events;
    for (uint32_t user = 0; user < kUsers; ++user) {
      for (size_t i = 0; i < 100; ++i) events.push_back({user, Purchase(user, random)});
    }
    auto made = std::make_unique<Catalogue>();
    made->model = std::make_unique<AlsModel>(
        *FitAls(*MakeInteractions(events, kUsers, kItems),
                {.factors = kDimension, .iterations = 8, .regularisation = 0.0005, .threads = 2}));
    made->factors.assign(made->model->factors().begin(), made->model->factors().end());
    made->queries.resize(kQueries * kDimension);
    for (uint32_t user = 0; user < kQueries; ++user) {
      std::vector<HistoryItem> history;
      while (history.size() < kEvents) history.push_back({.item = Purchase(user, random)});
      made->model->FoldIn(history, 0,
                          std::span(made->queries).subspan(user * kDimension, kDimension));
      made->histories.push_back(std::move(history));
    }
    Index(*made);
    return made.release();
  }();
  return shop;
}

const Catalogue& Isotropic() {
  static const Catalogue& isotropic = *[] {
    Random random(1);
    auto made = std::make_unique<Catalogue>();
    made->factors.resize(kItems * kDimension);
    made->queries.resize(kQueries * kDimension);
    for (float& value : made->factors) value = static_cast<float>(random.Normal());
    for (float& value : made->queries) value = static_cast<float>(random.Normal());
    Index(*made);
    return made.release();
  }();
  return isotropic;
}

// The limit: every value is loaded by the widest loads there are and added up.
template <int kBytes>
struct Wide {
  typedef float Vec __attribute__((vector_size(kBytes)));
};
template <int kBytes>
__attribute__((always_inline)) inline float SumOf(const float* values, size_t size) {
  using Vec = typename Wide<kBytes>::Vec;
  constexpr size_t kLanes = kBytes / sizeof(float);
  constexpr size_t kSums = 8;
  Vec sums[kSums] = {};
  for (size_t i = 0; i + kSums * kLanes <= size; i += kSums * kLanes) {
#pragma GCC unroll 8
    for (size_t s = 0; s < kSums; ++s) {
      Vec loaded;
      std::memcpy(&loaded, values + i + s * kLanes, sizeof(Vec));
      sums[s] += loaded;
    }
  }
  float total = 0;
  for (const Vec& sum : sums) {
    float lanes[kLanes];
    std::memcpy(lanes, &sum, sizeof(Vec));
    for (const float lane : lanes) total += lane;
  }
  return total;
}
float SumPlain(const float* values, size_t size) { return SumOf<16>(values, size); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) float SumAvx2(const float* values, size_t size) {
  return SumOf<32>(values, size);
}
__attribute__((target("avx512f"))) float SumAvx512(const float* values, size_t size) {
  return SumOf<64>(values, size);
}
#endif
float Sum(std::span<const float> values) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return SumAvx512(values.data(), values.size());
  if (__builtin_cpu_supports("avx2")) return SumAvx2(values.data(), values.size());
#endif
  return SumPlain(values.data(), values.size());
}

using GetCatalogue = const Catalogue& (*)();

void Read(benchmark::State& state, GetCatalogue get) {
  const Catalogue& made = get();
  for (auto _ : state) benchmark::DoNotOptimize(Sum(made.factors));
}

void Exact(benchmark::State& state, GetCatalogue get) {
  const Catalogue& made = get();
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(RetrieveTopK(made.items(), made.query(i++), kTen));
  }
}

double Recall(const Catalogue& made, const RetrievalIndex& index) {
  RetrievalScratch scratch;
  size_t hits = 0;
  for (size_t i = 0; i < kQueries; ++i) {
    const auto exact = RetrieveTopK(made.items(), made.query(i), kTen);
    const auto found = index.Retrieve(made.query(i), kTen, scratch);
    for (const ScoredItem& each : found) {
      hits += std::any_of(exact.begin(), exact.end(),
                          [&](const ScoredItem& best) { return best.item == each.item; });
    }
  }
  return static_cast<double>(hits) / static_cast<double>(kQueries * kTen.k);
}

// With the least width that measuring found good enough; else the last that it tried.
void By(benchmark::State& state, GetCatalogue get, RetrievalMethod method) {
  const Catalogue& made = get();
  size_t width = 0;
  for (const RetrievalChoice::Measured& each : made.index->choice().measured) {
    if (each.method == method) width = each.width;
  }
  const RetrievalIndex index =
      *RetrievalIndex::Make(made.items(), SecondsOfSteadyClock,
                            {.made_graph = made.graph, .method = method, .width = width});
  RetrievalScratch scratch;
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(index.Retrieve(made.query(i++), kTen, scratch));
  }
  state.counters["recall"] = Recall(made, index);
  state.counters["width"] = static_cast<double>(width);
}

void FoldIn50Events(benchmark::State& state) {
  const Catalogue& made = Shop();
  std::vector<float> user(kDimension);
  size_t i = 0;
  for (auto _ : state) {
    made.model->FoldIn(made.histories[i++ % kQueries], 0, user);
    benchmark::DoNotOptimize(user.data());
  }
}

void BuildGraph(benchmark::State& state, GetCatalogue get) {
  const QuantisedItems codes = QuantisedItems::Make(get().items());
  for (auto _ : state) benchmark::DoNotOptimize(HnswGraph::Build(codes, {}));
}

void MakeNibbles(benchmark::State& state, GetCatalogue get) {
  const Catalogue& made = get();
  for (auto _ : state) benchmark::DoNotOptimize(NibbleItems::Make(made.items()));
}

#define STARLING_RETRIEVAL(Data)                                             \
  BENCHMARK_CAPTURE(Read, Data, Data);                                       \
  BENCHMARK_CAPTURE(Exact, Data, Data);                                      \
  BENCHMARK_CAPTURE(By, Data##_int4, Data, RetrievalMethod::kNibbles);       \
  BENCHMARK_CAPTURE(By, Data##_hnsw, Data, RetrievalMethod::kHnsw);          \
  BENCHMARK_CAPTURE(MakeNibbles, Data, Data)->Unit(benchmark::kMillisecond); \
  BENCHMARK_CAPTURE(BuildGraph, Data, Data)->Iterations(1)->Unit(benchmark::kSecond)
STARLING_RETRIEVAL(Shop);
STARLING_RETRIEVAL(Isotropic);
BENCHMARK(FoldIn50Events);
#undef STARLING_RETRIEVAL

}  // namespace
}  // namespace starling::learning

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
