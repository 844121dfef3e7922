// The examples of the Amazon S3 API Reference, "Signature Calculations for the Authorization
// Header: Transferring Payload in a Single Chunk", with its published credentials and signatures.
#include "platform/storage/blob/s3/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/base/id.h"
#include "platform/storage/blob/s3/client.h"
#include "platform/storage/blob/s3/xml.h"
#include "platform/storage/blob/sha256.h"

namespace starling::blob::s3 {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const Credentials kExample{.access_key = "AKIAIOSFODNN7EXAMPLE",
                           .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                           .region = "us-east-1"};
constexpr char kHost[] = "examplebucket.s3.amazonaws.com";
constexpr char kTime[] = "20130524T000000Z";

std::string Hash(std::string_view body) { return ToHex(Sha256().Add(body).Digest()); }

TEST(Signature, IsAmazonsForAGetOfARange) {
  const std::string empty = Hash("");
  EXPECT_EQ(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Authorization({.verb = "GET",
                           .path = "/test.txt",
                           .query = "",
                           .headers = {{"host", kHost},
                                       {"range", "bytes=0-9"},
                                       {"x-amz-content-sha256", empty},
                                       {"x-amz-date", kTime}},
                           .payload_sha256 = empty},
                          kExample),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(Signature, IsAmazonsForAPut) {
  const std::string payload = Hash("Welcome to Amazon S3.");
  EXPECT_EQ(payload, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  EXPECT_THAT(
      Authorization({.verb = "PUT",
                     .path = "/test%24file.text",
                     .query = "",
                     .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                 {"host", kHost},
                                 {"x-amz-content-sha256", payload},
                                 {"x-amz-date", kTime},
                                 {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                     .payload_sha256 = payload},
                    kExample),
      EndsWith("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

std::string OfBucket(const Query& query) {
  const std::string empty = Hash("");
  return Authorization(
      {.verb = "GET",
       .path = "/",
       .query = CanonicalQuery(query),
       .headers = {{"host", kHost}, {"x-amz-content-sha256", empty}, {"x-amz-date", kTime}},
       .payload_sha256 = empty},
      kExample);
}

TEST(Signature, IsAmazonsForAQueryWithAndWithoutAValue) {
  EXPECT_THAT(OfBucket({{"lifecycle", ""}}),
              EndsWith("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  EXPECT_THAT(OfBucket({{"prefix", "J"}, {"max-keys", "2"}}),
              EndsWith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(Signature, AQueryIsEncodedAndInOrder) {
  EXPECT_EQ(CanonicalQuery({{"prefix", "a/b c+~"}, {"a", ""}, {"B", "%"}}),
            "B=%25&a=&prefix=a%2Fb%20c%2B~");
}

TEST(TargetOf, PutsTheBucketInThePathOrInTheHost) {
  Options options{.url = "http://s3.example.org:9000", .bucket = "shop"};
  EXPECT_EQ(TargetOf(options, "m/7$.model")->authority, "s3.example.org:9000");
  EXPECT_EQ(TargetOf(options, "m/7$.model")->path, "/shop/m/7%24.model");
  EXPECT_EQ(TargetOf(options, "")->path, "/shop");
  options.addressing = Addressing::kVirtualHost;
  EXPECT_EQ(TargetOf(options, "m/7.model")->authority, "shop.s3.example.org:9000");
  EXPECT_EQ(TargetOf(options, "m/7.model")->path, "/m/7.model");
  EXPECT_EQ(TargetOf(options, "")->path, "/");
}

TEST(TargetOf, SaysWhatTheUrlOrTheBucketLacks) {
  for (const auto& [url, bucket, message] :
       {std::tuple{"https://s3.example.org", "b", "plain http only"},
        {"s3.example.org", "b", "no scheme"},
        {"http://s3.example.org/b", "b", "has a path"},
        {"http://s3.example.org", "", "no name of a bucket"},
        {"http://s3.example.org", "a/b", "no name of a bucket"}}) {
    const auto target = TargetOf({.url = url, .bucket = bucket}, "key");
    EXPECT_EQ(target.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(target.status().message()), HasSubstr(message));
  }
}

TEST(Xml, GivesTheTextOfElements) {
  EXPECT_EQ(TextOf("<Error><Code>SlowDown</Code></Error>", "Code"), "SlowDown");
  EXPECT_EQ(TextOf("<ETag>&quot;a&amp;lt;b&quot;</ETag>", "ETag"), "\"a&lt;b\"");
  for (const char* bad : {"", "<Code>", "</Code><Code>", "<Code", "<Codes>x</Codes>", "&amp;"})
    EXPECT_EQ(TextOf(bad, "Code"), "") << bad;
  std::string_view rest = "<a>1</a> <b/><a></a><a>3";
  EXPECT_EQ(NextElement(rest, "a"), "1");
  EXPECT_EQ(NextElement(rest, "a"), "");
  EXPECT_EQ(NextElement(rest, "a"), std::nullopt);
}

}  // namespace
}  // namespace starling::blob::s3
