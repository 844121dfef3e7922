// What compressing an answer costs, and what it saves: a list of products as the catalogue gives
// it.
#include <benchmark/benchmark.h>

#include "platform/http/coding/encoder.h"

namespace starling::http {
namespace {

std::string Products(size_t bytes) {
  static constexpr const char* kWords[] = {"red",   "cup",  "set",    "of",    "retro",   "spot",
                                           "lunch", "bag",  "candle", "heart", "vintage", "tin",
                                           "hand",  "milk", "paper",  "glass", "small",   "white"};
  uint32_t random = 7;
  const auto draw = [&random](uint32_t below) {
    random = random * 1664525u + 1013904223u;
    return (random >> 8) % below;
  };
  std::string text = R"({"products":[)";
  while (text.size() < bytes) {
    text += fmt::format(R"({{"id":"{:05}","title":"{} {} {} {}","category":"{}",)"
                        R"("price":{{"currency":"GBP","units":"{}","nanos":{}0000000}},)"
                        R"("image_url":"https://img.shop.example/{:05}.webp","available":true}},)",
                        draw(90000), kWords[draw(18)], kWords[draw(18)], kWords[draw(18)],
                        kWords[draw(18)], kWords[draw(18)], draw(40), draw(99), draw(90000));
  }
  return text + "]}";
}

void BM_Encode(benchmark::State& state) {
  const auto coding = static_cast<Coding>(state.range(0));
  const auto level = static_cast<int>(state.range(1));
  const std::string body = Products(static_cast<size_t>(state.range(2)));
  size_t packed = 0;
  for (auto _ : state) packed = Encode(coding, level, body).size();
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
  state.SetLabel(fmt::format("{} {}: {:.1f} times smaller", CodingName(coding), level,
                             static_cast<double>(body.size()) / static_cast<double>(packed)));
}
BENCHMARK(BM_Encode)->Apply([](benchmark::internal::Benchmark* bench) {
  for (const int64_t bytes : {2'000, 20'000, 200'000}) {
    for (const int64_t level : {1, 3, 6}) bench->Args({1, level, bytes});
    for (const int64_t level : {1, 3, 4, 5, 6}) bench->Args({2, level, bytes});
    for (const int64_t level : {1, 3, 6, 12}) bench->Args({3, level, bytes});
  }
});

}  // namespace
}  // namespace starling::http

BENCHMARK_MAIN();
