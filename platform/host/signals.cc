#include "platform/host/signals.h"

#include <pthread.h>

#include <csignal>

#include "platform/telemetry/log.h"

namespace starling::host {
namespace {

pthread_t waiting_thread;

// A library may have made threads before main, in which no signal is blocked. One that comes to
// them goes on to the thread that waits. Only what POSIX calls async-signal-safe.
void SendOn(int signal) { pthread_kill(waiting_thread, signal); }

sigset_t AwaitedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = AwaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiting_thread = pthread_self();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) std::signal(signal, SendOn);
  }
  std::signal(SIGPIPE, SIG_IGN);
  // A file that may not grow (RLIMIT_FSIZE) is an error of that write, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
}

void WaitForEnd(const std::function<void()>& on_hangup) {
  const sigset_t signals = AwaitedSignals();
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGHUP) {
      on_hangup();
      continue;
    }
    log::Info("host", "stopping: {} came", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    for (const int other : {SIGTERM, SIGINT, SIGHUP}) std::signal(other, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    return;
  }
}

}  // namespace starling::host
