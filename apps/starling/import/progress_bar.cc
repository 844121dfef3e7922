#include "apps/starling/import/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace starling {

ProgressBar::ProgressBar() : shown_(isatty(STDERR_FILENO) == 1) {}

void ProgressBar::Show(std::string_view what, double fraction, int64_t rows) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (what != what_) {
    what_ = what;
    began_ = now;
  } else if (now - drawn_ < std::chrono::milliseconds(100)) {
    return;
  }
  drawn_ = now;
  constexpr int kWidth = 24;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const double seconds = std::chrono::duration<double>(now - began_).count();
  std::string line =
      fmt::format("\r\033[K{:<10}[{:<{}}] {:>3.0f} %", what_,
                  std::string(static_cast<size_t>(fraction * kWidth), '='), kWidth, fraction * 100);
  if (rows >= 0) {
    line += fmt::format(" {:>12} rows", WithCommas(rows));
    if (seconds > 0.5)
      line += fmt::format(" {:>10}/s",
                          WithCommas(static_cast<int64_t>(static_cast<double>(rows) / seconds)));
  }
  if (fraction > 0.02 && seconds > 1) {
    const auto left = static_cast<int>(seconds / fraction * (1 - fraction));
    line += fmt::format("  {}:{:02} left", left / 60, left % 60);
  }
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  on_screen_ = true;
}

void ProgressBar::Clear() {
  if (!on_screen_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  on_screen_ = false;
}

std::string WithCommas(int64_t number) {
  std::string digits = std::to_string(number < 0 ? -number : number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return number < 0 ? "-" + digits : digits;
}

}  // namespace starling
