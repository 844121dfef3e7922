// The thread that writes log lines, behind log.h: a bounded queue before an spdlog sink.
//
// Push never waits for the sink. At the bound (8,192 lines or 8 MiB that wait or are being written)
// it takes nothing and says so. A sink that fails (a full disk) loses its lines; they count as
// dropped. One object, never destroyed: lines may come from the last destructor of the process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/telemetry/log.h"

namespace starling::log {

class LogWriter {
 public:
  static LogWriter& Get();

  [[nodiscard]] bool Push(std::string line);
  Status SetOutput(const Output& output);
  bool Flush(Duration limit);
  // Whether the output is a terminal that shows colours.
  bool coloured() const { return coloured_.load(std::memory_order_relaxed); }
  uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  class Sink;
  LogWriter();
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> queue_;
  size_t waiting_lines_ = 0;  // with those being written
  size_t waiting_bytes_ = 0;
  uint64_t pushed_ = 0;
  uint64_t written_ = 0;
  std::shared_ptr<Sink> sink_;
  std::atomic<bool> coloured_{false};
  std::atomic<uint64_t> failed_{0};
};

}  // namespace starling::log
