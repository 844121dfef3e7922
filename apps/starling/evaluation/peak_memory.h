// How much memory a piece of work takes: what is resident at its peak beyond what was resident when
// it began.
//
//   PeakMemory peak;
//   peak.Begin();
//   ...fit a model...
//   uint64_t bytes = peak.End();
//
// Begin gives back to the system what the allocator keeps of earlier work, so that it does not hide
// what is taken now, and sets the kernel's own mark back (VmHWM of /proc/self/status, by
// /proc/self/clear_refs). So bytes count what was resident at once, with what the work leaves
// behind and what its libraries took for good; a piece that fits into holes of pages that others
// use costs nothing. Right to about a megabyte, as the kernel counts per processor. Where the mark
// cannot be set back it is of the whole process: too much, never too little. One at a time in a
// process.
#pragma once

#include <cstdint>

namespace starling {

class PeakMemory {
 public:
  void Begin();
  uint64_t End() const;

 private:
  uint64_t resident_ = 0;  // at Begin
};

}  // namespace starling
