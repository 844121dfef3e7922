#include "platform/base/clock.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>

namespace starling {
namespace {

class MachineClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::system_clock::now(); }
  Instant MonotonicNow() const override { return std::chrono::steady_clock::now(); }
};

bool Digits(std::string_view text, size_t at, size_t count, int& value) {
  if (at + count > text.size()) return false;
  value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  return true;
}

constexpr struct {
  std::string_view unit;
  int64_t nanoseconds;
} kUnits[] = {{"ns", 1},
              {"us", 1'000},
              {"ms", 1'000'000},
              {"s", 1'000'000'000},
              {"m", 60'000'000'000},
              {"h", 3'600'000'000'000},
              {"d", 86'400'000'000'000}};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

std::string FormatRfc3339(TimePoint time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss<Duration> clock(time - days);
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  const int64_t fraction = clock.subseconds().count();
  if (fraction == 0) return text + 'Z';
  if (fraction % 1'000'000 == 0) return text + fmt::format(".{:03}Z", fraction / 1'000'000);
  if (fraction % 1'000 == 0) return text + fmt::format(".{:06}Z", fraction / 1'000);
  return text + fmt::format(".{:09}Z", fraction);
}

std::optional<TimePoint> ParseRfc3339(std::string_view text) {
  int year, month, day, hour, minute, second;
  if (!Digits(text, 0, 4, year) || !Digits(text, 5, 2, month) || !Digits(text, 8, 2, day) ||
      !Digits(text, 11, 2, hour) || !Digits(text, 14, 2, minute) || !Digits(text, 17, 2, second)) {
    return std::nullopt;
  }
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':' || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok() || year == 0) return std::nullopt;
  size_t at = 19;
  int64_t fraction = 0;
  if (at < text.size() && text[at] == '.') {
    int64_t scale = 100'000'000;
    const size_t start = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
      if (at - start >= 9) return std::nullopt;
      fraction += (text[at] - '0') * scale;
    }
    if (at == start) return std::nullopt;
  }
  int offset_minutes = 0;
  if (at + 1 == text.size() && (text[at] == 'Z' || text[at] == 'z')) {
  } else if (at + 6 == text.size() && (text[at] == '+' || text[at] == '-') && text[at + 3] == ':') {
    int offset_hour, offset_minute;
    if (!Digits(text, at + 1, 2, offset_hour) || !Digits(text, at + 4, 2, offset_minute) ||
        offset_hour > 23 || offset_minute > 59) {
      return std::nullopt;
    }
    offset_minutes = offset_hour * 60 + offset_minute;
    if (text[at] == '-') offset_minutes = -offset_minutes;
  } else {
    return std::nullopt;
  }
  // TimePoint counts nanoseconds in 64 bits: 1677-09-21 to 2262-04-11.
  const std::chrono::seconds seconds = std::chrono::sys_days(date).time_since_epoch() +
                                       std::chrono::hours(hour) + std::chrono::minutes(minute) +
                                       std::chrono::seconds(second) -
                                       std::chrono::minutes(offset_minutes);
  if (seconds.count() > 9'223'372'035 || seconds.count() < -9'223'372'035) return std::nullopt;
  return TimePoint(Duration(seconds) + Duration(fraction));
}

std::optional<Duration> ParseDuration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  const std::string_view unit = text.substr(end - text.data());
  for (const auto& [name, nanoseconds] : kUnits) {
    if (unit != name) continue;
    const double value = number * static_cast<double>(nanoseconds);
    if (std::abs(value) > 9.2e18) return std::nullopt;
    return Duration(std::llround(value));
  }
  return std::nullopt;
}

std::string FormatDuration(Duration duration) {
  const int64_t nanoseconds = duration.count();
  if (nanoseconds == 0) return "0s";
  for (auto unit = std::rbegin(kUnits); unit != std::rend(kUnits); ++unit) {
    if (nanoseconds % unit->nanoseconds == 0) {
      return fmt::format("{}{}", nanoseconds / unit->nanoseconds, unit->unit);
    }
  }
  return fmt::format("{}ns", nanoseconds);
}

}  // namespace starling
