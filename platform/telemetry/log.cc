#include "platform/telemetry/log.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "platform/base/clock.h"

namespace starling::log {
namespace {

constexpr uint64_t kLinesASecond = 1'000;
constexpr std::string_view kLevelNames[] = {"debug", "info", "warning", "error", "off"};
constexpr std::string_view kColours[] = {"\x1b[2m", "", "\x1b[33m", "\x1b[31m", ""};

std::atomic<int> g_level{static_cast<int>(Level::kInfo)};
std::atomic<int> g_format{static_cast<int>(Format::kHuman)};
std::atomic<void (*)(std::string_view)> g_sink{nullptr};

void AppendEscaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
}

bool IsSecret(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const std::string_view word : {"password", "secret", "token", "authorization", "cookie", "api_key", "apikey"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return lower == "key" || lower.ends_with("_key");
}

// How many lines a component wrote in this second, and how many it lost in the one before.
class Rate {
 public:
  // nullopt when the line is too many; else the number of lines dropped since the last.
  std::optional<uint64_t> Take(const std::string& component, int64_t second) {
    const std::lock_guard lock(mutex_);
    State& state = components_.size() < 256 ? components_[component] : components_[""];
    if (state.second != second) {
      state.second = second;
      state.lines = 0;
    }
    if (++state.lines > kLinesASecond) {
      ++state.dropped;
      return std::nullopt;
    }
    return std::exchange(state.dropped, 0);
  }

 private:
  struct State {
    int64_t second = 0;
    uint64_t lines = 0;
    uint64_t dropped = 0;
  };
  std::mutex mutex_;
  std::map<std::string, State> components_;
};

void Write(std::string_view line) {
  if (const auto sink = g_sink.load(); sink != nullptr) {
    sink(line);
    return;
  }
  while (!line.empty()) {
    const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    if (written <= 0) return;  // nowhere left to say so
    line.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

void Configure(Options options) {
  g_level = static_cast<int>(options.level);
  g_format = static_cast<int>(options.format);
}

bool Enabled(Level level) { return static_cast<int>(level) >= g_level.load(std::memory_order_relaxed); }

void SetSink(void (*sink)(std::string_view line)) { g_sink = sink; }

StatusOr<Level> ParseLevel(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Level::kOff); ++i) {
    if (name == kLevelNames[i]) return static_cast<Level>(i);
  }
  return InvalidArgument("'{}' is no log level; use debug, info, warning, error or off", name);
}

Line::Line(Level level, std::string_view component, std::string message) {
  if (level == Level::kOff) return;
  fields_ = std::make_unique<Fields>();
  fields_->level = level;
  fields_->component = component;
  fields_->message = std::move(message);
}

Line&& Line::With(const Status& status) && {
  if (fields_ != nullptr) fields_->extra.emplace_back("error", ToString(status));
  return std::move(*this);
}

Line&& Line::In(const telemetry::TraceContext& trace) && {
  if (fields_ != nullptr && trace.valid()) {
    fields_->extra.emplace_back("trace_id", trace.TraceIdHex());
    fields_->extra.emplace_back("span_id", trace.SpanIdHex());
  }
  return std::move(*this);
}

Line::~Line() {
  if (fields_ == nullptr) return;
  static Rate rate;
  const TimePoint now = std::chrono::floor<std::chrono::milliseconds>(SystemClock().Now());
  const auto dropped = rate.Take(fields_->component, now.time_since_epoch() / std::chrono::seconds(1));
  if (!dropped) return;
  if (*dropped > 0) fields_->extra.emplace_back("lines_dropped", std::to_string(*dropped));

  const auto level = static_cast<size_t>(fields_->level);
  std::string line;
  if (g_format.load() == static_cast<int>(Format::kJson)) {
    line = fmt::format(R"({{"time":"{}","level":"{}","component":"{}","message":")", FormatRfc3339(now),
                       kLevelNames[level], fields_->component);
    AppendEscaped(fields_->message, line);
    line += '"';
    for (const auto& [name, value] : fields_->extra) {
      line += ",\"";
      AppendEscaped(name, line);
      line += "\":\"";
      AppendEscaped(IsSecret(name) ? "***" : value, line);
      line += '"';
    }
    line += "}\n";
  } else {
    static const bool colour = isatty(STDERR_FILENO) == 1;
    const std::string time = FormatRfc3339(now);
    line = fmt::format("{} {}{:<7} {:<10}{} ", time, colour ? kColours[level] : "", kLevelNames[level],
                       fields_->component, colour && !kColours[level].empty() ? "\x1b[0m" : "");
    AppendEscaped(fields_->message, line);
    for (const auto& [name, value] : fields_->extra) {
      line += ' ';
      AppendEscaped(name, line);
      line += '=';
      AppendEscaped(IsSecret(name) ? "***" : value, line);
    }
    line += '\n';
  }
  Write(line);
}

}  // namespace starling::log
