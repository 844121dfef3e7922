#include "platform/telemetry/otlp.h"

namespace starling::telemetry {
namespace {

constexpr size_t kBatch = 512;

void AppendQuoted(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendAttribute(std::string_view name, std::string_view value, std::string& out) {
  out += "{\"key\":";
  AppendQuoted(name, out);
  out += ",\"value\":{\"stringValue\":";
  AppendQuoted(value, out);
  out += "}}";
}

// Spans are timed by the monotonic clock; collectors want Unix time.
int64_t UnixNanoseconds(Instant instant) {
  static const int64_t offset = std::chrono::system_clock::now().time_since_epoch() / Duration(1) -
                                std::chrono::steady_clock::now().time_since_epoch() / Duration(1);
  return instant.time_since_epoch() / Duration(1) + offset;
}

}  // namespace

std::string OtlpJson(std::span<const std::shared_ptr<const SpanRecord>> spans, std::string_view service_name,
                     std::string_view version) {
  std::string out = R"({"resourceSpans":[{"resource":{"attributes":[)";
  AppendAttribute("service.name", service_name, out);
  out += ',';
  AppendAttribute("service.version", version, out);
  out += R"(]},"scopeSpans":[{"scope":{"name":"starling"},"spans":[)";
  for (size_t i = 0; i < spans.size(); ++i) {
    const SpanRecord& span = *spans[i];
    if (i > 0) out += ',';
    out += fmt::format(R"({{"traceId":"{}","spanId":"{}",)", span.context.TraceIdHex(), span.context.SpanIdHex());
    if (span.parent_span_id != 0) out += fmt::format(R"("parentSpanId":"{:016x}",)", span.parent_span_id);
    out += "\"name\":";
    AppendQuoted(span.name, out);
    out += fmt::format(R"(,"kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[)", span.kind,
                       UnixNanoseconds(span.start), UnixNanoseconds(span.end));
    for (size_t a = 0; a < span.attributes.size(); ++a) {
      if (a > 0) out += ',';
      AppendAttribute(span.attributes[a].first, span.attributes[a].second, out);
    }
    out += "],\"status\":{";
    if (span.status != StatusCode::kOk) {
      out += "\"code\":2,\"message\":";
      AppendQuoted(absl::StatusCodeToString(span.status) + ": " + span.message, out);
    }
    out += "}}";
  }
  return out + "]}]}]}";
}

OtlpExporter::OtlpExporter(Tracer& tracer, Options options, Send send)
    : tracer_(tracer), options_(std::move(options)), send_(std::move(send)) {
  tracer_.SetExporting(true);
}

OtlpExporter::~OtlpExporter() { tracer_.SetExporting(false); }

Task<bool> OtlpExporter::SendBatch(int tries) {
  const auto spans = tracer_.Take(kBatch);
  if (spans.empty()) co_return false;
  const std::string body = OtlpJson(spans, options_.service_name, options_.version);
  Duration pause = options_.retry_pause;
  for (int attempt = 1; attempt <= tries; ++attempt) {
    const Status status = co_await send_(body);
    if (status.ok()) {
      sent_ += spans.size();
      co_return true;
    }
    if (attempt == tries || stopping_) break;
    co_await SleepFor(pause / 2 + Duration(static_cast<int64_t>(FastRandom() % static_cast<uint64_t>(pause.count()))));
    pause *= 2;
  }
  lost_ += spans.size();
  co_return true;
}

Task<void> OtlpExporter::Run() {
  while (!stopping_) {
    const bool worked = co_await SendBatch(3);
    if (!worked && !stopping_) co_await SleepFor(options_.interval);
  }
}

Task<void> OtlpExporter::Stop(Duration limit) {
  stopping_ = true;
  const Instant end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    const bool worked = co_await SendBatch(1);
    if (!worked) break;
  }
}

}  // namespace starling::telemetry
