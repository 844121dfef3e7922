#include "apps/starling/import/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace starling {

namespace {

constexpr auto kBarEvery = std::chrono::milliseconds(100);
constexpr auto kLineEvery = std::chrono::seconds(10);

// "" while too little is known to say it.
std::string Speed(int64_t rows, double seconds) {
  if (rows < 0 || seconds <= 0.5) return "";
  return WithCommas(static_cast<int64_t>(static_cast<double>(rows) / seconds)) + "/s";
}
std::string Left(double fraction, double seconds) {
  if (fraction <= 0.02 || seconds <= 1) return "";
  const auto left = static_cast<int>(seconds / fraction * (1 - fraction));
  return fmt::format("{}:{:02} left", left / 60, left % 60);
}

}  // namespace

ProgressBar::ProgressBar()
    : ProgressBar(stderr, isatty(STDERR_FILENO) == 1 ? Kind::kBar : Kind::kLines, Clock::now) {}

ProgressBar::ProgressBar(std::FILE* out, Kind kind, std::function<Clock::time_point()> now)
    : out_(out), kind_(kind), now_(std::move(now)) {
  // The first line comes after ten seconds, the first bar at once.
  if (kind_ == Kind::kLines) drawn_ = now_();
}

void ProgressBar::Show(std::string_view what, double fraction, int64_t rows) {
  const Clock::time_point now = now_();
  const bool next = what != what_;
  if (next) {
    what_ = what;
    began_ = now;
  }
  // A bar shows what is next at once; a log is not to fill with lines of what takes a moment.
  const bool due =
      kind_ == Kind::kBar ? next || now - drawn_ >= kBarEvery : now - drawn_ >= kLineEvery;
  if (!due) return;
  drawn_ = now;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const double seconds = std::chrono::duration<double>(now - began_).count();
  on_screen_ = kind_ == Kind::kBar;
  std::fputs((on_screen_ ? Bar(fraction, rows, seconds) : Line(fraction, rows, seconds)).c_str(),
             out_);
  std::fflush(out_);
}

std::string ProgressBar::Bar(double fraction, int64_t rows, double seconds) const {
  constexpr int kWidth = 24;
  std::string line =
      fmt::format("\r\033[K{:<10}[{:<{}}] {:>3.0f} %", what_,
                  std::string(static_cast<size_t>(fraction * kWidth), '='), kWidth, fraction * 100);
  if (rows >= 0) line += fmt::format(" {:>12} rows {:>12}", WithCommas(rows), Speed(rows, seconds));
  if (const std::string left = Left(fraction, seconds); !left.empty()) line += "  " + left;
  return line;
}

std::string ProgressBar::Line(double fraction, int64_t rows, double seconds) const {
  std::string line = fmt::format("{}: {:.0f} %", what_, fraction * 100);
  if (rows >= 0) line += fmt::format(", {} rows", WithCommas(rows));
  for (const std::string& more : {Speed(rows, seconds), Left(fraction, seconds)}) {
    if (!more.empty()) line += ", " + more;
  }
  return line + "\n";
}

void ProgressBar::Clear() {
  if (!on_screen_) return;
  std::fputs("\r\033[K", out_);
  std::fflush(out_);
  on_screen_ = false;
}

std::string WithCommas(int64_t number) {
  std::string digits = std::to_string(number < 0 ? -number : number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return number < 0 ? "-" + digits : digits;
}

}  // namespace starling
