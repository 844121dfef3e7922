// The signals of a process, which one thread waits for.
//
//   int main() {
//     host::BlockSignals();
//     ...                       // threads are made
//     host::WaitForEnd([&] { ReadConfigurationAgain(); });
//   }
#pragma once

#include <functional>

namespace starling::host {

// Blocks SIGTERM, SIGINT and SIGHUP for the threads to come, and lets threads of before pass them
// on to this one; call it first in main. Also: who writes to a connection that was closed gets an
// error, no SIGPIPE.
void BlockSignals();
// On the thread that called BlockSignals: returns at SIGTERM or SIGINT, after which a second one
// ends the process at once. Calls on_hangup at each SIGHUP; those that come meanwhile are one.
void WaitForEnd(const std::function<void()>& on_hangup);

}  // namespace starling::host
