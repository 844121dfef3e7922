// Which trace a call belongs to: W3C Trace Context, version 00
// (https://www.w3.org/TR/trace-context/).
//
//   TraceContext trace = TraceContext::Parse(header).value_or(TraceContext::NewRoot());
//   TraceContext mine = trace.Child();          // same trace, new span
//   response.Set("traceparent", mine.ToTraceparent());
//
// Zero ids mean: no trace yet. Child costs about 4 ns, Parse and TraceparentText about 25 ns
// without allocating; the forms that give a std::string add its allocation. Thread-safe as an int
// is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/id.h"

namespace starling::telemetry {

// Text of a fixed length that needs no heap.
template <size_t kLength>
struct FixedText {
  std::array<char, kLength> characters;
  std::string_view view() const { return {characters.data(), kLength}; }
};

struct TraceContext {
  uint64_t trace_high = 0;
  uint64_t trace_low = 0;
  uint64_t span_id = 0;
  bool sampled = false;

  bool valid() const { return (trace_high | trace_low) != 0 && span_id != 0; }
  bool operator==(const TraceContext&) const = default;

  // A trace of its own, not sampled: the tracer decides that.
  static TraceContext NewRoot() {
    return {FastRandom() | 1, FastRandom(), FastRandom() | 1, false};
  }
  TraceContext Child() const { return {trace_high, trace_low, FastRandom() | 1, sampled}; }

  // nullopt for what the specification calls invalid: upper-case hex, zero ids, version ff, any
  // other length in version 00. A later version is read as far as version 00 goes; unknown flags
  // are ignored.
  static std::optional<TraceContext> Parse(std::string_view traceparent);
  std::string ToTraceparent() const;      // "00-<32 hex>-<16 hex>-01"; "" when not valid
  FixedText<55> TraceparentText() const;  // the same; only of a valid context
  std::string TraceIdHex() const;
  std::string SpanIdHex() const;
};

}  // namespace starling::telemetry
