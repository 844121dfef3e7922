// Whether ctrl-C or SIGTERM waits to be heard: for long work that ends well at its next step.
// BlockSignals comes first, so that a signal waits instead of ending the process. One that
// the process was begun to ignore does not count, as ctrl-C for what a script put into the
// background: while it is blocked it waits as others do.
#pragma once

#include <csignal>

namespace starling {

inline bool Interrupted() {
  sigset_t pending;
  sigpending(&pending);
  const auto waits = [&](int signal) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    return sigismember(&pending, signal) == 1 && action.sa_handler != SIG_IGN;
  };
  return waits(SIGINT) || waits(SIGTERM);
}

}  // namespace starling
