#include "platform/gateway/grpc.h"

#include <fmt/core.h>

#include <charconv>

#include "platform/http/problem.h"

namespace starling::gateway {
namespace {

using http::EqualsIgnoreCase;

// Whether the media type is `type`, maybe with "+proto" or ";...".
bool IsType(std::string_view content_type, std::string_view type) {
  if (content_type.size() < type.size() ||
      !EqualsIgnoreCase(content_type.substr(0, type.size()), type)) {
    return false;
  }
  const std::string_view rest = content_type.substr(type.size());
  return rest.empty() || rest[0] == '+' || rest[0] == ';' || rest[0] == ' ';
}

// "Percent-Encoded" of PROTOCOL-HTTP2.md: what is not printable, and '%'.
std::string EncodeMessage(std::string_view message) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  constexpr size_t kLongest = 1024;
  std::string encoded;
  for (const char c : message.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      encoded += c;
    } else {
      encoded.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return encoded;
}

}  // namespace

GrpcKind GrpcKindOf(const http::Request& request) {
  if (request.verb != http::Verb::kPost) return GrpcKind::kNone;
  const auto type = request.headers.Find("content-type");
  if (!type || !type->starts_with("application/grpc")) return GrpcKind::kNone;
  if (IsType(*type, "application/grpc"))
    return request.major_version == 2 ? GrpcKind::kGrpc : GrpcKind::kNone;
  if (IsType(*type, "application/grpc-web")) return GrpcKind::kWeb;
  if (IsType(*type, "application/grpc-web-text")) return GrpcKind::kWebText;
  return GrpcKind::kNone;
}

std::optional<Duration> ParseGrpcTimeout(std::string_view text) {
  uint32_t value = 0;
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  const char* const digits_end = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data(), digits_end, value);
  if (error != std::errc() || end != digits_end) return std::nullopt;
  switch (text.back()) {
    case 'H':
      return std::chrono::hours(std::min(value, 100'000U));  // longer than anything is up
    case 'M':
      return std::chrono::minutes(std::min(value, 6'000'000U));
    case 'S':
      return std::chrono::seconds(value);
    case 'm':
      return std::chrono::milliseconds(value);
    case 'u':
      return std::chrono::microseconds(value);
    case 'n':
      return std::chrono::nanoseconds(value);
    default:
      return std::nullopt;
  }
}

std::string GrpcTimeout(Duration timeout) {
  const auto milliseconds = std::max<int64_t>(1, timeout / std::chrono::milliseconds(1));
  if (milliseconds < 100'000'000) return fmt::format("{}m", milliseconds);
  return fmt::format("{}S", std::min<int64_t>(99'999'999, milliseconds / 1000));
}

void SetGrpcStatus(const Status& status, http::Headers& fields) {
  const bool hidden =
      absl::IsInternal(status) || absl::IsUnknown(status) || absl::IsDataLoss(status);
  fields.Set("grpc-status", std::to_string(static_cast<int>(status.code())));
  const auto message = status.message();
  fields.Set("grpc-message",
             hidden ? "internal error" : EncodeMessage({message.data(), message.size()}));
}

void AnswerAsGrpc(const Status& status, const http::Request& request, http::Response& response) {
  response.status = 200;
  response.body.clear();
  response.length.reset();
  response.trailers.Clear();
  const std::string type(request.headers.Find("content-type").value_or("application/grpc"));
  response.headers.Set("content-type", type);
  SetGrpcStatus(status, response.headers);
}

int HttpStatusOfGrpc(const http::Response& response) {
  const bool unavailable = response.headers.Find("grpc-status") == "14";
  return response.status == 200 && unavailable ? 503 : response.status;
}

StatusCode GrpcCodeOf(const http::Response& response) {
  std::optional<std::string_view> text = response.trailers.Find("grpc-status");
  if (!text) text = response.headers.Find("grpc-status");
  if (!text) {
    const StatusCode code = http::CodeOfHttpStatus(response.status);
    return code == StatusCode::kOk ? StatusCode::kUnknown : code;
  }
  int code = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), code);
  const bool known = error == std::errc() && end == text->data() + text->size() && code >= 0 &&
                     code <= static_cast<int>(StatusCode::kUnauthenticated);
  return known ? static_cast<StatusCode>(code) : StatusCode::kUnknown;
}

}  // namespace starling::gateway
