// The signature of a request to S3: AWS Signature Version 4 in the Authorization header, the
// payload hashed ("Authenticating Requests: Using the Authorization Header (AWS Signature Version
// 4)", Amazon S3 API Reference, API version 2006-03-01).
//
//   const std::string authorization = s3::Authorization(
//       {.verb = "GET", .path = "/test.txt", .query = "", .headers = {{"host",
//       "b.s3.amazonaws.com"},
//        {"x-amz-content-sha256", hash}, {"x-amz-date", "20130524T000000Z"}}, .payload_sha256 =
//        hash},
//       {.access_key = "...", .secret_key = "...", .region = "us-east-1"});
//
// Pure; about 10 us.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace starling::blob::s3 {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string region;
};

struct Signed {
  std::string_view verb;
  std::string path;   // encoded, as it is sent
  std::string query;  // CanonicalQuery, as it is sent
  // All that is signed: lower-case names in their order, values without blanks around. Among them
  // "host" and "x-amz-date".
  std::vector<std::pair<std::string, std::string>> headers;
  std::string payload_sha256;  // hex
};

using Query = std::vector<std::pair<std::string, std::string>>;

// Names and values encoded, in the order of the encoded names: "a=1&b=".
std::string CanonicalQuery(const Query& query);

std::string Authorization(const Signed& request, const Credentials& credentials);

}  // namespace starling::blob::s3
