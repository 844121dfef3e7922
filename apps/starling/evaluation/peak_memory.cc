#include "apps/starling/evaluation/peak_memory.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

// tcmalloc's, where the program is linked with it (docs/decisions/010-allocator.md).
extern "C" __attribute__((weak)) void MallocExtension_ReleaseFreeMemory();

namespace starling {
namespace {

// A line of /proc/self/status, "VmRSS:     1940 kB", in bytes; 0 when there is none.
uint64_t StatusLine(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(name)) continue;
    const size_t digits = line.find_first_of("0123456789");
    if (digits == std::string::npos) break;
    return std::strtoull(line.c_str() + digits, nullptr, 10) * 1'024;
  }
  return 0;
}

}  // namespace

void PeakMemory::Begin() {
  if (MallocExtension_ReleaseFreeMemory != nullptr) MallocExtension_ReleaseFreeMemory();
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
  resident_ = StatusLine("VmRSS:");
}

uint64_t PeakMemory::End() const { return std::max(StatusLine("VmHWM:"), resident_) - resident_; }

}  // namespace starling
