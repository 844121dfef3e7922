// A line of JSON for each request, or for some.
//
//   auto log = AccessLog::Open({.file = "access.jsonl", .sample = 0.1}).value();
//   server_options.observer = [&](const http::Exchange& exchange, Duration took) {
//     log->Write(exchange, took);
//   };
//
//   {"time":"2026-01-02T03:04:05.250Z","method":"GET","path":"/v1/products/7","route":
//    "/v1/products/{id}","status":200,"bytes":512,"us":87,"from":"10.0.0.9","host":"shop.example",
//    "agent":"curl/8","trace_id":"4bf9..."}
//
// What a request may keep secret is not in it: no query, no other header field, no body. A sampled
// log has every answer of 500 and above all the same. `bytes` is of the answer's body; of a stream
// whose length was not known it is missing.
//
// A line goes into a buffer of its io thread (0.4 us), and a thread of the log writes the buffers
// every 200 ms, or when one has 256 KiB. A disk that is slower than the requests loses lines, never
// holds a request: above 8 MiB a thread they are dropped, and dropped() counts them. A file that
// was moved or removed is made anew within a second, so that it can be rotated by renaming it. The
// rest is written when the log goes. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "platform/base/status.h"
#include "platform/http/exchange.h"

namespace starling::gateway {

class AccessLog {
 public:
  struct Options {
    std::string file;     // "-": stderr
    double sample = 1.0;  // of requests
  };
  // UNAVAILABLE or FAILED_PRECONDITION name the file that cannot be written.
  static StatusOr<std::unique_ptr<AccessLog>> Open(Options options);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;

  void Write(const http::Exchange& exchange, Duration took);
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kBuffers = 16;
  struct alignas(64) Buffer {
    std::mutex mutex;
    std::string text;
  };
  AccessLog(Options options, int file);
  void Run();
  void WriteOut();
  void OpenAgain();

  const Options options_;
  int file_;
  std::array<Buffer, kBuffers> buffers_;
  std::atomic<uint64_t> dropped_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool full_ = false;
  bool ending_ = false;
  std::thread writer_;
};

}  // namespace starling::gateway
