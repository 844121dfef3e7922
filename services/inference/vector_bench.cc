// The ten nearest of 10,000 and 100,000 vectors of 64 by the vector port: in memory by each way
// there is, and on a real PostgreSQL with pgvector. Microseconds a call, one after the other, and
// recall@10 beside a look at everything; once, so that a run takes a few minutes.
//   build/release/bin/vector_bench [items ...]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "learning/retrieval/test_catalogue.h"
#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/storage/sql/postgres/test_server.h"
#include "platform/storage/vector/embedded_store.h"
#include "platform/storage/vector/pgvector/pgvector_store.h"
#include "services/inference/vector_index.h"

namespace starling::vector {
namespace {

using learning::RetrievalMethod;

constexpr size_t kDimension = 64;
constexpr size_t kQueries = 200;
constexpr size_t kNearest = 10;

template <typename F>
double SecondsOf(const F& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", ToString(status).c_str());
  std::exit(1);
}

void Measure(const char* name, Store& store, Runtime& runtime,
             const learning::TestCatalogue& made) {
  Batch batch(kDimension);
  for (uint32_t item = 0; item < made.items().items(); ++item)
    batch.Add(fmt::format("{:07}", item), {made.items().row(item), kDimension});
  const double written = SecondsOf([&] {
    Must(runtime.Block(store.Replace("bench", {.dimension = kDimension}, std::move(batch))));
  });
  size_t hits = 0;
  double seconds = 0;
  for (size_t i = 0; i < kQueries; ++i) {
    StatusOr<std::vector<Hit>> near = Unavailable("not asked");
    const Query query{.values = made.query(i), .k = kNearest};
    if (i == 0) Must(runtime.Block(store.Nearest("bench", query)).status());  // makes connections
    seconds += SecondsOf([&] { near = runtime.Block(store.Nearest("bench", query)); });
    Must(near.status());
    for (const auto& best : learning::TopK(made.Scores(i), {.k = kNearest})) {
      const std::string id = fmt::format("{:07}", best.item);
      hits += static_cast<size_t>(
          std::any_of(near->begin(), near->end(), [&](const Hit& hit) { return hit.id == id; }));
    }
  }
  std::printf("| %zu | %s | %.0f us | %.3f | %.1f s |\n", made.items().items(), name,
              seconds / kQueries * 1e6, static_cast<double>(hits) / (kQueries * kNearest), written);
  std::fflush(stdout);
}

void MeasureAll(size_t items, const std::string& url) {
  learning::Random random(1);
  const learning::TestCatalogue made = learning::Shop(items, kDimension, kQueries, random);
  Runtime runtime({.io_threads = 1});
  const std::pair<const char*, MakeIndex> ways[] = {
      {"in memory, exact", nullptr},
      {"in memory, int4", inference::MakeVectorIndex(RetrievalMethod::kNibbles)},
      {"in memory, hnsw", inference::MakeVectorIndex(RetrievalMethod::kHnsw)}};
  for (const auto& [name, make_index] : ways) {
    const auto path = std::filesystem::temp_directory_path() / ("starling-" + NewId());
    {
      auto store = OpenEmbedded({.path = path, .make_index = make_index}, runtime.blocking());
      Must(store.status());
      Measure(name, **store, runtime, made);
    }
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix);
  }
  auto store = OpenPgVector({.url = url});
  Must(store.status());
  Measure("pgvector, hnsw", **store, runtime, made);
}

}  // namespace
}  // namespace starling::vector

int main(int count, char** arguments) {
  std::vector<size_t> sizes;
  for (int i = 1; i < count; ++i) sizes.push_back(std::strtoull(arguments[i], nullptr, 10));
  if (sizes.empty()) sizes = {10'000, 100'000};
  std::printf(
      "| vectors of 64 | found by | a call | recall@10 | replaced in |\n|---|---|---|---|---|\n");
  for (const size_t items : sizes)
    starling::vector::MeasureAll(items, starling::sql::TestServer::Get().MakeDatabase());
}
