// An issuer of tokens on a loopback port, for tests: keys of its own, a JWKS and a discovery
// document that say what they are told to.
#pragma once

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "platform/base/id.h"
#include "platform/http/server.h"

namespace starling::identity {

// A P-256 key that signs with ES256.
class TestKey {
 public:
  explicit TestKey(std::string id)
      : id(std::move(id)),
        key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free) {}

  std::string Jwk() const {
    unsigned char point[65];
    size_t size = 0;
    EXPECT_EQ(EVP_PKEY_get_octet_string_param(key_.get(), OSSL_PKEY_PARAM_PUB_KEY, point,
                                              sizeof(point), &size),
              1);
    const std::string bytes(reinterpret_cast<char*>(point), size);
    return fmt::format(R"({{"kty":"EC","crv":"P-256","kid":"{}","alg":"ES256","x":"{}","y":"{}"}})",
                       id, Base64UrlEncode(bytes.substr(1, 32)), Base64UrlEncode(bytes.substr(33)));
  }

  std::string Sign(const std::string& payload, std::string_view algorithm = "ES256",
                   std::string_view key_id = "") const {
    const std::string header =
        fmt::format(R"({{"alg":"{}","kid":"{}"}})", algorithm, key_id.empty() ? id : key_id);
    const std::string input = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_.get());
    const auto* bytes = reinterpret_cast<const unsigned char*>(input.data());
    unsigned char der[128];
    size_t size = sizeof(der);
    EXPECT_EQ(EVP_DigestSign(context, der, &size, bytes, input.size()), 1);
    EVP_MD_CTX_free(context);
    const unsigned char* at = der;
    ECDSA_SIG* parsed = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size));
    std::string raw(64, '\0');
    BN_bn2binpad(ECDSA_SIG_get0_r(parsed), reinterpret_cast<unsigned char*>(raw.data()), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(parsed), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
    ECDSA_SIG_free(parsed);
    return input + "." + Base64UrlEncode(raw);
  }

  const std::string id;

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

inline std::string JwksOf(std::initializer_list<const TestKey*> keys) {
  std::string list;
  for (const TestKey* key : keys) list += (list.empty() ? "" : ",") + key->Jwk();
  return R"({"keys":[)" + list + "]}";
}

class TestIssuer {
 public:
  struct Answer {
    int status = 200;
    std::string body;
    std::string cache_control;
    std::string location;
    Duration delay{0};
  };

  // Serves /keys and /.well-known/openid-configuration, and what `more` adds.
  explicit TestIssuer(
      Runtime& runtime, const std::function<void(http::Router&)>& more = [](http::Router&) {}) {
    http::Router router;
    const auto add = [&](const char* path, Answer TestIssuer::*answer,
                         std::atomic<int> TestIssuer::*asked) {
      EXPECT_TRUE(router
                      .Add(http::Verb::kGet, path,
                           [this, answer, asked](http::Exchange& exchange) {
                             return Give(exchange, answer, asked);
                           })
                      .ok());
    };
    add("/keys", &TestIssuer::keys_, &TestIssuer::keys_asked);
    add("/.well-known/openid-configuration", &TestIssuer::discovery_, &TestIssuer::discovery_asked);
    more(router);
    server_ = std::make_unique<http::Server>(
        runtime, http::ServerOptions{}, std::make_shared<const http::Router>(std::move(router)));
    url = fmt::format("http://127.0.0.1:{}", server_->Start().value());
    SetDiscovery(
        {.body = fmt::format(
             R"({{"issuer":"{0}","jwks_uri":"{0}/keys","authorization_endpoint":"{0}/authorize","token_endpoint":"{0}/token"}})",
             url)});
  }

  void SetKeys(Answer answer) {
    const std::lock_guard lock(mutex_);
    keys_ = std::move(answer);
  }
  void SetDiscovery(Answer answer) {
    const std::lock_guard lock(mutex_);
    discovery_ = std::move(answer);
  }

  std::string url;
  std::atomic<int> keys_asked{0};
  std::atomic<int> discovery_asked{0};

 private:
  Task<void> Give(http::Exchange& exchange, Answer TestIssuer::*which,
                  std::atomic<int> TestIssuer::*asked) {
    ++(this->*asked);
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      answer = this->*which;
    }
    if (answer.delay > Duration(0)) co_await SleepFor(answer.delay);
    exchange.response.status = answer.status;
    if (!answer.cache_control.empty())
      exchange.response.headers.Set("cache-control", answer.cache_control);
    if (!answer.location.empty()) exchange.response.headers.Set("location", answer.location);
    exchange.response.SetBody("application/json", answer.body);
  }

  std::mutex mutex_;
  Answer keys_, discovery_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace starling::identity
