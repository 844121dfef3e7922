#include "platform/gateway/answers/compression.h"

#include <algorithm>

#include "platform/gateway/answers/cors.h"
#include "platform/http/problem.h"
#include "platform/http/syntax.h"

namespace starling::gateway {
namespace {

using http::Coding;
using http::EqualsIgnoreCase;

constexpr Coding kOffered[] = {Coding::kZstd, Coding::kBrotli, Coding::kGzip};

bool EndsWithIgnoreCase(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && EqualsIgnoreCase(text.substr(text.size() - end.size()), end);
}

bool HasDirective(std::string_view list, std::string_view wanted) {
  bool found = false;
  http::ForEachInList(list, [&](std::string_view one) { found |= EqualsIgnoreCase(one, wanted); });
  return found;
}

// What forbids it, whoever asks.
bool MayTransform(const http::Headers& headers) {
  for (const auto& [name, value] : headers) {
    switch (name.size()) {
      case 6:
        if (EqualsIgnoreCase(name, "digest")) return false;
        break;
      case 11:
        if (EqualsIgnoreCase(name, "content-md5") || EqualsIgnoreCase(name, "repr-digest"))
          return false;
        break;
      case 13:
        if (EqualsIgnoreCase(name, "content-range")) return false;
        if (EqualsIgnoreCase(name, "cache-control") && HasDirective(value, "no-transform"))
          return false;
        break;
      case 14:
        if (EqualsIgnoreCase(name, "content-digest")) return false;
        break;
      case 16:
        if (EqualsIgnoreCase(name, "content-encoding") && !EqualsIgnoreCase(value, "identity"))
          return false;
        break;
      default:
        break;
    }
  }
  return true;
}

}  // namespace

StatusOr<Compression> Compression::Make(const CompressionConfig& config) {
  Compression compression;
  compression.enabled_ = config.enabled;
  compression.min_size_ = config.min_size.count();
  compression.levels_ = {
      .gzip = config.gzip_level, .br = config.br_level, .zstd = config.zstd_level};
  for (const std::string& type : config.types) {
    if (type.starts_with("*+") && type.size() > 2) {
      compression.suffixes_.push_back(type.substr(1));
    } else if (type.ends_with("/*") && type.size() > 2) {
      compression.prefixes_.push_back(type.substr(0, type.size() - 1));
    } else if (const size_t slash = type.find('/');
               slash != std::string::npos && slash > 0 && slash + 1 < type.size() &&
               http::All(type.substr(0, slash), http::kToken) &&
               http::All(type.substr(slash + 1), http::kToken)) {
      compression.types_.push_back(type);
    } else {
      return InvalidArgument(
          "compression.types: '{}' is no media type; write application/json, text/* or *+json",
          type);
    }
  }
  return compression;
}

bool Compression::Wants(std::string_view content_type) const {
  const std::string_view type = http::TrimSpace(content_type.substr(0, content_type.find(';')));
  for (const std::string& one : types_) {
    if (EqualsIgnoreCase(type, one)) return true;
  }
  if (EqualsIgnoreCase(type, "text/event-stream")) return false;
  for (const std::string& one : prefixes_) {
    if (EqualsIgnoreCase(type.substr(0, one.size()), one)) return true;
  }
  return std::any_of(suffixes_.begin(), suffixes_.end(),
                     [type](const std::string& one) { return EndsWithIgnoreCase(type, one); });
}

Compression::Verdict Compression::Judge(const http::Request& request,
                                        const http::AcceptEncoding& accepts,
                                        const http::Response& response,
                                        std::optional<uint64_t> size) const {
  const int status = response.status;
  if (!enabled_ || status < 200 || status == 204 || status == 206 || status == 304) return {};
  if (size == 0) return {};
  const bool refuses = accepts.RefusesIdentity();
  const bool large = !size || *size >= min_size_;
  if (!large && !refuses) return {};
  const std::string_view content_type = response.headers.Find("content-type").value_or("");
  // gRPC frames its messages, and compresses them itself.
  if (EqualsIgnoreCase(content_type.substr(0, 16), "application/grpc")) return {};
  const bool worth = large && Wants(content_type);
  if ((!worth && !refuses) || !MayTransform(response.headers)) return {};
  Verdict verdict{.varies = true};
  if (const auto coding = accepts.Choose(kOffered)) {
    verdict.coding = *coding;
  } else {
    verdict.not_acceptable =
        status == 200 && (request.verb == http::Verb::kGet || request.verb == http::Verb::kHead);
  }
  return verdict;
}

void Compression::Mark(const Verdict& verdict, http::Headers& headers) {
  if (verdict.varies) AddVary("Accept-Encoding", headers);
  if (verdict.coding == Coding::kIdentity) return;
  headers.Set("Content-Encoding", http::CodingName(verdict.coding));
  headers.Remove("accept-ranges");  // ranges are of the other bytes
  if (const auto tag = headers.Find("etag"); tag && tag->starts_with('"'))
    headers.Set("ETag", fmt::format("W/{}", *tag));
}

void Compression::MarkNotModified(const http::Request& request, http::Headers& headers) const {
  if (!enabled_) return;
  const auto type = headers.Find("content-type");
  if (type && !Wants(*type)) return;
  AddVary("Accept-Encoding", headers);
  const auto tag = headers.Find("etag");
  if (!tag || !tag->starts_with('"')) return;
  std::string weak = fmt::format("W/{}", *tag);
  if (HasDirective(request.headers.Joined("if-none-match"), weak)) headers.Set("ETag", weak);
}

}  // namespace starling::gateway
