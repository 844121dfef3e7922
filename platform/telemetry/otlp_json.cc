#include <cmath>

#include "platform/telemetry/otlp.h"
#include "platform/telemetry/text.h"

namespace starling::telemetry {
namespace {

void AppendValue(const AttributeValue& value, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    out += "{\"stringValue\":";
    AppendJsonString(*text, out);
    out += '}';
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    out += fmt::format(R"({{"intValue":"{}"}})", *integer);
  } else if (const auto* number = std::get_if<double>(&value)) {
    // JSON has no infinity and no NaN; proto3's mapping writes them as text.
    if (std::isfinite(*number)) {
      out += fmt::format(R"({{"doubleValue":{}}})", *number);
    } else {
      out += fmt::format(R"({{"doubleValue":"{}"}})",
                         std::isnan(*number) ? "NaN" : (*number > 0 ? "Infinity" : "-Infinity"));
    }
  } else {
    out += std::get<bool>(value) ? R"({"boolValue":true})" : R"({"boolValue":false})";
  }
}

void AppendAttribute(std::string_view name, const AttributeValue& value, std::string& out) {
  out += "{\"key\":";
  AppendJsonString(name, out);
  out += ",\"value\":";
  AppendValue(value, out);
  out += '}';
}

void AppendSpan(const SpanRecord& span, int64_t unix_offset, std::string& out) {
  const auto unix_time = [&](Instant time) {
    return time.time_since_epoch() / Duration(1) + unix_offset;
  };
  out += fmt::format(R"({{"traceId":"{}","spanId":"{}",)", span.context.TraceIdHex(),
                     span.context.SpanIdHex());
  if (span.parent_span_id != 0)
    out += fmt::format(R"("parentSpanId":"{:016x}",)", span.parent_span_id);
  out += "\"name\":";
  AppendJsonString(span.name, out);
  out += fmt::format(R"(,"kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[)",
                     span.kind, unix_time(span.start), unix_time(span.end));
  for (size_t i = 0; i < span.attributes.size(); ++i) {
    if (i > 0) out += ',';
    AppendAttribute(span.attributes[i].first, span.attributes[i].second, out);
  }
  out += "],\"events\":[";
  for (size_t i = 0; i < span.events.size(); ++i) {
    if (i > 0) out += ',';
    out += fmt::format(R"({{"timeUnixNano":"{}","name":)", unix_time(span.events[i].time));
    AppendJsonString(span.events[i].name, out);
    out += '}';
  }
  out += ']';
  if (span.dropped_attributes > 0)
    out += fmt::format(R"(,"droppedAttributesCount":{})", span.dropped_attributes);
  if (span.dropped_events > 0)
    out += fmt::format(R"(,"droppedEventsCount":{})", span.dropped_events);
  out += ",\"status\":{";
  if (span.status != StatusCode::kOk) {
    out += "\"code\":2,\"message\":";
    AppendJsonString(absl::StatusCodeToString(span.status) + ": " + span.message, out);
  }
  out += "}}";
}

}  // namespace

std::string OtlpJson(std::span<const std::shared_ptr<const SpanRecord>> spans,
                     std::string_view service_name, std::string_view version) {
  // Spans are timed by the monotonic clock, collectors want Unix time. The difference is taken anew
  // for each batch, since the wall clock is corrected now and then.
  const int64_t unix_offset = std::chrono::system_clock::now().time_since_epoch() / Duration(1) -
                              std::chrono::steady_clock::now().time_since_epoch() / Duration(1);
  std::string out = R"({"resourceSpans":[{"resource":{"attributes":[)";
  AppendAttribute("service.name", std::string(service_name), out);
  if (!version.empty()) {
    out += ',';
    AppendAttribute("service.version", std::string(version), out);
  }
  out += R"(]},"scopeSpans":[{"scope":{"name":"starling"},"spans":[)";
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) out += ',';
    AppendSpan(*spans[i], unix_offset, out);
  }
  return out + "]}]}]}";
}

}  // namespace starling::telemetry
