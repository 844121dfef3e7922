// Who is let in over HTTP, and to what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "platform/base/id.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using http::Verb;
using testing::HasSubstr;
using testing_support::RunningProcess;

constexpr char kSecret[] = "a-shared-secret-of-32-bytes-or-more";

// HS256 over `payload`, as an identity provider signs it.
std::string Jwt(const std::string& payload, std::string_view secret = kSecret) {
  const std::string input =
      Base64UrlEncode(R"({"alg":"HS256","typ":"JWT"})") + "." + Base64UrlEncode(payload);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac, &size);
  return input + "." + Base64UrlEncode({reinterpret_cast<const char*>(mac), size});
}

std::string Claims(const std::string& user, int64_t seconds_left,
                   const std::string& issuer = "https://id.example") {
  const int64_t now = SystemClock().Now().time_since_epoch() / std::chrono::seconds(1);
  return fmt::format(R"({{"sub":"{}","iss":"{}","exp":{}}})", user, issuer, now + seconds_left);
}

TEST(Access, AUserOfAnotherIssuerSeesItsOwnDataAndNobodyElses) {
  RunningProcess running(
      config::Sources::Pairs{{"jwt.keys", kSecret}, {"jwt.issuer", "https://id.example"}});
  ASSERT_TRUE(running.status().ok()) << running.status();
  const auto send = [&](Verb verb, const std::string& path, const std::string& token,
                        const std::string& body = "") {
    http::ClientRequest request{
        .verb = verb, .url = running.url() + path, .headers = {}, .body = body};
    request.headers.Set("authorization", "Bearer " + token);
    return *running.process().runtime().Block(running.client().Send(request));
  };
  const std::string ada = Jwt(Claims("ada", 60));
  EXPECT_EQ(send(Verb::kPatch, "/v1/users/ada", ada, R"({"display_name":"Ada"})").status, 200);
  EXPECT_THAT(send(Verb::kGet, "/v1/users/ada", ada).body, HasSubstr("Ada"));
  EXPECT_EQ(send(Verb::kGet, "/v1/users/bob", ada).status, 404);
  EXPECT_EQ(send(Verb::kGet, "/v1/users", ada).status, 403);
  EXPECT_EQ(send(Verb::kPut, "/v1/products/p", ada, R"({"title":"T"})").status, 403);
  const std::string refused[] = {
      Jwt(Claims("ada", -3600)),                       // expired
      Jwt(Claims("ada", 60, "https://evil.example")),  // of another issuer
      Jwt(Claims("ada", 60), std::string(32, 'x')),    // signed by somebody else
      ada.substr(0, ada.size() - 2),                   // cut
      Base64UrlEncode(R"({"alg":"none"})") + ada.substr(ada.find('.')),
  };
  for (const std::string& token : refused) {
    const auto response = send(Verb::kGet, "/v1/users/ada", token);
    EXPECT_EQ(response.status, 401) << response.body;
    EXPECT_EQ(response.body.find(token), std::string::npos);
  }
}

TEST(Access, KeysThatAreNoneAreRefusedAtTheStart) {
  RunningProcess running(config::Sources::Pairs{{"jwt.keys", "short"}});
  EXPECT_THAT(std::string(running.status().message()), HasSubstr("jwt.keys"));
}

}  // namespace
}  // namespace starling
