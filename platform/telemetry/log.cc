#include "platform/telemetry/log.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <optional>

#include "platform/base/snapshot.h"
#include "platform/telemetry/log_writer.h"
#include "platform/telemetry/text.h"

namespace starling::log {
namespace {

using telemetry::AppendJsonString;
using telemetry::AppendPlain;

constexpr uint64_t kLinesASecond = 1'000;
constexpr size_t kMaxComponents = 256;  // beyond, they share one bound
constexpr size_t kMaxText = 8'192;
constexpr size_t kMaxFields = 32;
constexpr std::string_view kLevelNames[] = {"debug", "info", "warning", "error", "off"};
constexpr std::string_view kColours[] = {"\x1b[2m", "", "\x1b[33m", "\x1b[31m", ""};
constexpr std::string_view kOwnNames[] = {"time",     "level",   "component",    "message",
                                          "trace_id", "span_id", "lines_dropped"};

// How many lines a component wrote in this second, and how many it lost since its last.
class Rate {
 public:
  // nullopt when the line is too many; else the number of lines dropped since the last.
  std::optional<uint64_t> Take(std::string_view component, int64_t second) {
    const std::lock_guard lock(mutex_);
    State& state = Find(component);
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

  // Lines that went through here and were refused later.
  void Drop(std::string_view component, uint64_t lines) {
    const std::lock_guard lock(mutex_);
    Find(component).dropped += lines;
  }

 private:
  struct State {
    int64_t second = 0;
    uint64_t lines = 0;
    uint64_t dropped = 0;
  };
  State& Find(std::string_view component) {
    const auto found = components_.find(component);
    if (found != components_.end()) return found->second;
    return components_[components_.size() < kMaxComponents ? std::string(component)
                                                           : std::string()];
  }
  std::mutex mutex_;
  std::map<std::string, State, std::less<>> components_;
};

struct Process {
  Snapshot<Options> options{std::make_shared<const Options>()};
  std::atomic<bool> own_levels{false};  // whether a component has a level of its own
  std::atomic<Format> format{Format::kHuman};
  std::atomic<void (*)(std::string_view)> sink{nullptr};
  std::atomic<const Clock*> clock{&SystemClock()};
  std::atomic<uint64_t> dropped{0};
  Rate rate;
};

// Never destroyed: the last destructor of the process may log.
Process& Global() {
  static Process* const process = new Process;
  return *process;
}

// A value that could be read as two fields, or as none, stands in quotes.
bool NeedsQuotes(std::string_view value) {
  return value.empty() || value.find_first_of(" =\"\\") != std::string_view::npos;
}

}  // namespace

void Configure(Options options) {
  Process& process = Global();
  Level lowest = options.level;
  for (const auto& [component, level] : options.components) lowest = std::min(lowest, level);
  process.format = options.format;
  process.own_levels = !options.components.empty();
  process.options.store(std::make_shared<const Options>(std::move(options)));
  internal::lowest_level = static_cast<int>(lowest);
}

bool Enabled(Level level, std::string_view component) {
  if (!Enabled(level)) return false;
  if (!Global().own_levels.load(std::memory_order_relaxed)) return true;
  const std::shared_ptr<const Options> options = Global().options.load();
  const auto found = options->components.find(component);
  return level >= (found == options->components.end() ? options->level : found->second);
}

Status SetOutput(const Output& output) { return LogWriter::Get().SetOutput(output); }
bool Flush(Duration limit) { return LogWriter::Get().Flush(limit); }
uint64_t DroppedLines() { return Global().dropped.load() + LogWriter::Get().failed(); }

void SetSink(void (*sink)(std::string_view line)) { Global().sink = sink; }
void SetClock(const Clock* clock) { Global().clock = clock == nullptr ? &SystemClock() : clock; }

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
  fields_->message =
      message.size() > kMaxText ? telemetry::Shortened(message, kMaxText) : std::move(message);
}

void Line::Add(std::string_view name, std::string value, Kind kind) {
  if (fields_->extra.size() >= kMaxFields) return;
  const bool own =
      std::find(std::begin(kOwnNames), std::end(kOwnNames), name) != std::end(kOwnNames);
  if (telemetry::IsSecretName(name)) {
    value = telemetry::kMasked;
    kind = Kind::kText;
  } else if (value.size() > kMaxText) {
    value = telemetry::Shortened(value, kMaxText);
  }
  fields_->extra.push_back({std::string(name) + (own ? "_" : ""), std::move(value), kind});
}

Line&& Line::With(const Status& status) && {
  if (fields_ != nullptr) Add("error", ToString(status), Kind::kText);
  return std::move(*this);
}

Line&& Line::In(const telemetry::TraceContext& trace) && {
  if (fields_ != nullptr && trace.valid()) {
    fields_->extra.push_back({"trace_id", trace.TraceIdHex(), Kind::kText});
    fields_->extra.push_back({"span_id", trace.SpanIdHex(), Kind::kText});
  }
  return std::move(*this);
}

std::string Line::Json(const Fields& fields, TimePoint now) {
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","component":)", FormatRfc3339(now),
                                 kLevelNames[static_cast<size_t>(fields.level)]);
  AppendJsonString(fields.component, line);
  line += ",\"message\":";
  AppendJsonString(fields.message, line);
  for (const Field& field : fields.extra) {
    line += ',';
    AppendJsonString(field.name, line);
    line += ':';
    if (field.kind == Kind::kLiteral) {
      line += field.value;
    } else {
      AppendJsonString(field.value, line);
    }
  }
  return line + "}\n";
}

std::string Line::Human(const Fields& fields, TimePoint now) {
  const auto level = static_cast<size_t>(fields.level);
  const bool coloured =
      !kColours[level].empty() && Global().sink.load() == nullptr && LogWriter::Get().coloured();
  std::string line =
      fmt::format("{} {}{:<7}{} ", FormatRfc3339(now), coloured ? kColours[level] : "",
                  kLevelNames[level], coloured ? "\x1b[0m" : "");
  const size_t component = line.size();
  AppendPlain(fields.component, line);
  if (line.size() < component + 10) line.resize(component + 10, ' ');
  line += ' ';
  AppendPlain(fields.message, line);
  for (const Field& field : fields.extra) {
    line += ' ';
    AppendPlain(field.name, line);
    line += '=';
    if (NeedsQuotes(field.value)) {
      AppendJsonString(field.value, line);
    } else {
      AppendPlain(field.value, line);
    }
  }
  return line + '\n';
}

Line::~Line() {
  if (fields_ == nullptr) return;
  Process& process = Global();
  const TimePoint now = std::chrono::floor<std::chrono::milliseconds>(process.clock.load()->Now());
  const auto dropped =
      process.rate.Take(fields_->component, now.time_since_epoch() / std::chrono::seconds(1));
  if (!dropped) {
    ++process.dropped;
    return;
  }
  if (*dropped > 0)
    fields_->extra.push_back({"lines_dropped", std::to_string(*dropped), Kind::kLiteral});
  std::string line =
      process.format.load() == Format::kJson ? Json(*fields_, now) : Human(*fields_, now);
  if (const auto sink = process.sink.load(); sink != nullptr) {
    sink(line);
  } else if (!LogWriter::Get().Push(std::move(line))) {
    ++process.dropped;
    process.rate.Drop(fields_->component, *dropped + 1);
  }
}

}  // namespace starling::log
