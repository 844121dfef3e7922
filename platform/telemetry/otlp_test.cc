#include "platform/telemetry/otlp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <limits>

#include "platform/async/runtime.h"
#include "platform/telemetry/telemetry.h"

namespace starling::telemetry {
namespace {

using testing::HasSubstr;

void Finish(Tracer& tracer, int count) {
  for (int i = 0; i < count; ++i) tracer.Start("s", Span::kInternal, {}).End(OkStatus());
}

size_t SpansIn(const std::string& body) {
  simdjson::dom::parser parser;
  simdjson::dom::array spans;
  if (parser.parse(body)["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"].get(spans) !=
      simdjson::SUCCESS)
    return 0;
  return spans.size();
}

TEST(OtlpJson, IsReadableWhateverASpanHolds) {
  Tracer tracer({.sampling_ratio = 1.0});
  tracer.SetExporting(true);
  Span span = tracer.Start("a\"b", Span::kProducer, {});
  span.SetAttribute("broken", std::string("\xff\xc0\x01\n\"\\"));
  span.SetAttribute("integer", std::numeric_limits<int64_t>::min());
  span.SetAttribute("number", 0.5);
  span.SetAttribute("endless", std::numeric_limits<double>::infinity());
  span.SetAttribute("flag", true);
  span.AddEvent("cache miss");
  span.End(Internal("bad byte \xfe"));
  const std::string text = OtlpJson(tracer.Take(10), "star\"ling", "");

  simdjson::dom::parser parser;
  simdjson::dom::element document;
  ASSERT_EQ(parser.parse(text).get(document), simdjson::SUCCESS) << text;
  const auto resource = document["resourceSpans"].at(0);
  EXPECT_EQ(std::string_view(resource["resource"]["attributes"].at(0)["value"]["stringValue"]),
            "star\"ling");
  const auto read = resource["scopeSpans"].at(0)["spans"].at(0);
  EXPECT_EQ(int64_t(read["kind"]), 4);
  EXPECT_EQ(std::string_view(read["traceId"]).size(), 32u);
  EXPECT_EQ(std::string_view(read["spanId"]).size(), 16u);
  EXPECT_EQ(read["parentSpanId"].error(), simdjson::NO_SUCH_FIELD);
  EXPECT_EQ(std::string_view(read["attributes"].at(0)["value"]["stringValue"]),
            "\xef\xbf\xbd\xef\xbf\xbd\x01\n\"\\");
  EXPECT_EQ(std::string_view(read["attributes"].at(1)["value"]["intValue"]),
            "-9223372036854775808");
  EXPECT_EQ(double(read["attributes"].at(2)["value"]["doubleValue"]), 0.5);
  EXPECT_EQ(std::string_view(read["attributes"].at(3)["value"]["doubleValue"]), "Infinity");
  EXPECT_TRUE(bool(read["attributes"].at(4)["value"]["boolValue"]));
  EXPECT_EQ(std::string_view(read["events"].at(0)["name"]), "cache miss");
  EXPECT_EQ(std::string_view(read["status"]["message"]), "INTERNAL: bad byte \xef\xbf\xbd");
}

TEST(OtlpJson, GivesUnixTimeAsText) {
  Tracer tracer({.sampling_ratio = 1.0});
  tracer.SetExporting(true);
  const Instant start = std::chrono::steady_clock::now();
  tracer.StartAt("s", Span::kInternal, {}, start)
      .EndAt(OkStatus(), start + std::chrono::milliseconds(5));
  const std::string text = OtlpJson(tracer.Take(1), "s", "1");
  simdjson::dom::parser parser;
  const auto span = parser.parse(text)["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"].at(0);
  const int64_t begun = std::stoll(std::string(std::string_view(span["startTimeUnixNano"])));
  const int64_t ended = std::stoll(std::string(std::string_view(span["endTimeUnixNano"])));
  EXPECT_EQ(ended - begun, 5'000'000);
  const int64_t now = SystemClock().Now().time_since_epoch().count();
  EXPECT_NEAR(static_cast<double>(begun), static_cast<double>(now), 3.6e12);
}

// What a collector saw; the exporter under test may outlive no part of it.
struct Collector {
  std::vector<std::string> bodies;
  Status answer = OkStatus();
  OtlpExporter::Send Send() {
    return [this](std::string body) -> Task<Status> {
      bodies.push_back(std::move(body));
      co_return answer;
    };
  }
};

TEST(OtlpExporter, SendsAllThatIsQueuedWhenItStops) {
  Tracer tracer({.sampling_ratio = 1.0});
  Collector collector;
  OtlpExporter exporter(tracer, {}, collector.Send());
  Finish(tracer, 1'100);
  RunSync(exporter.Stop(std::chrono::seconds(30)));
  ASSERT_EQ(collector.bodies.size(), 3u);
  EXPECT_EQ(SpansIn(collector.bodies[0]), 512u);
  EXPECT_EQ(SpansIn(collector.bodies[2]), 76u);
  EXPECT_EQ(exporter.sent(), 1'100u);
  EXPECT_EQ(exporter.lost(), 0u);
}

TEST(OtlpExporter, StopsARunThatWaitsForItsInterval) {
  Tracer tracer({.sampling_ratio = 1.0});
  Collector collector;
  OtlpExporter exporter(tracer, {.interval = std::chrono::hours(1)}, collector.Send());
  boost::asio::io_context context;
  Spawn(context.get_executor(), exporter.Run());
  context.poll();  // until it sleeps
  Finish(tracer, 3);
  Spawn(context.get_executor(), exporter.Stop(std::chrono::hours(1)));
  context.run();  // ends only when both have
  EXPECT_EQ(exporter.sent(), 3u);
}

TEST(OtlpExporter, GivesUpOnASendThatHangsAndCountsWhatIsLost) {
  Tracer tracer({.sampling_ratio = 1.0});
  auto release = std::make_shared<Completion<Status>>();
  auto exporter = std::make_unique<OtlpExporter>(
      tracer, OtlpExporter::Options{}, [release](std::string) -> Task<Status> {
        co_return co_await Suspend<Status>(
            [&release](Completion<Status> completion) { *release = std::move(completion); });
      });
  Finish(tracer, 600);
  boost::asio::io_context context;
  bool stopped = false;
  Spawn(context.get_executor(), [](OtlpExporter& exporter, bool& stopped) -> Task<void> {
    co_await exporter.Stop(std::chrono::milliseconds(1));
    stopped = true;
  }(*exporter, stopped));
  while (!stopped) context.run_one();
  EXPECT_EQ(exporter->sent(), 0u);
  EXPECT_EQ(exporter->lost(), 600u);
  exporter.reset();
  (*release)(OkStatus());  // the answer comes when nobody waits for it any more
  context.run();
}

TEST(OtlpExporter, DoesNotTryAgainWhatTheCollectorRefusesForGood) {
  Tracer tracer({.sampling_ratio = 1.0});
  Collector collector{.answer = Unauthenticated("no key")};
  OtlpExporter exporter(
      tracer, {.interval = std::chrono::hours(1), .retry_pause = std::chrono::microseconds(1)},
      collector.Send());
  Finish(tracer, 5);
  boost::asio::io_context context;
  Spawn(context.get_executor(), exporter.Run());
  context.poll();
  EXPECT_EQ(collector.bodies.size(), 1u);
  EXPECT_EQ(exporter.lost(), 5u);
}

TEST(OtlpExporter, StopsTryingAgainWhenItsBudgetIsSpent) {
  Tracer tracer({.sampling_ratio = 1.0});
  Collector collector{.answer = Unavailable("down")};
  OtlpExporter exporter(tracer, {.interval = std::chrono::hours(1), .retry_pause = Duration(1)},
                        collector.Send());
  Finish(tracer, 512 * 8);
  boost::asio::io_context context;
  Spawn(context.get_executor(), exporter.Run());
  while (exporter.lost() < uint64_t{512} * 8) context.run_one();
  // Eight batches have one try each, and ten more between them instead of sixteen.
  EXPECT_EQ(collector.bodies.size(), 18u);
}

TEST(OtlpExporter, OutlivesTheThreadsThatItRanOn) {
  Tracer tracer({.sampling_ratio = 1.0});
  Collector collector;
  OtlpExporter exporter(tracer, {.interval = std::chrono::hours(1)}, collector.Send());
  {
    boost::asio::io_context context;
    Spawn(context.get_executor(), exporter.Run());
    context.poll();  // until it sleeps, and its coroutine is destroyed there
  }
  Finish(tracer, 3);
  RunSync(exporter.Stop(std::chrono::hours(1)));
  EXPECT_EQ(exporter.sent(), 3u);
}

TEST(OtlpExporter, CountsATransportThatThrowsAsAFailure) {
  Tracer tracer({.sampling_ratio = 1.0});
  OtlpExporter exporter(tracer, {}, [](std::string) -> Task<Status> {
    throw std::runtime_error("socket");
    co_return OkStatus();
  });
  Finish(tracer, 2);
  RunSync(exporter.Stop(std::chrono::seconds(30)));
  EXPECT_EQ(exporter.lost(), 2u);
}

TEST(OtlpExporter, AccountsForEverySpanWhileThreadsTraceAndItStopsOnAnother) {
  Runtime runtime({.io_threads = 2, .blocking_threads = 1});
  Telemetry telemetry({.sampling_ratio = 1.0, .queue_limit = 300});
  std::atomic<uint64_t> received{0};
  OtlpExporter& exporter = telemetry.ExportTo({.interval = std::chrono::microseconds(100)},
                                              [&received](std::string body) -> Task<Status> {
                                                received += SpansIn(body);
                                                co_return OkStatus();
                                              });
  Spawn(runtime.executor(0), exporter.Run());
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int t = 0; t < 3; ++t) threads.emplace_back([&] { Finish(telemetry.tracer(), 2'000); });
  for (std::thread& thread : threads) thread.join();
  runtime
      .Block([](OtlpExporter& exporter) -> Task<Status> {
        co_await exporter.Stop(std::chrono::seconds(30));
        co_return OkStatus();
      }(exporter))
      .IgnoreError();
  EXPECT_EQ(exporter.sent(), received.load());
  EXPECT_EQ(exporter.sent() + exporter.lost() + telemetry.tracer().dropped(), 6'000u);
  EXPECT_THAT(
      telemetry.metrics().Expose(),
      HasSubstr(fmt::format("starling_telemetry_spans_exported_total {}\n", exporter.sent())));
}

}  // namespace
}  // namespace starling::telemetry
