#include "platform/http/problem.h"

#include <simdjson.h>

#include <charconv>

namespace starling::http {
namespace {

// Of who is refused for now, where nobody knew better.
constexpr std::chrono::seconds kRetryAfter(1);

constexpr struct {
  std::string_view reason;
  int http_status;
} kReasons[] = {
    {reason::kEtagMismatch, 412},           {reason::kIdempotencyKeyReused, 422},
    {reason::kIdempotencyKeyInFlight, 409}, {reason::kOverloaded, 503},
    {reason::kQuotaExceeded, 429},          {reason::kPayloadTooLarge, 413},
    {reason::kUnsupportedMediaType, 415},   {reason::kMethodNotAllowed, 405},
    {reason::kFieldsTooLarge, 431},         {reason::kRequestTimeout, 408},
    {reason::kStorageFailed, 503},
};

void AppendJsonString(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  // What is not UTF-8 cannot be in a JSON text; a status message may quote anything.
  const bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else if (byte >= 0x80 && !utf8) {
      out += '?';
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendMember(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  out += ",\"";
  out += name;
  out += "\":";
  AppendJsonString(value, out);
}

struct Problem {
  int http_status;
  std::string_view code;
  std::string_view detail;
  std::string_view instance;
  std::string_view trace_id;
  std::string_view reason;
  std::string_view violated_policy;
  std::vector<FieldViolation> violations;
};

Response Write(const Problem& problem) {
  Response response;
  response.status = problem.http_status;
  response.problem = true;
  std::string& body = response.body;
  if (problem.reason == reason::kOverloaded) {
    body =
        R"({"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",)"
        R"("title":"Request cannot be satisfied due to temporary server capacity constraints")";
  } else if (problem.reason == reason::kQuotaExceeded) {
    body = R"({"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":)"
           R"("Request cannot be satisfied as assigned quota has been exceeded")";
  } else {
    body = R"({"type":"about:blank","title":)";
    AppendJsonString(ReasonPhrase(problem.http_status), body);
  }
  body += ",\"status\":" + std::to_string(problem.http_status);
  AppendMember("detail", problem.detail, body);
  AppendMember("code", problem.code, body);
  AppendMember("instance", problem.instance, body);
  AppendMember("trace_id", problem.trace_id, body);
  AppendMember("reason", problem.reason, body);
  if (!problem.violated_policy.empty()) {
    body += R"(,"violated-policies":[)";
    AppendJsonString(problem.violated_policy, body);
    body += ']';
  }
  if (!problem.violations.empty()) {
    body += ",\"violations\":[";
    for (size_t i = 0; i < problem.violations.size(); ++i) {
      body += i == 0 ? "{\"field\":" : ",{\"field\":";
      AppendJsonString(problem.violations[i].field, body);
      body += ",\"description\":";
      AppendJsonString(problem.violations[i].description, body);
      body += '}';
    }
    body += ']';
  }
  body += '}';
  response.headers.Add("content-type", "application/problem+json");
  if (problem.http_status == 401) response.headers.Add("WWW-Authenticate", "Bearer");
  return response;
}

std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

StatusCode CodeOfName(std::string_view name) {
  for (int code = 0; code <= 16; ++code) {
    if (absl::StatusCodeToString(static_cast<StatusCode>(code)) == name)
      return static_cast<StatusCode>(code);
  }
  return StatusCode::kOk;
}

std::string_view StringOf(const simdjson::dom::element& object, const char* name) {
  std::string_view value;
  if (object[name].get_string().get(value) != simdjson::SUCCESS) return {};
  return value;
}

Status FromProblemDocument(int http_status, std::string_view body) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  if (parser.parse(body.data(), body.size()).get(document) != simdjson::SUCCESS ||
      !document.is_object()) {
    return OkStatus();
  }
  StatusCode code = CodeOfName(StringOf(document, "code"));
  if (code == StatusCode::kOk) code = CodeOfHttpStatus(http_status);
  const std::string_view detail = StringOf(document, "detail");
  const std::string_view text = detail.empty() ? StringOf(document, "title") : detail;
  Status status(code, absl::string_view(text.data(), text.size()));
  const std::string_view reason = StringOf(document, "reason");
  if (!reason.empty()) status = WithReason(std::move(status), reason);
  simdjson::dom::array array;
  if (document["violations"].get_array().get(array) == simdjson::SUCCESS) {
    std::vector<FieldViolation> violations;
    for (const simdjson::dom::element item : array) {
      if (!item.is_object()) continue;
      violations.push_back(
          {std::string(StringOf(item, "field")), std::string(StringOf(item, "description"))});
    }
    if (!violations.empty()) status = WithViolations(std::move(status), violations);
  }
  return status;
}

}  // namespace

int HttpStatus(const Status& status) {
  if (status.ok()) return 200;
  const std::string reason = Reason(status);
  for (const auto& known : kReasons) {
    if (reason == known.reason) return known.http_status;
  }
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
    case StatusCode::kFailedPrecondition:
      return 400;
    case StatusCode::kUnauthenticated:
      return 401;
    case StatusCode::kPermissionDenied:
      return 403;
    case StatusCode::kNotFound:
      return 404;
    case StatusCode::kAlreadyExists:
    case StatusCode::kAborted:
      return 409;
    case StatusCode::kResourceExhausted:
      return 429;
    case StatusCode::kCancelled:
      return 499;
    case StatusCode::kUnimplemented:
      return 501;
    case StatusCode::kUnavailable:
      return 503;
    case StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

StatusCode CodeOfHttpStatus(int http_status) {
  if (http_status >= 200 && http_status < 400) return StatusCode::kOk;
  switch (http_status) {
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
    case 410:
      return StatusCode::kNotFound;
    case 408:
    case 504:
      return StatusCode::kDeadlineExceeded;
    case 409:
      return StatusCode::kAborted;
    case 412:
      return StatusCode::kFailedPrecondition;
    case 405:
    case 501:
    case 505:
      return StatusCode::kUnimplemented;
    case 429:
      return StatusCode::kResourceExhausted;
    case 499:
      return StatusCode::kCancelled;
    case 502:
    case 503:
      return StatusCode::kUnavailable;
    default:
      return http_status >= 400 && http_status < 500 ? StatusCode::kInvalidArgument
                                                     : StatusCode::kInternal;
  }
}

Response ProblemResponse(const Status& inside, std::string_view instance,
                         std::string_view trace_id_hex, std::string_view violated_policy) {
  const Status status = ForOutsiders(inside);
  const std::string code = absl::StatusCodeToString(status.code());
  const std::string reason = Reason(status);
  Response response = Write({.http_status = HttpStatus(status),
                             .code = code,
                             .detail = View(status.message()),
                             .instance = instance,
                             .trace_id = trace_id_hex,
                             .reason = reason,
                             .violated_policy = violated_policy,
                             .violations = FieldViolations(status)});
  auto delay = RetryAfter(status);
  if (!delay && response.status == 503) delay = kRetryAfter;
  if (delay) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*delay).count();
    response.headers.Add("Retry-After", std::to_string(seconds < 0 ? 0 : seconds));
  }
  return response;
}

Response ProblemResponse(int http_status, std::string_view detail, std::string_view instance,
                         std::string_view trace_id_hex) {
  const std::string code = absl::StatusCodeToString(CodeOfHttpStatus(http_status));
  return Write({.http_status = http_status,
                .code = code,
                .detail = detail,
                .instance = instance,
                .trace_id = trace_id_hex});
}

Status StatusFromHttp(int http_status, const Headers& headers, std::string_view body) {
  if (CodeOfHttpStatus(http_status) == StatusCode::kOk) return OkStatus();
  Status status;
  const std::string_view type = headers.Find("content-type").value_or("");
  if (EqualsIgnoreCase(type.substr(0, type.find(';')), "application/problem+json")) {
    status = FromProblemDocument(http_status, body);
  }
  if (status.ok()) {
    status = Status(
        CodeOfHttpStatus(http_status),
        fmt::format("HTTP {} {}: {}", http_status, ReasonPhrase(http_status), body.substr(0, 200)));
  }
  if (const auto retry_after = headers.Find("retry-after")) {
    int seconds = 0;
    const char* end = retry_after->data() + retry_after->size();
    if (std::from_chars(retry_after->data(), end, seconds).ptr == end && seconds >= 0) {
      status = WithRetryAfter(std::move(status), std::chrono::seconds(seconds));
    }
  }
  return status;
}

}  // namespace starling::http
