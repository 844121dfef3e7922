#include "platform/gateway/grpc_web.h"

#include <absl/strings/escaping.h>

namespace starling::gateway {
namespace {

constexpr std::string_view kType = "application/grpc";

// "application/grpc-web-text+proto" -> "+proto".
std::string_view Suffix(std::string_view content_type) {
  const size_t plus = content_type.find_first_of("+;");
  return plus == std::string_view::npos ? std::string_view() : content_type.substr(plus);
}

std::string TrailerFrame(const http::Headers& trailers) {
  std::string text;
  for (const http::Headers::Field field : trailers) {
    for (const char c : field.name) text += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    text.append(": ");
    for (const char c : field.value) text += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    text.append("\r\n");
  }
  const auto size = static_cast<uint32_t>(text.size());
  std::string frame(1, static_cast<char>(0x80));
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift & 0xff);
  return frame + text;
}

}  // namespace

bool Base64Reader::Read(std::string_view text, std::string& out) {
  for (const char c : text) {
    group_[held_++] = c;
    if (held_ < 4) continue;
    held_ = 0;
    std::string bytes;
    if (!absl::Base64Unescape({group_, 4}, &bytes) || bytes.empty()) return false;
    out.append(bytes);
  }
  return true;
}

GrpcWebExchange::GrpcWebExchange(http::Exchange& client, GrpcKind kind)
    : client_(client), kind_(kind) {}

Status GrpcWebExchange::TakeRequest() {
  request = client_.request;
  const std::string type(client_.request.headers.Find("content-type").value_or(""));
  request.headers.Set("content-type", std::string(kType) + std::string(Suffix(type)));
  if (kind_ != GrpcKind::kWebText) return OkStatus();
  request.headers.Remove("content-length");  // of the base64
  std::string body;
  if (!reader_.Read(client_.request.body, body) || !reader_.ends_well())
    return InvalidArgument("the body is not base64, which application/grpc-web-text is");
  request.body = std::move(body);
  return OkStatus();
}

Task<http::BodyPiece> GrpcWebExchange::ReadBody() {
  for (;;) {
    http::BodyPiece piece = co_await client_.ReadBody();
    if (kind_ != GrpcKind::kWebText || !piece.ok()) co_return piece;
    if (!piece->has_value() && reader_.ends_well()) co_return piece;
    decoded_.clear();
    if (!piece->has_value() || !reader_.Read(**piece, decoded_)) {
      co_return InvalidArgument("the body is not base64, which application/grpc-web-text is");
    }
    if (!decoded_.empty()) co_return decoded_;
  }
}

// To the fields that the gateway has set already.
void GrpcWebExchange::GiveHead() {
  http::Response& out = client_.response;
  out.status = response.status;
  std::string type(response.headers.Find("content-type").value_or(""));
  is_grpc_ = type.starts_with(kType);
  const http::Headers own = out.headers;
  for (const http::Headers::Field field : response.headers) {
    if (!http::EqualsIgnoreCase(field.name, "content-type") && !own.Has(field.name))
      out.headers.Add(field.name, field.value);
  }
  if (is_grpc_) {
    type = fmt::format("{}{}{}", kType, kind_ == GrpcKind::kWebText ? "-web-text" : "-web",
                       Suffix(type));
  }
  if (!type.empty()) out.headers.Set("content-type", type);
}

std::string GrpcWebExchange::Encoded(std::string_view bytes) const {
  return is_grpc_ && kind_ == GrpcKind::kWebText ? absl::Base64Escape({bytes.data(), bytes.size()})
                                                 : std::string(bytes);
}

http::ResponseStream& GrpcWebExchange::OpenStream() {
  if (stream_ != nullptr) return *this;
  GiveHead();
  stream_ = &client_.StartStream();
  return *this;
}

Task<Status> GrpcWebExchange::Write(std::string_view chunk) {
  const std::string encoded = Encoded(chunk);
  Status written = co_await stream_->Write(encoded);
  co_return written;
}

Task<void> GrpcWebExchange::Finish() {
  std::string end;
  if (stream_ == nullptr) GiveHead();
  if (is_grpc_ && !response.trailers.empty()) end = Encoded(TrailerFrame(response.trailers));
  if (stream_ == nullptr) {
    client_.response.body = Encoded(response.body) + end;
  } else {
    // A client that is gone needs no end.
    (void)co_await stream_->Write(end);
  }
}

}  // namespace starling::gateway
