#include "platform/gateway/cache/rules/http_date.h"

namespace starling::gateway {
namespace {

constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::string_view kDays = "MonTueWedThuFriSatSun";
constexpr std::string_view kLongDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                          "Friday", "Saturday", "Sunday"};

// Reads a text from its begin; after the first thing that is not there, nothing is.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void Expect(std::string_view expected) {
    ok_ = ok_ && text_.starts_with(expected);
    if (ok_) text_.remove_prefix(expected.size());
  }
  int Number(size_t digits) {
    int value = 0;
    ok_ = ok_ && text_.size() >= digits;
    for (size_t i = 0; ok_ && i < digits; ++i) {
      ok_ = text_[i] >= '0' && text_[i] <= '9';
      value = value * 10 + (text_[i] - '0');
    }
    if (ok_) text_.remove_prefix(digits);
    return value;
  }
  // The place of the next three letters in a list of such, from 0.
  int OneOf(std::string_view names) {
    const size_t at = text_.size() < 3 ? std::string_view::npos : names.find(text_.substr(0, 3));
    ok_ = ok_ && at != std::string_view::npos && at % 3 == 0;
    if (!ok_) return 0;
    text_.remove_prefix(3);
    return static_cast<int>(at / 3);
  }
  bool Skip(std::string_view if_there) {
    if (!text_.starts_with(if_there)) return false;
    text_.remove_prefix(if_there.size());
    return true;
  }
  bool ended() const { return ok_ && text_.empty(); }

 private:
  std::string_view text_;
  bool ok_ = true;
};

struct Date {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

void ReadTime(Reader& reader, Date& date) {
  date.hour = reader.Number(2);
  reader.Expect(":");
  date.minute = reader.Number(2);
  reader.Expect(":");
  date.second = reader.Number(2);
}

std::optional<TimePoint> ToTime(const Date& date) {
  using namespace std::chrono;  // NOLINT
  const year_month_day day(year(date.year), month(static_cast<unsigned>(date.month + 1)),
                           std::chrono::day(static_cast<unsigned>(date.day)));
  // 60: a leap second. A TimePoint ends in 2262.
  if (!day.ok() || date.hour > 23 || date.minute > 59 || date.second > 60 || date.year > 2261 ||
      date.year < 1678) {
    return std::nullopt;
  }
  return TimePoint(sys_days(day)) + hours(date.hour) + minutes(date.minute) + seconds(date.second);
}

std::optional<TimePoint> Fixdate(std::string_view text) {
  Reader reader(text);
  Date date;
  reader.OneOf(kDays);
  reader.Expect(", ");
  date.day = reader.Number(2);
  reader.Expect(" ");
  date.month = reader.OneOf(kMonths);
  reader.Expect(" ");
  date.year = reader.Number(4);
  reader.Expect(" ");
  ReadTime(reader, date);
  reader.Expect(" GMT");
  return reader.ended() ? ToTime(date) : std::nullopt;
}

std::optional<TimePoint> Rfc850(std::string_view text, TimePoint now) {
  Reader reader(text);
  bool day_of_week = false;
  for (const std::string_view name : kLongDays) day_of_week = day_of_week || reader.Skip(name);
  if (!day_of_week) return std::nullopt;
  Date date;
  reader.Expect(", ");
  date.day = reader.Number(2);
  reader.Expect("-");
  date.month = reader.OneOf(kMonths);
  reader.Expect("-");
  const int of_century = reader.Number(2);
  reader.Expect(" ");
  ReadTime(reader, date);
  reader.Expect(" GMT");
  if (!reader.ended()) return std::nullopt;
  const std::chrono::year_month_day today(std::chrono::floor<std::chrono::days>(now));
  const int this_year = static_cast<int>(today.year());
  date.year = this_year / 100 * 100 + of_century;
  if (date.year > this_year + 50) date.year -= 100;
  return ToTime(date);
}

std::optional<TimePoint> Asctime(std::string_view text) {
  Reader reader(text);
  Date date;
  reader.OneOf(kDays);
  reader.Expect(" ");
  date.month = reader.OneOf(kMonths);
  reader.Expect(" ");
  date.day = reader.Skip(" ") ? reader.Number(1) : reader.Number(2);
  reader.Expect(" ");
  ReadTime(reader, date);
  reader.Expect(" ");
  date.year = reader.Number(4);
  return reader.ended() ? ToTime(date) : std::nullopt;
}

}  // namespace

std::optional<TimePoint> ParseHttpDate(std::string_view text, TimePoint now) {
  if (text.size() < 4) return std::nullopt;
  if (text[3] == ',') return Fixdate(text);
  if (text[3] == ' ') return Asctime(text);
  return Rfc850(text, now);
}

}  // namespace starling::gateway
