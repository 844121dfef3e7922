#include "platform/json/time_text.h"

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <limits>

namespace starling::json {
namespace {

constexpr int64_t kFirstSecond = -62'135'596'800;  // 0001-01-01T00:00:00Z
constexpr int64_t kLastSecond = 253'402'300'799;   // 9999-12-31T23:59:59Z
constexpr int64_t kLongestDuration = 315'576'000'000;
constexpr int32_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kSecondsPerDay = 86'400;

// `value` in exactly `width` digits.
void AppendDigits(int64_t value, int width, std::string& out) {
  const size_t begin = out.size();
  out.resize(begin + static_cast<size_t>(width));
  for (size_t at = out.size(); at > begin; value /= 10)
    out[--at] = static_cast<char>('0' + value % 10);
}

void AppendDecimals(int32_t nanos, std::string& out) {
  if (nanos == 0) return;
  out += '.';
  if (nanos % 1'000'000 == 0) {
    AppendDigits(nanos / 1'000'000, 3, out);
  } else if (nanos % 1'000 == 0) {
    AppendDigits(nanos / 1'000, 6, out);
  } else {
    AppendDigits(nanos, 9, out);
  }
}

// Takes text from the front; every function gives nothing when the text does not fit.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // A number of exactly `width` digits between the bounds.
  std::optional<int> Digits(size_t width, int least, int most) {
    if (rest_.size() < width) return std::nullopt;
    int value = 0;
    for (const char c : rest_.substr(0, width)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(width);
    if (value < least || value > most) return std::nullopt;
    return value;
  }
  // ".5" as nanoseconds; zero when there is no point.
  std::optional<int32_t> Decimals() {
    if (!Take('.')) return 0;
    int32_t nanos = 0;
    size_t count = 0;
    for (; count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9'; ++count) {
      if (count == 9) return std::nullopt;
      nanos = nanos * 10 + (rest_[count] - '0');
    }
    if (count == 0) return std::nullopt;
    rest_.remove_prefix(count);
    for (; count < 9; ++count) nanos *= 10;
    return nanos;
  }
  std::optional<int64_t> Seconds() {
    int64_t value = 0;
    const bool digit = !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9';
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (!digit || error != std::errc()) return std::nullopt;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace

std::optional<std::string> TimestampText(SecondsAndNanos time) {
  if (time.seconds < kFirstSecond || time.seconds > kLastSecond || time.nanos < 0 ||
      time.nanos >= kNanosPerSecond) {
    return std::nullopt;
  }
  int64_t day = time.seconds / kSecondsPerDay;
  int64_t second = time.seconds % kSecondsPerDay;
  if (second < 0) {
    second += kSecondsPerDay;
    --day;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  std::string text;
  text.reserve(30);
  AppendDigits(static_cast<int>(date.year()), 4, text);
  text += '-';
  AppendDigits(static_cast<unsigned>(date.month()), 2, text);
  text += '-';
  AppendDigits(static_cast<unsigned>(date.day()), 2, text);
  text += 'T';
  AppendDigits(second / 3600, 2, text);
  text += ':';
  AppendDigits(second / 60 % 60, 2, text);
  text += ':';
  AppendDigits(second % 60, 2, text);
  AppendDecimals(time.nanos, text);
  text += 'Z';
  return text;
}

std::optional<SecondsAndNanos> ParseTimestamp(std::string_view text) {
  Scanner scanner(text);
  const std::optional<int> year = scanner.Digits(4, 1, 9999);
  if (!year || !scanner.Take('-')) return std::nullopt;
  const std::optional<int> month = scanner.Digits(2, 1, 12);
  if (!month || !scanner.Take('-')) return std::nullopt;
  const std::optional<int> day = scanner.Digits(2, 1, 31);
  if (!day || !scanner.Take('T')) return std::nullopt;
  const std::optional<int> hour = scanner.Digits(2, 0, 23);
  if (!hour || !scanner.Take(':')) return std::nullopt;
  const std::optional<int> minute = scanner.Digits(2, 0, 59);
  if (!minute || !scanner.Take(':')) return std::nullopt;
  const std::optional<int> second = scanner.Digits(2, 0, 59);
  if (!second) return std::nullopt;
  const std::optional<int32_t> nanos = scanner.Decimals();
  if (!nanos) return std::nullopt;
  int64_t offset = 0;
  if (!scanner.Take('Z')) {
    const bool east = scanner.Take('+');
    if (!east && !scanner.Take('-')) return std::nullopt;
    const std::optional<int> hours = scanner.Digits(2, 0, 23);
    if (!hours || !scanner.Take(':')) return std::nullopt;
    const std::optional<int> minutes = scanner.Digits(2, 0, 59);
    if (!minutes) return std::nullopt;
    offset = (east ? 1 : -1) * (int64_t{*hours} * 3600 + int64_t{*minutes} * 60);
  }
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!scanner.AtEnd() || !date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  const int64_t seconds =
      days * kSecondsPerDay + int64_t{*hour} * 3600 + int64_t{*minute} * 60 + *second - offset;
  if (seconds < kFirstSecond || seconds > kLastSecond) return std::nullopt;
  return SecondsAndNanos{seconds, *nanos};
}

std::optional<std::string> DurationText(SecondsAndNanos duration) {
  const auto [seconds, nanos] = duration;
  if (seconds < -kLongestDuration || seconds > kLongestDuration || nanos <= -kNanosPerSecond ||
      nanos >= kNanosPerSecond || (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0)) {
    return std::nullopt;
  }
  std::string text;
  if (seconds < 0 || nanos < 0) text += '-';
  text += std::to_string(std::abs(seconds));
  AppendDecimals(std::abs(nanos), text);
  text += 's';
  return text;
}

std::optional<SecondsAndNanos> ParseDuration(std::string_view text) {
  Scanner scanner(text);
  const bool negative = scanner.Take('-');
  const std::optional<int64_t> seconds = scanner.Seconds();
  if (!seconds || *seconds > kLongestDuration) return std::nullopt;
  const std::optional<int32_t> nanos = scanner.Decimals();
  if (!nanos || !scanner.Take('s') || !scanner.AtEnd()) return std::nullopt;
  return negative ? SecondsAndNanos{-*seconds, -*nanos} : SecondsAndNanos{*seconds, *nanos};
}

}  // namespace starling::json
