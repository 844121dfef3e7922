// What the filter adds to an answer: none, an API's small answer, a page, one that is compressed,
// one whose compressed form is kept.
#include <benchmark/benchmark.h>

#include "platform/gateway/answers/answer_filter.h"
#include "platform/http/coding/encoded_forms.h"

namespace starling::gateway {
namespace {

struct Bench {
  explicit Bench(bool filtered, std::string type, size_t bytes,
                 std::shared_ptr<http::EncodedForms> forms = nullptr) {
    std::string body;
    while (body.size() < bytes) body += fmt::format(R"({{"id":{}}},)", body.size() * 7919 % 10007);
    const Status added = router.Add(
        http::Verb::kGet, "/a",
        [type = std::move(type), body = std::move(body),
         forms](http::Exchange& exchange) -> Task<void> {
          http::Headers& headers = exchange.response.headers;
          headers.Add("etag", "\"0123456789abcdef\"");
          headers.Add("cache-control", "no-cache");
          headers.Add("content-type", type);
          headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
          exchange.response.body = body;
          exchange.response.forms = forms;
          co_return;
        });
    if (!added.ok()) std::abort();
    if (filtered) router.SetFilter(*AnswerFilter::Make({}, metrics));
    for (const auto& [name, value] : {std::pair{"Host", "shop.example"},
                                      {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"},
                                      {"Accept", "application/json"},
                                      {"Accept-Encoding", "gzip, deflate, br, zstd"},
                                      {"Authorization", "Bearer token"}}) {
      exchange.request.headers.Add(name, value);
    }
    exchange.request.path = "/a";
  }
  void Run(benchmark::State& state) {
    boost::asio::io_context context;
    for (auto _ : state) {
      Spawn(context.get_executor(), Ask());
      context.run();
      context.restart();
    }
  }
  Task<void> Ask() {
    for (int i = 0; i < 100; ++i) {
      exchange.response.Clear();
      co_await router.Handle(exchange);
    }
  }
  telemetry::Metrics metrics;
  http::Router router;
  http::DetachedExchange exchange;
};

// Each iteration is 100 answers.
void BM_Small(benchmark::State& state) {
  Bench(state.range(0) != 0, "application/json", 300).Run(state);
}
BENCHMARK(BM_Small)->Arg(0)->Arg(1);
void BM_Page(benchmark::State& state) { Bench(state.range(0) != 0, "text/html", 300).Run(state); }
BENCHMARK(BM_Page)->Arg(0)->Arg(1);
void BM_Compressed(benchmark::State& state) {
  Bench(state.range(0) != 0, "application/json", 20'000).Run(state);
}
BENCHMARK(BM_Compressed)->Arg(0)->Arg(1);
void BM_Kept(benchmark::State& state) {
  Bench(state.range(0) != 0, "application/json", 20'000, std::make_shared<http::FormsOfFile>())
      .Run(state);
}
BENCHMARK(BM_Kept)->Arg(0)->Arg(1);

}  // namespace
}  // namespace starling::gateway

BENCHMARK_MAIN();
