// One line that says how far long work is, on a terminal; nothing elsewhere.
//
//   ProgressBar bar;
//   bar.Show("events", 0.45, 661'000);     // at most ten times a second
//   bar.Clear();
//
//   events    [===========             ]  45 %     661,000 rows    52,000/s    0:14 left
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace starling {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar() { Clear(); }
  // `fraction` from 0 to 1; `rows` of which the speed is shown, or -1.
  void Show(std::string_view what, double fraction, int64_t rows);
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;
  const bool shown_;
  std::string what_;
  Clock::time_point began_{}, drawn_{};
  bool on_screen_ = false;
};

// 1,469,307
std::string WithCommas(int64_t number);

}  // namespace starling
