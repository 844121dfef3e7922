// Structured logs: one line a fact, for people or for machines.
//
//   log::Info("catalog", "loaded {} products", count);
//   log::Warning("http", "slow request").With("path", path).With("ms", 812).In(context.trace);
//
//   {"time":"2026-01-02T03:04:05.250Z","level":"warning","component":"http",
//    "message":"slow request","path":"/v1/x","ms":812,"trace_id":"4bf9...","span_id":"00f0..."}
//
// A line is made at the end of the statement (1 to 2 us) and written by a thread of its own, so a
// slow disk or a stopped terminal never holds the caller: 8,192 lines or 8 MiB may wait, beyond
// which lines are dropped. One component writes at most 1,000 lines a second. The next line that
// gets through says how many did not ("lines_dropped"), DroppedLines() counts them all. A level
// that is off costs about 5 ns, its arguments' evaluation aside. Flush before the process is ended
// by anything but a return from main or exit(), which flush by themselves.
//
// Control characters are escaped, so that a value cannot forge a line; fields whose names say
// password, secret, token, authorization, cookie or key (text.h) are written as ***: secrets belong
// in fields, never in the message. A message or a value is cut at 8 KiB, fields at 32. Process-wide
// and thread-safe. To say a repeated thing rarely: log_throttle.h.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/telemetry/trace_context.h"

namespace starling::log {

enum class Level { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3, kOff = 4 };
enum class Format { kHuman, kJson };

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kHuman;
  std::map<std::string, Level, std::less<>>
      components;  // levels of their own: {"sql", Level::kDebug}
};
// May be called at any time, and holds from the next statement on.
void Configure(Options options);

// Where lines go: stderr unless said otherwise. People's format is coloured on a terminal, unless
// NO_COLOR is set.
struct Output {
  enum Kind { kStderr, kStdout, kFile };
  Kind kind = kStderr;
  std::string path;  // of kFile
  size_t max_bytes =
      size_t{64} << 20;  // of one file; then it becomes path.1, path.1 becomes path.2, ...
  int max_files = 4;     // beside the current one; the oldest is deleted
};
// May be called at any time. When the file cannot be opened lines go on where they went, and the
// error names the file.
Status SetOutput(const Output& output);
// Waits until all lines so far are written, but for no longer than `limit`; false when some were
// not. Never on an io thread.
bool Flush(Duration limit);
uint64_t DroppedLines();

// Whether any component writes lines of this level.
bool Enabled(Level level);
bool Enabled(Level level, std::string_view component);
// "debug", "info", "warning", "error", "off".
StatusOr<Level> ParseLevel(std::string_view name);

// For tests: where lines go instead, on the caller's thread; nullptr gives the output back.
void SetSink(void (*sink)(std::string_view line));
// For tests: lives until the next call; nullptr gives the machine's clock back.
void SetClock(const Clock* clock);

class Line {
 public:
  Line(Level level, std::string_view component, std::string message);
  Line(Line&&) = default;
  ~Line();

  // Numbers and booleans stay such in JSON. A name that the line itself uses ("time", "message",
  // ...) gets a "_" behind.
  template <typename T>
  Line&& With(std::string_view name, const T& value) && {
    if (fields_ == nullptr) return std::move(*this);
    if constexpr (std::same_as<T, bool>) {
      Add(name, value ? "true" : "false", Kind::kLiteral);
    } else if constexpr (std::integral<T> && !std::same_as<T, char>) {
      Add(name, fmt::format("{}", value), Kind::kLiteral);
    } else if constexpr (std::floating_point<T>) {
      Add(name, fmt::format("{}", value), std::isfinite(value) ? Kind::kLiteral : Kind::kText);
    } else {
      Add(name, fmt::format("{}", value), Kind::kText);
    }
    return std::move(*this);
  }
  Line&& With(const Status& status) &&;
  Line&& In(const telemetry::TraceContext& trace) &&;

 private:
  enum class Kind { kText, kLiteral };
  struct Field {
    std::string name;
    std::string value;
    Kind kind;
  };
  struct Fields {
    Level level;
    std::string component;
    std::string message;
    std::vector<Field> extra;
  };
  void Add(std::string_view name, std::string value, Kind kind);
  static std::string Json(const Fields& fields, TimePoint now);
  static std::string Human(const Fields& fields, TimePoint now);

  std::unique_ptr<Fields> fields_;  // nullptr when the level is off
};

namespace internal {
// The lowest level that any component writes.
inline std::atomic<int> lowest_level{static_cast<int>(Level::kInfo)};
}  // namespace internal

inline bool Enabled(Level level) {
  return static_cast<int>(level) >= internal::lowest_level.load(std::memory_order_relaxed);
}

#define STARLING_LOG_LEVEL(Name, kLevel)                                                          \
  template <typename... Args>                                                                     \
  Line Name(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {     \
    if (!Enabled(kLevel) || !Enabled(kLevel, component)) return Line(Level::kOff, component, ""); \
    return Line(kLevel, component, fmt::format(format, std::forward<Args>(args)...));             \
  }
STARLING_LOG_LEVEL(Debug, Level::kDebug)
STARLING_LOG_LEVEL(Info, Level::kInfo)
STARLING_LOG_LEVEL(Warning, Level::kWarning)
STARLING_LOG_LEVEL(Error, Level::kError)
#undef STARLING_LOG_LEVEL

}  // namespace starling::log
