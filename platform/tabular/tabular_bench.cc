// How fast rows are read: tabular_bench [FILE...], each file .csv, .jsonl or .parquet, also
// compressed, also archive!member. Without files: rows made in memory, beside the limit, which is
// counting their newlines.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "platform/tabular/open.h"

namespace starling::tabular {
namespace {

constexpr int kRows = 200'000;

std::string PlainCsv() {
  std::string text =
      "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,CustomerID,Country\n";
  for (int i = 0; i < kRows; ++i) {
    text += fmt::format(
        "{},{},15CM CHRISTMAS GLASS BALL {} LIGHTS,{},2009-12-01T07:45:00,6.95,13085,"
        "United Kingdom\n",
        489434 + i / 20, 85048 + i % 4000, i % 20, i % 12);
  }
  return text;
}

std::string QuotedCsv() {
  std::string text = "id,title,note\n";
  for (int i = 0; i < kRows; ++i) {
    text +=
        fmt::format("\"{}\",\"a title, with a comma\",\"a \"\"quoted\"\" word\nand a line\"\n", i);
  }
  return text;
}

std::string JsonLines() {
  std::string text;
  for (int i = 0; i < kRows; ++i) {
    text += fmt::format(
        R"({{"invoice":{},"stock_code":"{}","description":"GLASS BALL","quantity":{},"price":6.95,)"
        R"("customer":"13085","gift":false,"country":"United Kingdom"}})"
        "\n",
        489434 + i / 20, 85048 + i % 4000, i % 12);
  }
  return text;
}

// Reads all rows of what `open` opens; counts bytes of the text, or of the file.
template <typename Open>
void ReadRows(benchmark::State& state, const Open& open, uint64_t text_bytes) {
  int64_t rows = 0;
  int64_t bad = 0;
  int64_t cells = 0;
  uint64_t bytes = 0;
  for (auto _ : state) {
    StatusOr<std::unique_ptr<RowSource>> source = open();
    if (!source.ok()) return state.SkipWithError(ToString(source.status()).c_str());
    for (;;) {
      const StatusOr<Read> read = (*source)->Next();
      if (!read.ok()) return state.SkipWithError(ToString(read.status()).c_str());
      if (*read == Read::kEnd) break;
      ++rows;
      bad += *read == Read::kBadRow ? 1 : 0;
      cells += static_cast<int64_t>((*source)->row().cells.size());
    }
    const Position end = (*source)->position();
    bytes += text_bytes > 0   ? text_bytes
             : end.offset > 0 ? end.offset
                              : (*source)->progress().bytes_total;
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.SetItemsProcessed(rows);
  state.counters["rows"] = static_cast<double>(rows) / static_cast<double>(state.iterations());
  state.counters["bad"] = static_cast<double>(bad) / static_cast<double>(state.iterations());
  state.counters["cells/s"] =
      benchmark::Counter(static_cast<double>(cells), benchmark::Counter::kIsRate);
}

void Newlines(benchmark::State& state) {
  const std::string text = PlainCsv();
  for (auto _ : state) {
    int64_t lines = 0;
    for (const char* at = text.data(); at < text.data() + text.size(); ++lines) {
      const auto rest = static_cast<size_t>(text.data() + text.size() - at);
      at = static_cast<const char*>(std::memchr(at, '\n', rest)) + 1;
    }
    benchmark::DoNotOptimize(lines);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

void Csv(benchmark::State& state, std::string (*make)()) {
  const std::string text = make();
  ReadRows(
      state, [&] { return OpenCsv(BytesOf(text, "made.csv")); }, text.size());
}

void Jsonl(benchmark::State& state) {
  const std::string text = JsonLines();
  ReadRows(
      state, [&] { return OpenJsonLines(BytesOf(text, "made.jsonl")); }, text.size());
}

}  // namespace
}  // namespace starling::tabular

int main(int argc, char** argv) {
  using namespace starling::tabular;
  benchmark::Initialize(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string file = argv[i];
    benchmark::RegisterBenchmark(file.c_str(), [file](benchmark::State& state) {
      ReadRows(
          state, [&] { return OpenRows(file); }, 0);
    })->Unit(benchmark::kMillisecond);
  }
  if (argc < 2) {
    const auto unit = benchmark::kMillisecond;
    benchmark::RegisterBenchmark("limit: newlines counted", Newlines)->Unit(unit);
    benchmark::RegisterBenchmark("csv, plain", Csv, PlainCsv)->Unit(unit);
    benchmark::RegisterBenchmark("csv, quoted", Csv, QuotedCsv)->Unit(unit);
    benchmark::RegisterBenchmark("json lines", Jsonl)->Unit(unit);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
