// A server with one trivial route, to be measured from outside; bench/compare_nginx.sh runs it
// against nginx.
//
//   bench_http [port] [io threads]
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "platform/http/server.h"

namespace starling::http {
namespace {

int Serve(uint16_t port, int threads) {
  Runtime runtime({.io_threads = threads});
  Router router;
  const Status added = router.Add(Verb::kGet, "/x", [](Exchange& exchange) -> Task<void> {
    exchange.response.headers.Add("content-type", "text/plain");
    exchange.response.body = "hello\n";
    co_return;
  });
  if (!added.ok()) return 1;
  Server server(runtime, {.port = port}, std::make_shared<const Router>(std::move(router)));
  const StatusOr<uint16_t> bound = server.Start();
  if (!bound.ok()) {
    std::fprintf(stderr, "%s\n", ToString(bound.status()).c_str());
    return 1;
  }
  std::printf("listening on %d\n", *bound);
  std::fflush(stdout);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}

}  // namespace
}  // namespace starling::http

int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return starling::http::Serve(argc > 1 ? static_cast<uint16_t>(std::atoi(argv[1])) : 0,
                               argc > 2 ? std::atoi(argv[2]) : 1);
}
