// How far long work is: one line that is drawn anew on a terminal, elsewhere (a CI's log, a file) a
// plain line every ten seconds.
//
//   ProgressBar bar;                       // on stderr
//   bar.Show("events", 0.45, 661'000);     // at most ten times a second
//   bar.Clear();
//
//   events    [===========             ]  45 %     661,000 rows     52,000/s  0:14 left
//   events: 45 %, 661,000 rows, 52,000/s, 0:14 left
//
// Work of less than ten seconds leaves no line. Used by one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace starling {

class ProgressBar {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Kind { kBar, kLines };

  ProgressBar();
  ProgressBar(std::FILE* out, Kind kind, std::function<Clock::time_point()> now);
  ~ProgressBar() { Clear(); }
  // `fraction` from 0 to 1; `rows` of which the speed is shown, or -1.
  void Show(std::string_view what, double fraction, int64_t rows);
  // Takes the bar off the terminal; lines stay.
  void Clear();

 private:
  std::string Bar(double fraction, int64_t rows, double seconds) const;
  std::string Line(double fraction, int64_t rows, double seconds) const;

  std::FILE* const out_;
  const Kind kind_;
  const std::function<Clock::time_point()> now_;
  std::string what_;
  Clock::time_point began_{}, drawn_{};  // began_: of what_
  bool on_screen_ = false;
};

// 1,469,307
std::string WithCommas(int64_t number);

}  // namespace starling
