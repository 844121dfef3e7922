#include "platform/telemetry/log_writer.h"

#include <pthread.h>
#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <thread>

namespace starling::log {
namespace {

constexpr size_t kMaxLines = 8'192;
constexpr size_t kMaxBytes = size_t{8} << 20;

bool ShowsColours(Output::Kind kind) {
  if (kind == Output::kFile) return false;
  // Nothing in a process of ours changes its environment.
  if (std::getenv("NO_COLOR") != nullptr) return false;  // NOLINT(concurrency-mt-unsafe)
  return isatty(kind == Output::kStdout ? STDOUT_FILENO : STDERR_FILENO) == 1;
}

std::shared_ptr<spdlog::sinks::sink> MakeSink(const Output& output) {
  std::shared_ptr<spdlog::sinks::sink> sink;
  switch (output.kind) {
    case Output::kStderr:
      sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
      break;
    case Output::kStdout:
      sink = std::make_shared<spdlog::sinks::stdout_sink_st>();
      break;
    case Output::kFile:
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_st>(
          output.path, output.max_bytes, static_cast<size_t>(output.max_files));
      break;
  }
  // Lines come ready, with their end.
  sink->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, ""));
  return sink;
}

}  // namespace

// spdlog's sinks throw; this one says how many lines it lost.
class LogWriter::Sink {
 public:
  explicit Sink(std::shared_ptr<spdlog::sinks::sink> sink) : sink_(std::move(sink)) {}

  uint64_t Write(const std::vector<std::string>& lines) {
    uint64_t lost = 0;
    for (const std::string& line : lines) {
      try {
        sink_->log(spdlog::details::log_msg(spdlog::source_loc{}, "", spdlog::level::info, line));
      } catch (const std::exception&) {
        ++lost;
      }
    }
    try {
      sink_->flush();
    } catch (const std::exception&) {
      lost = lines.size();
    }
    return lost;
  }

 private:
  const std::shared_ptr<spdlog::sinks::sink> sink_;
};

LogWriter& LogWriter::Get() {
  static LogWriter* const writer = [] {
    auto* made = new LogWriter;
    std::atexit([] { Get().Flush(std::chrono::seconds(1)); });
    return made;
  }();
  return *writer;
}

LogWriter::LogWriter()
    : sink_(std::make_shared<Sink>(MakeSink({}))), coloured_(ShowsColours(Output::kStderr)) {
  // Never joined: it may be held by a terminal that nobody reads, which must not keep the process
  // from ending.
  std::thread thread([this] { Work(); });
  pthread_setname_np(thread.native_handle(), "log");
  thread.detach();
}

bool LogWriter::Push(std::string line) {
  const std::lock_guard lock(mutex_);
  if (waiting_lines_ >= kMaxLines || waiting_bytes_ + line.size() > kMaxBytes) return false;
  ++waiting_lines_;
  ++pushed_;
  waiting_bytes_ += line.size();
  queue_.push_back(std::move(line));
  if (queue_.size() == 1) changed_.notify_all();
  return true;
}

Status LogWriter::SetOutput(const Output& output) {
  if (output.kind == Output::kFile &&
      (output.path.empty() || output.max_bytes == 0 || output.max_files < 0)) {
    return InvalidArgument(
        "log file '{}' of at most {} bytes with {} older ones: it needs a path, room and no "
        "negative count",
        output.path, output.max_bytes, output.max_files);
  }
  std::shared_ptr<Sink> sink;
  try {
    sink = std::make_shared<Sink>(MakeSink(output));
  } catch (const std::exception& error) {
    return FailedPrecondition(
        "log file '{}' cannot be opened: {}; check that its folder exists and may be written to",
        output.path, error.what());
  }
  const std::lock_guard lock(mutex_);
  sink_.swap(sink);
  coloured_ = ShowsColours(output.kind);
  return OkStatus();
}

bool LogWriter::Flush(Duration limit) {
  // By the wall clock: waiting by the monotonic one is a call that TSan of GCC 12 does not know.
  const auto end = std::chrono::system_clock::now() + limit;
  std::unique_lock lock(mutex_);
  const uint64_t target = pushed_;
  return changed_.wait_until(lock, end, [&] { return written_ >= target; });
}

void LogWriter::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return !queue_.empty(); });
    std::vector<std::string> lines;
    lines.swap(queue_);
    const std::shared_ptr<Sink> sink = sink_;
    lock.unlock();
    size_t bytes = 0;
    for (const std::string& line : lines) bytes += line.size();
    failed_ += sink->Write(lines);
    lock.lock();
    waiting_lines_ -= lines.size();
    waiting_bytes_ -= bytes;
    written_ += lines.size();
    changed_.notify_all();
  }
}

}  // namespace starling::log
