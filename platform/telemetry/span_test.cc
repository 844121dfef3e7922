#include "platform/telemetry/span.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

namespace starling::telemetry {
namespace {

uint64_t Seeded() {
  static std::mt19937_64 random(20260102);
  return random();
}
uint64_t Lowest() { return 0; }
uint64_t Highest() { return UINT64_MAX; }

std::shared_ptr<const SpanRecord> Last(const Tracer& tracer) {
  const auto recent = tracer.Recent();
  return recent.empty() ? nullptr : recent.back();
}

TEST(TraceContext, ReadsEveryDigitAndRefusesEveryOtherByte) {
  const std::string good = "00-0123456789abcdef0f1e2d3c4b5a6978-8796a5b4c3d2e1f0-00";
  const auto context = TraceContext::Parse(good);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_high, 0x0123456789abcdefu);
  EXPECT_EQ(context->trace_low, 0x0f1e2d3c4b5a6978u);
  EXPECT_EQ(context->span_id, 0x8796a5b4c3d2e1f0u);
  EXPECT_FALSE(context->sampled);
  EXPECT_EQ(context->TraceparentText().view(), good);
  EXPECT_EQ(context->ToTraceparent(), good);
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = good;
      text[at] = static_cast<char>(byte);
      const bool hex = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
      const bool dash = at == 2 || at == 35 || at == 52;
      // A later version of the same length is read; "ff" cannot come of changing one digit of "00".
      EXPECT_EQ(TraceContext::Parse(text).has_value(), dash ? byte == '-' : hex)
          << at << ' ' << byte;
    }
  }
}

TEST(TraceContext, FollowsTheVersionRules) {
  const std::string ids = "-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-";
  const struct {
    std::string header;
    bool accepted;
    bool sampled;
  } cases[] = {
      {"00" + ids + "01", true, true},
      {"00" + ids + "03", true, true},
      {"00" + ids + "02", true, false},
      {"00" + ids + "ff", true, true},
      {"00" + ids + "01-", false, false},
      {"00" + ids + "1", false, false},
      {"01" + ids + "01", true, true},
      {"cc" + ids + "01-what-comes", true, true},
      {"cc" + ids + "01.what-comes", false, false},
      {"ff" + ids + "01", false, false},
      {"fe" + ids + "00", true, false},
      {" 00" + ids + "01", false, false},
      {"00" + ids + "01 ", false, false},
      {"00" + ids + "0G", false, false},
  };
  for (const auto& [header, accepted, sampled] : cases) {
    const auto context = TraceContext::Parse(header);
    EXPECT_EQ(context.has_value(), accepted) << header;
    if (context) {
      EXPECT_EQ(context->sampled, sampled) << header;
    }
  }
}

TEST(Tracer, SamplesTheSharePromisedWithSeededRandomness) {
  for (const double ratio : {0.0, 0.01, 0.5, 0.9, 1.0}) {
    Tracer tracer({.sampling_ratio = ratio, .random = Seeded});
    constexpr int kRoots = 20'000;
    int sampled = 0;
    for (int i = 0; i < kRoots; ++i)
      sampled += tracer.Start("root", Span::kServer, {}).recording() ? 1 : 0;
    // Five standard deviations of a binomial.
    EXPECT_NEAR(sampled, kRoots * ratio, 5 * std::sqrt(kRoots * ratio * (1 - ratio))) << ratio;
  }
}

TEST(Tracer, SamplesByTheRandomNumberItIsGiven) {
  EXPECT_TRUE(Tracer({.sampling_ratio = 0.001, .random = Lowest})
                  .Start("r", Span::kServer, {})
                  .context()
                  .sampled);
  EXPECT_FALSE(Tracer({.sampling_ratio = 0.999, .random = Highest})
                   .Start("r", Span::kServer, {})
                   .context()
                   .sampled);
  EXPECT_FALSE(Tracer({.sampling_ratio = 0.0, .random = Lowest})
                   .Start("r", Span::kServer, {})
                   .context()
                   .sampled);
  EXPECT_TRUE(Tracer({.sampling_ratio = 1.0, .random = Highest})
                  .Start("r", Span::kServer, {})
                  .context()
                  .sampled);
}

TEST(Tracer, ChangesItsRatioForRootsToCome) {
  Tracer tracer({.sampling_ratio = 0.0});
  EXPECT_FALSE(tracer.Start("r", Span::kServer, {}).recording());
  tracer.SetSamplingRatio(1.0);
  EXPECT_TRUE(tracer.Start("r", Span::kServer, {}).recording());
}

