#include "platform/gateway/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "platform/base/id.h"
#include "platform/telemetry/text.h"

namespace starling::gateway {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(200);
constexpr size_t kFull = 256 * 1024;
constexpr size_t kMost = 8 * 1024 * 1024;
constexpr size_t kLongest = 2048;  // bytes of a path or an agent

int OpenFile(const std::string& file) {
  return ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

void AppendNumber(uint64_t number, std::string& out) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), number);
  out.append(digits, end);
}

// The time of the wall clock, whose text changes once a millisecond at most.
void AppendNow(std::string& out) {
  thread_local int64_t shown = -1;
  thread_local std::string text;
  const TimePoint now = SystemClock().Now();
  const int64_t ms = std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()).count();
  if (ms != shown) {
    shown = ms;
    text = FormatRfc3339(TimePoint(std::chrono::milliseconds(ms)));
  }
  out.append(text);
}

void AppendText(std::string_view name, std::string_view value, std::string& out) {
  out.append(",\"").append(name).append("\":");
  telemetry::AppendJsonString(value.substr(0, kLongest), out);
}

}  // namespace

StatusOr<std::unique_ptr<AccessLog>> AccessLog::Open(Options options) {
  int file = STDERR_FILENO;
  if (options.file != "-") {
    file = OpenFile(options.file);
    if (file < 0) {
      return FailedPrecondition(
          "the access log {} cannot be written: {}; name a file in a folder that is there",
          options.file, std::strerror(errno));
    }
  }
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(options), file));
}

AccessLog::AccessLog(Options options, int file)
    : options_(std::move(options)), file_(file), writer_([this] { Run(); }) {}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  writer_.join();
  WriteOut();
  if (file_ != STDERR_FILENO && file_ >= 0) ::close(file_);
}

void AccessLog::Write(const http::Exchange& exchange, Duration took) {
  const http::Request& request = exchange.request;
  const http::Response& response = exchange.response;
  if (options_.sample < 1 && response.status < 500 &&
      static_cast<double>(FastRandom() >> 11) * 0x1.0p-53 >= options_.sample) {
    return;
  }
  Buffer& buffer = buffers_[static_cast<size_t>(request.thread_index) % kBuffers];
  bool full = false;
  {
    const std::lock_guard lock(buffer.mutex);
    std::string& out = buffer.text;
    if (out.size() > kMost) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    const bool was_full = out.size() > kFull;
    out.append("{\"time\":\"");
    AppendNow(out);
    out.append("\"");
    AppendText("method", request.verb_text, out);
    AppendText("path", request.path, out);
    if (!exchange.route.empty()) AppendText("route", exchange.route, out);
    out.append(",\"status\":");
    AppendNumber(static_cast<uint64_t>(response.status), out);
    if (response.length || !exchange.streaming()) {
      out.append(",\"bytes\":");
      AppendNumber(response.length.value_or(response.body.size()), out);
    }
    out.append(",\"us\":");
    AppendNumber(static_cast<uint64_t>(std::max<int64_t>(0, took / std::chrono::microseconds(1))),
                 out);
    AppendText("from", request.remote_address, out);
    if (const auto host = request.headers.Find("host")) AppendText("host", *host, out);
    if (const auto agent = request.headers.Find("user-agent")) AppendText("agent", *agent, out);
    if (const auto trace = response.headers.Find("traceparent"); trace && trace->size() == 55)
      AppendText("trace_id", trace->substr(3, 32), out);
    out.append("}\n");
    full = !was_full && out.size() > kFull;
  }
  if (!full) return;
  {
    const std::lock_guard lock(mutex_);
    full_ = true;
  }
  wake_.notify_one();
}

void AccessLog::Run() {
  Instant looked = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!ending_) {
    wake_.wait_for(lock, kPause, [this] { return full_ || ending_; });
    full_ = false;
    lock.unlock();
    if (std::chrono::steady_clock::now() - looked > std::chrono::seconds(1)) {
      looked = std::chrono::steady_clock::now();
      OpenAgain();
    }
    WriteOut();
    lock.lock();
  }
}

void AccessLog::WriteOut() {
  std::string text;
  for (Buffer& buffer : buffers_) {
    {
      const std::lock_guard lock(buffer.mutex);
      text.swap(buffer.text);
    }
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t written = ::write(file_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        // A full disk: what could not be written is lost, and counted.
        dropped_.fetch_add(static_cast<uint64_t>(std::count(rest.begin(), rest.end(), '\n')),
                           std::memory_order_relaxed);
        break;
      }
      rest.remove_prefix(static_cast<size_t>(written));
    }
    text.clear();
  }
}

void AccessLog::OpenAgain() {
  if (file_ == STDERR_FILENO) return;
  struct stat ours {
  }, named{};
  const bool same = ::fstat(file_, &ours) == 0 && ::stat(options_.file.c_str(), &named) == 0 &&
                    ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
  if (same) return;
  const int file = OpenFile(options_.file);
  if (file < 0) return;  // the old one takes lines as long as it can
  ::close(file_);
  file_ = file;
}

}  // namespace starling::gateway
