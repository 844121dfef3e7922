#include "platform/telemetry/process_metrics.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

#include "platform/telemetry/metrics.h"

namespace starling::telemetry {
namespace {

// Field `number` of /proc/self/stat, counted from 1 as proc(5) does. The second is the program's
// name in parentheses, which may itself hold spaces and parentheses.
double StatField(int number) {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string field;
  for (int i = 3; i <= number; ++i) fields >> field;
  return std::strtod(field.c_str(), nullptr);
}

double ResidentBytes() { return StatField(24) * static_cast<double>(sysconf(_SC_PAGESIZE)); }
double VirtualBytes() { return StatField(23); }
double Threads() { return StatField(20); }

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double OpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  // One of those is the listing's own.
  return error ? 0 : static_cast<double>(std::distance(begin(files), end(files)) - 1);
}

double MaxFiles() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<double>(limit.rlim_cur) : 0;
}

double StartTime() {
  std::ifstream file("/proc/stat");
  std::string word;
  double boot = 0;
  while (file >> word) {
    if (word == "btime") {
      file >> boot;
      break;
    }
  }
  return boot + StatField(22) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

void AddProcessMetrics(Metrics& metrics) {
  metrics.AddCallback("process_resident_memory_bytes", "Memory in use", {}, ResidentBytes);
  metrics.AddCallback("process_virtual_memory_bytes", "Address space in use", {}, VirtualBytes);
  metrics.AddCallback("process_cpu_seconds_total", "Processor time used", {}, CpuSeconds);
  metrics.AddCallback("process_open_fds", "Open file descriptors", {}, OpenFiles);
  metrics.AddCallback("process_max_fds", "File descriptors that may be open", {}, MaxFiles);
  metrics.AddCallback("process_threads", "Threads", {}, Threads);
  metrics.AddCallback("process_start_time_seconds", "When the process started, Unix time", {},
                      [start = StartTime()] { return start; });
}

}  // namespace starling::telemetry