TEST(Span, IsItsParentsChildAndARootHasNone) {
  Tracer tracer({.sampling_ratio = 1.0});
  Span root = tracer.Start("root", Span::kServer, {});
  Span child = tracer.Start("child", Span::kClient, root.context());
  const TraceContext context = child.context();
  child.End(OkStatus());
  EXPECT_EQ(Last(tracer)->parent_span_id, root.context().span_id);
  EXPECT_EQ(Last(tracer)->context, context);
  EXPECT_EQ(context.trace_high, root.context().trace_high);
  EXPECT_EQ(context.trace_low, root.context().trace_low);
  EXPECT_NE(context.span_id, root.context().span_id);
  root.End(Unavailable("gone"));
  EXPECT_EQ(Last(tracer)->parent_span_id, 0u);
  EXPECT_EQ(Last(tracer)->status, StatusCode::kUnavailable);
  EXPECT_EQ(Last(tracer)->message, "gone");
}

TEST(Span, EndsOnce) {
  Tracer tracer({.sampling_ratio = 1.0});
  Span span = tracer.Start("s", Span::kInternal, {});
  span.End(OkStatus());
  span.End(Internal("again"));
  EXPECT_FALSE(span.recording());
  EXPECT_EQ(tracer.Recent().size(), 1u);
}

TEST(Span, EndsAsCancelledWhenItIsDropped) {
  Tracer tracer({.sampling_ratio = 1.0});
  { const Span span = tracer.Start("dropped", Span::kInternal, {}); }
  ASSERT_EQ(tracer.Recent().size(), 1u);
  EXPECT_EQ(Last(tracer)->status, StatusCode::kCancelled);
  Span replaced = tracer.Start("replaced", Span::kInternal, {});
  replaced = tracer.Start("kept", Span::kInternal, {});
  EXPECT_EQ(Last(tracer)->name, "replaced");
  EXPECT_TRUE(replaced.recording());
}

TEST(Span, KeepsItsTimesAndBoundsWhatIsAttached) {
  Tracer tracer({.sampling_ratio = 1.0});
  const Instant start = Instant() + std::chrono::seconds(5);
  Span span = tracer.StartAt("s", Span::kInternal, {}, start);
  span.SetAttribute("access_token", "hunter2");
  span.SetAttribute("long", std::string(5'000, 'x'));
  for (int64_t i = 0; i < 20; ++i) span.SetAttribute("n", i);
  for (int i = 0; i < 20; ++i) span.AddEvent("tick");
  span.EndAt(OkStatus(), start + std::chrono::milliseconds(3));
  const auto record = Last(tracer);
  EXPECT_EQ(record->end - record->start, std::chrono::milliseconds(3));
  EXPECT_EQ(std::get<std::string>(record->attributes[0].second), "***");
  EXPECT_LT(std::get<std::string>(record->attributes[1].second).size(), 1'100u);
  EXPECT_EQ(std::get<int64_t>(record->attributes[3].second), 1);
  EXPECT_EQ(record->attributes.size(), 16u);
  EXPECT_EQ(record->dropped_attributes, 6u);
  EXPECT_EQ(record->events.size(), 16u);
  EXPECT_EQ(record->dropped_events, 4u);
}

TEST(Tracer, ShowsTheLastSpansOldestFirst) {
  Tracer tracer({.sampling_ratio = 1.0, .recent_limit = 3});
  for (const char* name : {"a", "b", "c", "d", "e"})
    tracer.Start(name, Span::kInternal, {}).End(OkStatus());
  std::vector<std::string_view> names;
  for (const auto& record : tracer.Recent()) names.push_back(record->name);
  EXPECT_THAT(names, testing::ElementsAre("c", "d", "e"));
}

TEST(Tracer, AccountsForEverySpanOfManyThreads) {
  Tracer tracer({.sampling_ratio = 1.0, .queue_limit = 1'000});
  tracer.SetExporting(true);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1'000; ++i) tracer.Start("s", Span::kInternal, {}).End(OkStatus());
    });
  }
  size_t taken = 0;
  for (int i = 0; i < 50; ++i) taken += tracer.Take(64).size();
  for (std::thread& thread : threads) thread.join();
  taken += tracer.Take(10'000).size();
  EXPECT_EQ(taken + tracer.dropped(), 4'000u);
}

}  // namespace
}  // namespace starling::telemetry
