// Who is let in over HTTP, and to what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "contracts/profile/v1/profile.service.h"
#include "platform/base/id.h"
#include "platform/rpc/grpc_channel.h"
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

std::string EdDsaJwt(EVP_PKEY* key, const std::string& payload) {
  const std::string input = Base64UrlEncode(R"({"alg":"EdDSA"})") + "." + Base64UrlEncode(payload);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  std::array<unsigned char, 64> signature{};
  size_t size = signature.size();
  EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key);
  EVP_DigestSign(context.get(), signature.data(), &size,
                 reinterpret_cast<const unsigned char*>(input.data()), input.size());
  return input + "." + Base64UrlEncode({reinterpret_cast<const char*>(signature.data()), size});
}

std::string PublicPem(EVP_PKEY* key) {
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(out, key);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out, &text);
  std::string pem(text, static_cast<size_t>(size));
  BIO_free(out);
  while (pem.ends_with('\n')) pem.pop_back();
  return pem;
}

http::ClientResponse Send(RunningProcess& running, Verb verb, const std::string& path,
                          const std::string& token, const std::string& body = "") {
  http::ClientRequest request{
      .verb = verb, .url = running.url() + path, .headers = {}, .body = body};
  request.headers.Set("authorization", "Bearer " + token);
  return *running.process().runtime().Block(running.client().Send(request));
}

// The status of a read of one's own profile with this token: 401 when the token is refused.
int ReadAda(RunningProcess& running, const std::string& token) {
  return Send(running, Verb::kGet, "/v1/users/ada", token).status;
}

TEST(Access, AUserOfAnotherIssuerSeesItsOwnDataAndNobodyElses) {
  RunningProcess running(
      config::Sources::Pairs{{"jwt.keys", kSecret}, {"jwt.issuer", "https://id.example"}});
  ASSERT_TRUE(running.status().ok()) << running.status();
  const auto send = [&](Verb verb, const std::string& path, const std::string& token,
                        const std::string& body = "") {
    return Send(running, verb, path, token, body);
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

// One key of each form that jwt.keys takes: text, JWKS and PEM, changed while the process runs.
TEST(Access, KeysThatChangeAreTakenWithoutARestartInEveryForm) {
  const std::string folder = std::filesystem::temp_directory_path() / ("access-" + NewId());
  std::filesystem::create_directories(folder);
  const std::string file = folder + "/starling.yaml";
  const auto configure = [&](std::string keys) {
    for (size_t at = 0; (at = keys.find('\n', at)) != std::string::npos; at += 5)
      keys.replace(at, 1, "\n    ");
    std::ofstream(file) << "jwt:\n  issuer: https://id.example\n  keys: |-\n    " << keys << '\n';
  };
  configure(kSecret);
  RunningProcess running({}, file);
  ASSERT_TRUE(running.status().ok()) << running.status();
  const std::string by_text = Jwt(Claims("ada", 60));
  ASSERT_EQ(
      Send(running, Verb::kPatch, "/v1/users/ada", by_text, R"({"display_name":"Ada"})").status,
      200);

  constexpr std::string_view kSecond = "the-second-secret-of-32-bytes-or-more";
  configure(fmt::format(R"({{"keys":[{{"kty":"oct","k":"{}"}}]}})", Base64UrlEncode(kSecond)));
  ASSERT_TRUE(running.registry().Reload().ok());
  EXPECT_EQ(ReadAda(running, by_text), 401) << "the first key is gone";
  EXPECT_EQ(ReadAda(running, Jwt(Claims("ada", 60), kSecond)), 200);

  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair(
      EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  configure(PublicPem(pair.get()));
  ASSERT_TRUE(running.registry().Reload().ok());
  EXPECT_EQ(ReadAda(running, Jwt(Claims("ada", 60), kSecond)), 401);
  EXPECT_EQ(ReadAda(running, EdDsaJwt(pair.get(), Claims("ada", 60))), 200);

  configure("short");
  (void)running.registry().Reload();
  EXPECT_EQ(ReadAda(running, EdDsaJwt(pair.get(), Claims("ada", 60))), 200)
      << "keys that are none leave the old ones in force";
  std::filesystem::remove_all(folder);
}

#ifndef __SANITIZE_THREAD__  // as in three_ways_test.cc
TEST(Access, ATokenOpensGrpcAsItOpensHttp) {
  RunningProcess running(config::Sources::Pairs{
      {"jwt.keys", kSecret}, {"jwt.issuer", "https://id.example"}, {"grpc.enabled", "true"}});
  ASSERT_TRUE(running.status().ok()) << running.status();
  const auto update = [&](const std::string& token, const std::string& user) {
    const auto profile = profile::v1::Profile::Connect(rpc::MakeGrpcChannel(
        {.target = "127.0.0.1:" + std::to_string(running.process().grpc_port()),
         .bearer_token = token}));
    profile::v1::UpdateUserRequest request;
    request.mutable_user()->set_user_id(user);
    request.mutable_user()->set_display_name("Ada");
    request.mutable_update_mask()->add_paths("display_name");
    rpc::CallContext context(security::Anonymous(),
                             std::chrono::steady_clock::now() + std::chrono::seconds(20));
    return running.process().runtime().Block(profile->UpdateUser(context, request)).status();
  };
  const std::string ada = Jwt(Claims("ada", 60));
  EXPECT_EQ(update(ada, "ada"), OkStatus());
  EXPECT_EQ(update(ada, "bob").code(), StatusCode::kNotFound);
  EXPECT_EQ(update(Jwt(Claims("ada", -3600)), "ada").code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(update("", "ada").code(), StatusCode::kUnauthenticated);
}
#endif

TEST(Access, KeysThatAreNoneAreRefusedAtTheStart) {
  RunningProcess running(config::Sources::Pairs{{"jwt.keys", "short"}});
  EXPECT_THAT(std::string(running.status().message()), HasSubstr("jwt.keys"));
}

}  // namespace
}  // namespace starling
