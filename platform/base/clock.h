// Time, as the code asks for it, so that a test can say what time it is.
//
//   CatalogService(..., const Clock& clock = SystemClock());
//   FakeClock clock(ParseRfc3339("2026-01-02T03:04:05Z").value());
//   clock.Advance(std::chrono::hours(1));
//
// Wall time (TimePoint) is for what people and other machines see; monotonic time (Instant) is for
// deadlines and durations, since wall clocks jump. All clocks are thread-safe. A read costs about
// 20 ns.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace starling {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;
using Instant = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  virtual Instant MonotonicNow() const = 0;
};

// The machine's clock; lives for ever.
const Clock& SystemClock();

// A clock that moves only when told to.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(TimePoint start) : wall_(start.time_since_epoch().count()) {}
  TimePoint Now() const override { return TimePoint(Duration(wall_.load())); }
  Instant MonotonicNow() const override { return Instant(Duration(monotonic_.load())); }
  void Advance(Duration by) {
    wall_ += by.count();
    monotonic_ += by.count();
  }
  // The wall clock jumps (NTP, an operator); monotonic time does not.
  void JumpTo(TimePoint now) { wall_ = now.time_since_epoch().count(); }

 private:
  std::atomic<int64_t> wall_;
  std::atomic<int64_t> monotonic_{1'000'000'000};
};

// RFC 3339 in UTC with as many of 0, 3, 6 or 9 fraction digits as needed:
// "2026-01-02T03:04:05.250Z" (the proto3 JSON form of Timestamp). Years 0001 to 9999.
std::string FormatRfc3339(TimePoint time);

// Accepts any offset ("+02:00") and 0 to 9 fraction digits; nullopt for anything else.
std::optional<TimePoint> ParseRfc3339(std::string_view text);

// "250ms", "1.5s", "10m", "2h", "1d" <-> duration. Parse: nullopt when there is no unit or it does
// not fit.
std::optional<Duration> ParseDuration(std::string_view text);
std::string FormatDuration(Duration duration);

}  // namespace starling
