#include "platform/telemetry/telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <thread>

#include "platform/telemetry/otlp.h"

namespace starling::telemetry {
namespace {

using testing::HasSubstr;

TEST(TraceContext, RoundTripsThroughItsHeader) {
  const std::string header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto context = TraceContext::Parse(header);
  ASSERT_TRUE(context.has_value());
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->ToTraceparent(), header);
  const TraceContext child = context->Child();
  EXPECT_EQ(child.TraceIdHex(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_NE(child.span_id, context->span_id);
}

TEST(TraceContext, RefusesWhatTheSpecificationCallsInvalid) {
  for (const char* bad : {"", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                          "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                          "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
                          "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x"}) {
    EXPECT_FALSE(TraceContext::Parse(bad).has_value()) << bad;
  }
  EXPECT_TRUE(
      TraceContext::Parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x").has_value());
}

TEST(Metrics, CountsExactlyFromManyThreads) {
  Metrics metrics;
  Counter& counter = metrics.AddCounter("starling_test_total", "Test");
  Histogram& histogram = metrics.AddHistogram("starling_test_seconds", "Test");
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        counter.Add();
        histogram.Observe(std::chrono::microseconds(3));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.Value(), 80'000u);
  EXPECT_EQ(histogram.Sum().count, 80'000u);
  EXPECT_EQ(histogram.Sum().counts[2], 80'000u);
  EXPECT_NEAR(histogram.Sum().sum_seconds, 0.24, 1e-9);
}

TEST(Metrics, AreExposedInPrometheusText) {
  Metrics metrics;
  MethodMetrics& method = metrics.AddMethod("catalog", "GetProduct");
  method.Record(StatusCode::kOk, std::chrono::microseconds(7));
  method.Record(StatusCode::kNotFound, std::chrono::seconds(20));
  metrics.AddGauge("starling_depth", "Depth", {{"queue", "a\"b"}}).Set(2.5);
  const std::string text = metrics.Expose();
  EXPECT_THAT(
      text,
      HasSubstr(
          "starling_rpc_requests_total{service=\"catalog\",method=\"GetProduct\",code=\"OK\"} 1"))
      << text;
  EXPECT_THAT(text, HasSubstr("code=\"NOT_FOUND\"} 1"));
  EXPECT_THAT(text, HasSubstr("le=\"1e-05\"} 1"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 2"));
  EXPECT_THAT(text, HasSubstr("starling_depth{queue=\"a\\\"b\"} 2.5"));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes"));
}

TEST(Metrics, KeepAFamilyBounded) {
  Metrics metrics;
  for (int i = 0; i < 5'000; ++i)
    metrics.AddCounter("starling_many_total", "Many", {{"id", std::to_string(i)}}).Add();
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("starling_many_total{id=\"other\"} 4000"));
}

TEST(Tracer, SamplesRootsByRatioAndFollowsTheParent) {
  Tracer tracer({.sampling_ratio = 0.25});
  int sampled = 0;
  for (int i = 0; i < 10'000; ++i)
    sampled += tracer.Start("root", Span::kServer, {}).recording() ? 1 : 0;
  EXPECT_NEAR(sampled, 2'500, 250);
  TraceContext parent = TraceContext::NewRoot();
  EXPECT_FALSE(tracer.Start("child", Span::kServer, parent).recording());
  parent.sampled = true;
  Span child = tracer.Start("child", Span::kServer, parent);
  EXPECT_TRUE(child.recording());
  EXPECT_EQ(child.context().trace_low, parent.trace_low);
}

TEST(Tracer, DropsAndCountsBeyondItsQueue) {
  Tracer tracer({.sampling_ratio = 1.0, .queue_limit = 10, .recent_limit = 4});
  tracer.SetExporting(true);
  for (int i = 0; i < 25; ++i) tracer.Start("s", Span::kInternal, {}).End(OkStatus());
  EXPECT_EQ(tracer.dropped(), 15u);
  EXPECT_EQ(tracer.Take(100).size(), 10u);
  EXPECT_EQ(tracer.Recent().size(), 4u);
}

TEST(Otlp, WritesTheJsonThatACollectorReads) {
  Tracer tracer({.sampling_ratio = 1.0});
  Span root = tracer.Start("root", Span::kServer, {});
  Span child = tracer.Start("child \"q\"", Span::kClient, root.context());
  child.SetAttribute("product_id", "p\n1");
  child.End(NotFound("no product 'x'"));
  root.End(OkStatus());
  simdjson::dom::parser parser;
  const std::string text = OtlpJson(tracer.Recent(), "starling", "1.0");
  simdjson::dom::element document;
  ASSERT_EQ(parser.parse(text).get(document), simdjson::SUCCESS) << text;
  const auto spans = document["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"];
  EXPECT_EQ(std::string_view(spans.at(0)["name"]), "child \"q\"");
  EXPECT_EQ(std::string_view(spans.at(0)["parentSpanId"]), root.context().SpanIdHex());
  EXPECT_EQ(int64_t(spans.at(0)["status"]["code"]), 2);
  EXPECT_EQ(std::string_view(spans.at(0)["attributes"].at(0)["value"]["stringValue"]), "p\n1");
  EXPECT_EQ(std::string_view(spans.at(1)["traceId"]), root.context().TraceIdHex());
}

TEST(Otlp, TriesAgainThenCountsWhatItLost) {
  Tracer tracer({.sampling_ratio = 1.0});
  int calls = 0;
  int failures = 2;
  OtlpExporter exporter(tracer, {.retry_pause = std::chrono::microseconds(10)},
                        [&](std::string) -> Task<Status> {
                          ++calls;
                          co_return calls <= failures ? Unavailable("no collector") : OkStatus();
                        });
  tracer.Start("a", Span::kInternal, {}).End(OkStatus());
  boost::asio::io_context context;
  Spawn(context.get_executor(), exporter.Run());
  while (exporter.sent() == 0) context.run_one();
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(exporter.lost(), 0u);
  tracer.Start("b", Span::kInternal, {}).End(OkStatus());
  failures = 100;
  Spawn(context.get_executor(), exporter.Stop(std::chrono::seconds(1)));
  while (exporter.lost() == 0) context.run_one();
  EXPECT_EQ(exporter.sent(), 1u);
}

}  // namespace
}  // namespace starling::telemetry
