#include "platform/tabular/time_format.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <ctime>

namespace starling::tabular {
namespace {

constexpr int kFirstYear = 1678;  // what nanoseconds in 64 bits hold in full
constexpr int kLastYear = 2261;
constexpr size_t kMaxTextBytes = 128;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::optional<TimePoint> FromSeconds(double seconds) {
  constexpr double kFirst = -9214560000.0;  // 1678-01-01
  constexpr double kLast = 9214646400.0;    // 2262-01-01
  if (!std::isfinite(seconds) || seconds < kFirst || seconds >= kLast) return std::nullopt;
  // To the microsecond: a double has no more for today's times.
  const double whole = std::floor(seconds);
  const auto micros = static_cast<int64_t>(std::llround((seconds - whole) * 1e6));
  return TimePoint(std::chrono::seconds(static_cast<int64_t>(whole)) +
                   std::chrono::microseconds(micros));
}

std::optional<TimePoint> FromCalendar(const tm& time) {
  const int year = time.tm_year + 1900;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(time.tm_mon + 1)),
                                         std::chrono::day(static_cast<unsigned>(time.tm_mday))};
  if (year < kFirstYear || year > kLastYear || !date.ok() || time.tm_sec > 59) return std::nullopt;
  return TimePoint(std::chrono::sys_days(date)) + std::chrono::hours(time.tm_hour) +
         std::chrono::minutes(time.tm_min) + std::chrono::seconds(time.tm_sec - time.tm_gmtoff);
}

std::optional<TimePoint> ParsePattern(std::string_view text, const std::string& pattern) {
  if (text.size() >= kMaxTextBytes) return std::nullopt;
  char terminated[kMaxTextBytes];
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  tm time{};
  time.tm_mday = 1;
  const char* const end = ::strptime(terminated, pattern.c_str(), &time);
  if (end != terminated + text.size()) return std::nullopt;
  return FromCalendar(time);
}

Status CheckPattern(const std::string& pattern) {
  const std::chrono::year_month_day date{std::chrono::year(2026), std::chrono::month(11),
                                         std::chrono::day(23)};
  const TimePoint sample = TimePoint(std::chrono::sys_days(date)) + std::chrono::hours(13);
  const time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(sample));
  tm time{};
  ::gmtime_r(&seconds, &time);
  char text[kMaxTextBytes];
  const size_t size = std::strftime(text, sizeof(text), pattern.c_str(), &time);
  const std::optional<TimePoint> back = ParsePattern({text, size}, pattern);
  const bool same_day = back.has_value() &&
                        std::chrono::floor<std::chrono::days>(*back) == std::chrono::sys_days(date);
  if (size > 0 && pattern.find('%') != std::string::npos && same_day) return OkStatus();
  return InvalidField("format",
                      "'{}' is neither auto, unix, unix_ms nor a pattern with day, month and year, "
                      "such as %d/%m/%Y %H:%M",
                      pattern);
}

}  // namespace

std::optional<TimePoint> ParseTimeText(std::string_view text) {
  // Made into RFC 3339, which platform/base reads.
  if (text.size() < 10 || text.size() > 40) return std::nullopt;
  int year = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, year);
  if (error != std::errc() || end != text.data() + 4 || year < kFirstYear || year > kLastYear) {
    return std::nullopt;
  }
  char full[64];
  size_t size = 0;
  const auto add = [&](std::string_view piece) {
    std::memcpy(full + size, piece.data(), piece.size());
    size += piece.size();
  };
  add(text.substr(0, 10));
  std::string_view rest = text.substr(10);
  if (rest.empty()) {
    add("T00:00:00Z");
    return ParseRfc3339({full, size});
  }
  if (rest.size() < 6 || (rest[0] != 'T' && rest[0] != 't' && rest[0] != ' ')) return std::nullopt;
  add("T");
  add(rest.substr(1, 5));
  rest.remove_prefix(6);
  if (rest.starts_with(':')) {
    size_t seconds = 1;
    while (seconds < rest.size() && (IsDigit(rest[seconds]) || rest[seconds] == '.')) ++seconds;
    add(rest.substr(0, seconds));
    rest.remove_prefix(seconds);
  } else {
    add(":00");
  }
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  if (rest.empty() || rest == "UTC") {
    add("Z");
  } else if (rest.size() == 5 && (rest[0] == '+' || rest[0] == '-') && IsDigit(rest[3])) {
    add(rest.substr(0, 3));
    add(":");
    add(rest.substr(3));
  } else {
    add(rest);
  }
  return ParseRfc3339({full, size});
}

StatusOr<TimeFormats> TimeFormats::Make(std::vector<std::string> formats) {
  TimeFormats made;
  if (formats.empty()) return made;
  for (const std::string& format : formats) {
    if (format == "auto" || format == "unix" || format == "unix_ms") continue;
    STARLING_RETURN_IF_ERROR(CheckPattern(format));
  }
  made.formats_ = std::move(formats);
  return made;
}

std::optional<TimePoint> TimeFormats::Parse(std::string_view text) const {
  for (const std::string& format : formats_) {
    std::optional<TimePoint> time;
    if (format == "auto") {
      time = ParseTimeText(text);
    } else if (format == "unix" || format == "unix_ms") {
      double number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error == std::errc() && end == text.data() + text.size()) {
        time = FromSeconds(format == "unix" ? number : number / 1000);
      }
    } else {
      time = ParsePattern(text, format);
    }
    if (time.has_value()) return time;
  }
  return std::nullopt;
}

std::optional<TimePoint> TimeFormats::ParseNumber(double number) const {
  for (const std::string& format : formats_) {
    if (format == "unix") return FromSeconds(number);
    if (format == "unix_ms") return FromSeconds(number / 1000);
  }
  return std::nullopt;
}

std::string TimeFormats::Expected() const { return fmt::format("{}", fmt::join(formats_, " or ")); }

}  // namespace starling::tabular
