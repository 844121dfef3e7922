// The JSON codec beside protobuf's own, on an answer of ten products (2.3 kB): time each way and
// the ratio.
#include <benchmark/benchmark.h>
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "codegen/json_test.json.h"

namespace {

namespace json = starling::json;
using starling::json::test::Product;
using starling::json::test::Recommendations;
using starling::json::test::RecommendedProduct;

Recommendations TenProducts() {
  Recommendations answer;
  for (int i = 0; i < 10; ++i) {
    RecommendedProduct& item = *answer.add_items();
    Product& product = *item.mutable_product();
    product.set_product_id("product-" + std::to_string(1000 + i));
    product.set_title("Wool jacket " + std::to_string(i));
    if (i % 5 == 0) product.set_description("Warm and light; \"made\" of wool.");
    product.add_category_path("jackets");
    product.mutable_price()->set_currency_code("EUR");
    product.mutable_price()->set_units(49 + i);
    product.mutable_price()->set_nanos(990'000'000);
    product.set_image_url("/img/" + std::to_string(1000 + i) + ".webp");
    product.set_available(true);
    (*product.mutable_attributes())["colour"] = "blue";
    item.set_score(0.9312847561 / (i + 1));
    item.set_reason("similar");
  }
  return answer;
}

const google::protobuf::util::JsonPrintOptions& Options() {
  static const google::protobuf::util::JsonPrintOptions options = [] {
    google::protobuf::util::JsonPrintOptions snake_case;
    snake_case.preserve_proto_field_names = true;
    return snake_case;
  }();
  return options;
}

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "bench_json: %s\n", what);
  std::_Exit(1);
}

void WriteOurs(const Recommendations& answer, std::string& text) {
  text.clear();
  json::AppendJson(answer, text);
}
void WriteProtobufs(const Recommendations& answer, std::string& text) {
  text.clear();
  Require(google::protobuf::util::MessageToJsonString(answer, &text, Options()).ok(),
          "cannot write");
}
void ReadOurs(const std::string& text, Recommendations& answer) {
  Require(json::FromJson(text, &answer).ok(), "cannot read");
}
void ReadProtobufs(const std::string& text, Recommendations& answer) {
  answer.Clear();
  Require(google::protobuf::util::JsonStringToMessage(text, &answer).ok(), "cannot read");
}

template <auto kWrite>
void Write(benchmark::State& state) {
  const Recommendations answer = TenProducts();
  std::string text;
  for (auto _ : state) {
    kWrite(answer, text);
    benchmark::DoNotOptimize(text.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(Write<WriteOurs>)->Name("write/starling");
BENCHMARK(Write<WriteProtobufs>)->Name("write/protobuf");

template <auto kRead>
void Read(benchmark::State& state) {
  const std::string text = json::ToJson(TenProducts());
  for (auto _ : state) {
    Recommendations answer;  // as a server has it: a new message for each request
    kRead(text, answer);
    benchmark::DoNotOptimize(answer);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(Read<ReadOurs>)->Name("read/starling");
BENCHMARK(Read<ReadProtobufs>)->Name("read/protobuf");

// Microseconds a call, the best of five rounds.
template <typename Call>
double Microseconds(Call call) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    constexpr int kCalls = 2000;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call();
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - begin;
    best = std::min(best, taken.count() / kCalls);
  }
  return best;
}

void PrintRatios() {
  const Recommendations answer = TenProducts();
  const std::string json_text = json::ToJson(answer);
  std::string text;
  const double write = Microseconds([&] { WriteOurs(answer, text); });
  const double write_protobuf = Microseconds([&] { WriteProtobufs(answer, text); });
  const double read = Microseconds([&] {
    Recommendations message;
    ReadOurs(json_text, message);
  });
  const double read_protobuf = Microseconds([&] {
    Recommendations message;
    ReadProtobufs(json_text, message);
  });
  std::printf("%zu bytes\nwrite: %.2f us, protobuf %.2f us: %.1f times as fast\n", json_text.size(),
              write, write_protobuf, write_protobuf / write);
  std::printf("read:  %.2f us, protobuf %.2f us: %.1f times as fast\n", read, read_protobuf,
              read_protobuf / read);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  PrintRatios();
  return 0;
}
