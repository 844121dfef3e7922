#include "platform/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <latch>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "platform/base/status.h"

namespace starling::telemetry {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Exposition {
  std::map<std::string, double> samples;  // by name and labels, as written
  std::map<std::string, std::string> types;
  std::vector<std::string> problems;
};

// Reads the text format as a scraper does: "# TYPE name type" once before the family's samples,
// then "series value".
Exposition Read(const std::string& text) {
  Exposition result;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      std::string name, type;
      words >> name >> type;
      if (!result.types.emplace(name, type).second)
        result.problems.push_back("two families " + name);
      continue;
    }
    if (line.empty() || line.starts_with('#')) continue;
    const size_t end = line.rfind(' ');
    char* rest = nullptr;
    const double value = std::strtod(line.c_str() + end + 1, &rest);
    if (end == std::string::npos || *rest != '\0') result.problems.push_back("no sample: " + line);
    if (!result.samples.emplace(line.substr(0, end), value).second)
      result.problems.push_back("twice: " + line);
  }
  return result;
}

TEST(Exposition, ReadsBackAsWhatWasRecorded) {
  Metrics metrics;
  metrics.AddCounter("starling_rows_total", "Rows", {{"source", "csv"}}).Add(41);
  metrics.AddGauge("starling_depth", "Depth").Set(-2.5);
  Histogram& histogram = metrics.AddHistogram("starling_wait_seconds", "Wait");
  histogram.Observe(std::chrono::microseconds(1));
  histogram.Observe(std::chrono::nanoseconds(1'001));
  histogram.Observe(std::chrono::seconds(11));
  metrics.AddCallback("starling_read_total", "Read", {}, [] { return 7; });

  const Exposition read = Read(metrics.Expose());
  EXPECT_THAT(read.problems, testing::IsEmpty());
  EXPECT_EQ(read.types.at("starling_rows_total"), "counter");
  EXPECT_EQ(read.types.at("starling_depth"), "gauge");
  EXPECT_EQ(read.types.at("starling_wait_seconds"), "histogram");
  EXPECT_EQ(read.types.at("starling_read_total"), "counter");
  EXPECT_EQ(read.samples.at("starling_rows_total{source=\"csv\"}"), 41);
  EXPECT_EQ(read.samples.at("starling_depth"), -2.5);
  EXPECT_EQ(read.samples.at("starling_read_total"), 7);
  EXPECT_EQ(read.samples.at("starling_wait_seconds_bucket{le=\"1e-06\"}"), 1);
  EXPECT_EQ(read.samples.at("starling_wait_seconds_bucket{le=\"2.5e-06\"}"), 2);
  EXPECT_EQ(read.samples.at("starling_wait_seconds_bucket{le=\"10\"}"), 2);
  EXPECT_EQ(read.samples.at("starling_wait_seconds_bucket{le=\"+Inf\"}"), 3);
  EXPECT_EQ(read.samples.at("starling_wait_seconds_count"), 3);
  EXPECT_NEAR(read.samples.at("starling_wait_seconds_sum"), 11.000002001, 1e-9);
}

TEST(Exposition, StaysOneSampleALineWhateverALabelHolds) {
  Metrics metrics;
  metrics.AddGauge("starling_depth", "Depth", {{"queue", "a\"b\\c\nforged 1\xff"}}).Set(1);
  const Exposition read = Read(metrics.Expose());
  EXPECT_THAT(read.problems, testing::IsEmpty());
  EXPECT_EQ(read.samples.count("forged"), 0u);
  EXPECT_EQ(read.samples.at("starling_depth{queue=\"a\\\"b\\\\c\\nforged 1\xef\xbf\xbd\"}"), 1);
}

TEST(Exposition, TellsOfTheProcess) {
  const Exposition read = Read(Metrics().Expose());
  EXPECT_GT(read.samples.at("process_resident_memory_bytes"), 100'000);
  EXPECT_GT(read.samples.at("process_virtual_memory_bytes"),
            read.samples.at("process_resident_memory_bytes"));
  EXPECT_GT(read.samples.at("process_cpu_seconds_total"), 0);
  EXPECT_GE(read.samples.at("process_open_fds"), 1);
  EXPECT_GE(read.samples.at("process_max_fds"), read.samples.at("process_open_fds"));
  EXPECT_GE(read.samples.at("process_threads"), 1);
  const auto now = std::chrono::duration<double>(SystemClock().Now().time_since_epoch()).count();
  EXPECT_GT(read.samples.at("process_start_time_seconds"), now - 86'400);
  EXPECT_LT(read.samples.at("process_start_time_seconds"), now + 60);
  EXPECT_EQ(read.types.at("process_cpu_seconds_total"), "counter");
}

TEST(Exposition, RunsCallbacksThatUseTheMetricsThemselves) {
  Metrics metrics;
  metrics.AddCallback("starling_self", "Self", {}, [&metrics] {
    metrics.AddCounter("starling_scrapes_total", "Scrapes").Add();
    return 1;
  });
  metrics.Expose();
  EXPECT_THAT(metrics.Expose(), HasSubstr("starling_scrapes_total 1\n"));
}

TEST(Histogram, PutsEachDurationIntoTheFirstBucketThatHoldsIt) {
  std::mt19937_64 random(7);
  std::vector<int64_t> durations = {-5, 0, 1, INT64_MAX / 32};
  for (const int64_t bound : Histogram::kBounds)
    durations.insert(durations.end(), {bound - 1, bound, bound + 1});
  for (int i = 0; i < 2'000; ++i)
    durations.push_back(static_cast<int64_t>(random() >> (random() % 60 + 4)));
  for (const int64_t ns : durations) {
    Histogram histogram;
    histogram.Observe(Duration(ns));
    size_t expected = 0;
    while (expected < Histogram::kBuckets && ns > Histogram::kBounds[expected]) ++expected;
    EXPECT_EQ(histogram.Sum().counts[expected], 1u) << ns << " ns";
  }
}

TEST(MethodMetrics, CountCodesErrorsAndCallsInFlight) {
  Metrics metrics;
  MethodMetrics& method = metrics.AddMethod("catalog", "GetProduct");
  for (int i = 0; i < 5; ++i) method.Begin();
  method.Record(StatusCode::kOk, std::chrono::milliseconds(1));
  method.Record(StatusCode::kNotFound, std::chrono::milliseconds(1));
  method.Record(StatusCode::kUnavailable, std::chrono::milliseconds(1));
  method.Record(static_cast<StatusCode>(99), std::chrono::milliseconds(1));
  const Exposition read = Read(metrics.Expose());
  EXPECT_THAT(read.problems, testing::IsEmpty());
  const std::string labels = "service=\"catalog\",method=\"GetProduct\"";
  EXPECT_EQ(read.samples.at("starling_rpc_requests_total{" + labels + ",code=\"OK\"}"), 1);
  EXPECT_EQ(read.samples.at("starling_rpc_requests_total{" + labels + ",code=\"UNKNOWN\"}"), 1);
  EXPECT_EQ(read.samples.at("starling_rpc_errors_total{" + labels + "}"), 2);
  EXPECT_EQ(read.samples.at("starling_rpc_in_flight{" + labels + "}"), 1);
  EXPECT_EQ(read.samples.at("starling_rpc_duration_seconds_count{" + labels + "}"), 4);
}

TEST(MethodMetrics, HasNoCallsInFlightWhenNobodySaysThatTheyBegin) {
  MethodMetrics method;
  method.Record(StatusCode::kOk, std::chrono::milliseconds(1));
  EXPECT_EQ(method.InFlight(), 0u);
}

TEST(MethodMetrics, AddUpExactlyWhileScraped) {
  Metrics metrics;
  MethodMetrics& method = metrics.AddMethod("s", "m");
  std::latch start(5);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      for (int i = 0; i < 5'000; ++i) {
        method.Begin();
        method.Record(t % 2 == 0 ? StatusCode::kOk : StatusCode::kInternal,
                      std::chrono::microseconds(i));
      }
    });
  }
  start.arrive_and_wait();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Read(metrics.Expose()).problems, testing::IsEmpty());
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(method.Count(StatusCode::kOk), 10'000u);
  EXPECT_EQ(method.Errors(), 10'000u);
  EXPECT_EQ(method.InFlight(), 0u);
  EXPECT_EQ(method.duration().Sum().count, 20'000u);
}

TEST(Metrics, GiveTheSameSeriesForTheSameLabelsInAnyOrder) {
  Metrics metrics;
  Counter& one = metrics.AddCounter("starling_x_total", "X", {{"a", "1"}, {"b", "2"}});
  Counter& same = metrics.AddCounter("starling_x_total", "X", {{"b", "2"}, {"a", "1"}});
  Counter& other = metrics.AddCounter("starling_x_total", "X", {{"a", "2"}, {"b", "1"}});
  EXPECT_EQ(&one, &same);
  EXPECT_NE(&one, &other);
}

TEST(Metrics, SayHowManyLabelSetsWereRefused) {
  Metrics metrics;
  for (int i = 0; i < 1'010; ++i)
    metrics.AddCounter("starling_many_total", "Many", {{"id", std::to_string(i)}});
  const Exposition read = Read(metrics.Expose());
  EXPECT_EQ(
      read.samples.at("starling_metrics_label_sets_refused_total{metric=\"starling_many_total\"}"),
      10);
  EXPECT_THAT(Metrics().Expose(), Not(HasSubstr("refused")));
}

TEST(MetricsDeathTest, RefuseWhatPrometheusCouldNotRead) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Metrics metrics;
  metrics.AddCounter("starling_x_total", "X");
  EXPECT_DEATH(metrics.AddGauge("starling_x_total", "X"), "starling_x_total.*two kinds");
  EXPECT_DEATH(metrics.AddCounter("starling-x", "X"), "starling-x.*refuses this name");
  EXPECT_DEATH(metrics.AddCounter("starling_y_total", "Y", {{"a b", "c"}}), "a b");
}

}  // namespace
}  // namespace starling::telemetry
