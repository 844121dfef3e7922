// How fast events become durable, beside how fast the disk itself syncs, in one run: ./dev bench
// events
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <latch>

#include "platform/base/id.h"
#include "platform/messaging/embedded_event_log.h"

namespace starling::messaging {
namespace {

constexpr Duration kTime = std::chrono::seconds(2);

Event Make() {
  Event event{.id = NewId(), .source = "/bench", .type = "starling.bench.v1"};
  event.partitionkey = std::to_string(FastRandom() % 1000);
  event.data.assign(200, 'x');
  return event;
}

// Appends of one event's size, each followed by fdatasync, by one thread.
double RawSyncs(const std::filesystem::path& folder) {
  const int file = open((folder / "raw").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
  const std::string bytes(300, 'x');
  int count = 0;
  const Instant start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kTime) {
    if (write(file, bytes.data(), bytes.size()) < 0 || fdatasync(file) != 0) return 0;
    ++count;
  }
  close(file);
  return count / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Appends(EventLog& log, Runtime& runtime, int writers, size_t batch) {
  std::atomic<int64_t> count{0};
  std::latch done(writers);
  const Instant start = std::chrono::steady_clock::now();
  for (int w = 0; w < writers; ++w) {
    Spawn(runtime.NextExecutor(),
          [](EventLog& log, size_t batch, Instant until, std::atomic<int64_t>& count,
             std::latch& done) -> Task<void> {
            while (std::chrono::steady_clock::now() < until) {
              std::vector<Event> events;
              for (size_t i = 0; i < batch; ++i) events.push_back(Make());
              const auto appended = co_await log.AppendBatch("bench", std::move(events));
              if (appended.ok()) count += static_cast<int64_t>(batch);
            }
            done.count_down();
          }(log, batch, start + kTime, count, done));
  }
  done.wait();
  return static_cast<double>(count) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int Main(int argc, char** argv) {
  const std::filesystem::path folder =
      std::filesystem::path(argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string()) /
      ("starling-bench-" + NewId());
  std::filesystem::create_directories(folder);
  {
    Runtime runtime({.io_threads = 2});
    telemetry::Telemetry telemetry;
    auto log = OpenEmbeddedEventLog(folder / "log", {}, runtime, telemetry);
    if (!log.ok()) {
      fmt::print(stderr, "{}\n", ToString(log.status()));
      return 1;
    }
    const double raw = RawSyncs(folder);
    const double one = Appends(**log, runtime, 1, 1);
    const double many = Appends(**log, runtime, 64, 1);
    const double batched = Appends(**log, runtime, 2, 1'000);
    fmt::print("{:<44} {:>12} {:>10}\n", "event log (events of 200 bytes)", "events/s", "ratio");
    fmt::print("{:<44} {:>12.0f} {:>10.2f}\n", "the disk's raw write + fdatasync", raw, 1.0);
    fmt::print("{:<44} {:>12.0f} {:>10.2f}\n", "single events, 1 writer", one, one / raw);
    fmt::print("{:<44} {:>12.0f} {:>10.2f}\n", "single events, 64 writers", many, many / raw);
    fmt::print("{:<44} {:>12.0f} {:>10.2f}\n", "batches of 1,000, 2 writers", batched,
               batched / raw);
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace starling::messaging

int main(int argc, char** argv) { return starling::messaging::Main(argc, argv); }
