// Whether ctrl-C or SIGTERM waits to be heard: for long work that ends well at its next step.
// Process::BlockSignals comes first, so that a signal waits instead of ending the process.
#pragma once

#include <csignal>

namespace starling {

inline bool Interrupted() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
}

}  // namespace starling
