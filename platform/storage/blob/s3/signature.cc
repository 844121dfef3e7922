#include "platform/storage/blob/s3/signature.h"

#include <fmt/format.h>

#include <algorithm>

#include "platform/base/id.h"
#include "platform/http/message.h"
#include "platform/storage/blob/sha256.h"

namespace starling::blob::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string DateOf(const Signed& request) {
  for (const auto& [name, value] : request.headers) {
    if (name == "x-amz-date") return value;
  }
  return "";
}

}  // namespace

std::string CanonicalQuery(const Query& query) {
  Query encoded;
  for (const auto& [name, value] : query) {
    encoded.emplace_back(http::PercentEncode(name), http::PercentEncode(value));
  }
  std::sort(encoded.begin(), encoded.end());
  std::string text;
  for (const auto& [name, value] : encoded) {
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  }
  return text;
}

std::string Authorization(const Signed& request, const Credentials& credentials) {
  std::string headers;
  std::string names;
  for (const auto& [name, value] : request.headers) {
    headers += fmt::format("{}:{}\n", name, value);
    names += fmt::format("{}{}", names.empty() ? "" : ";", name);
  }
  // "Task 1: Create a Canonical Request"
  const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.verb, request.path,
                                            request.query, headers, names, request.payload_sha256);
  // "Task 2: Create a String to Sign"
  const std::string time = DateOf(request);
  const std::string date = time.substr(0, 8);
  const std::string scope = fmt::format("{}/{}/s3/aws4_request", date, credentials.region);
  const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope,
                                          ToHex(Sha256().Add(canonical).Digest()));
  // "Task 3: Calculate Signature"
  std::string key = HmacSha256("AWS4" + credentials.secret_key, date);
  for (const std::string_view step : {std::string_view(credentials.region), std::string_view("s3"),
                                      std::string_view("aws4_request")}) {
    key = HmacSha256(key, step);
  }
  return fmt::format("{} Credential={}/{},SignedHeaders={},Signature={}", kAlgorithm,
                     credentials.access_key, scope, names, ToHex(HmacSha256(key, to_sign)));
}

}  // namespace starling::blob::s3
