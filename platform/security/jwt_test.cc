#include "platform/security/jwt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "platform/base/id.h"

namespace starling::security {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using KeyPair = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::string Pem(EVP_PKEY* key) {
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(out, key);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(out);
  return pem;
}

std::string SignWith(EVP_PKEY* key, std::string_view input) {
  const bool is_ed25519 = EVP_PKEY_is_a(key, "ED25519") == 1;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestSignInit(context, nullptr, is_ed25519 ? nullptr : EVP_sha256(), nullptr, key);
  const auto* bytes = reinterpret_cast<const unsigned char*>(input.data());
  size_t size = 0;
  EVP_DigestSign(context, nullptr, &size, bytes, input.size());
  std::string signature(size, '\0');
  EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                 input.size());
  signature.resize(size);
  EVP_MD_CTX_free(context);
  if (EVP_PKEY_is_a(key, "EC") != 1) return signature;
  const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
  ECDSA_SIG* parsed = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(signature.size()));
  std::string raw(64, '\0');
  BN_bn2binpad(ECDSA_SIG_get0_r(parsed), reinterpret_cast<unsigned char*>(raw.data()), 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(parsed), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
  ECDSA_SIG_free(parsed);
  return raw;
}

std::string HmacSha256(std::string_view secret, std::string_view input) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac, &size);
  return {reinterpret_cast<const char*>(mac), size};
}

const std::string kSecret = "0123456789abcdef0123456789abcdef";

std::string Hs256(std::string_view payload, std::string_view header = R"({"alg":"HS256"})",
                  std::string_view secret = kSecret) {
  const std::string input = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
  return input + "." + Base64UrlEncode(HmacSha256(secret, input));
}

class Jwt : public testing::Test {
 protected:
  FakeClock clock_{*ParseRfc3339("2026-01-01T00:00:00Z")};  // 1767225600
  JwtVerifier verifier_{{.issuer = "https://id.example", .audience = "starling"},
                        *JwtKeys::FromSecret(kSecret),
                        clock_};
};

TEST_F(Jwt, GivesTheClaimsOfAGoodToken) {
  const StatusOr<JwtClaims> claims = verifier_.Verify(Hs256(
      R"({"iss":"https://id.example","aud":["x","starling"],"sub":"u1","exp":1767225700,"nbf":1767225600.5,"iat":1767225500,"jti":"j","scope":"a.b  c.d","more":{"x":1}})"));
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->subject, "u1");
  EXPECT_EQ(claims->issuer, "https://id.example");
  EXPECT_THAT(claims->audience, ElementsAre("x", "starling"));
  EXPECT_EQ(claims->expires_at, ParseRfc3339("2026-01-01T00:01:40Z"));
  EXPECT_EQ(claims->not_before, ParseRfc3339("2026-01-01T00:00:00.5Z"));
  EXPECT_EQ(claims->id, "j");
  EXPECT_THAT(claims->scopes, ElementsAre("a.b", "c.d"));
  EXPECT_THAT(claims->payload, HasSubstr(R"("more":{"x":1})"));
}

TEST_F(Jwt, RefusesBadTokensEachWithItsReason) {
  const std::string good =
      R"({"iss":"https://id.example","aud":"starling","sub":"u1","exp":1767225700})";
  const std::string token = Hs256(good);
  const size_t first = token.find('.'), second = token.rfind('.');
  const auto with = [&](const char* from, const char* to) {
    std::string payload = good;
    payload.replace(payload.find(from), std::string_view(from).size(), to);
    return Hs256(payload);
  };
  struct Row {
    std::string token;
    const char* reason;
    const char* message;
  };
  const Row rows[] = {
      {"", "JWT_MALFORMED", "three parts"},
      {"a.b", "JWT_MALFORMED", "three parts"},
      {"a.b.c.d", "JWT_MALFORMED", "three parts"},
      {token + ".", "JWT_MALFORMED", "three parts"},
      {std::string(9000, 'a'), "JWT_MALFORMED", "longer than 8192"},
      {"!" + token, "JWT_MALFORMED", "header is no base64url"},
      {token.substr(0, first) + "." + "=" + token.substr(second), "JWT_MALFORMED",
       "payload is no base64url"},
      {token + "=", "JWT_MALFORMED", "signature is no base64url"},
      {token + "\n", "JWT_MALFORMED", "signature is no base64url"},
      {Hs256(good, "[]"), "JWT_MALFORMED", "header is no JSON object"},
      {Hs256(good, "{"), "JWT_MALFORMED", "header is no JSON object"},
      {Hs256(good, R"({"typ":"JWT"})"), "JWT_MALFORMED", "no alg"},
      {Hs256(good, R"({"alg":"HS256","alg":"none"})"), "JWT_MALFORMED", "name twice"},
      {Hs256(good, R"({"alg":"HS256","crit":["b64"],"b64":false})"), "JWT_MALFORMED",
       "extension (crit)"},
      {Hs256(good, R"({"alg":"HS256","kid":7})"), "JWT_MALFORMED", "kid is no text"},
      {Hs256(good, R"({"alg":"none"})"), "JWT_ALGORITHM", "alg is not accepted"},
      {Hs256(good, R"({"alg":"None"})"), "JWT_ALGORITHM", "alg is not accepted"},
      {Base64UrlEncode(R"({"alg":"none"})") + token.substr(first, second - first) + ".",
       "JWT_ALGORITHM", "not accepted"},
      {Hs256(good, R"({"alg":"HS512"})"), "JWT_ALGORITHM", "alg is not accepted"},
      {Hs256(good, R"({"alg":"RS256"})"), "JWT_ALGORITHM", "not for its algorithm RS256"},
      {Hs256(good, R"({"alg":"HS256","kid":"other"})"), "JWT_UNKNOWN_KEY", "not known here"},
      {token.substr(0, second + 1), "JWT_SIGNATURE", "does not match"},
      {Hs256(good, R"({"alg":"HS256"})", "another secret of thirty-two byte"), "JWT_SIGNATURE",
       "does not match"},
      {token.substr(0, first + 1) + Base64UrlEncode(R"({"sub":"admin"})") + token.substr(second),
       "JWT_SIGNATURE", ""},
      {Hs256("7"), "JWT_MALFORMED", "payload is no JSON object"},
      {Hs256(R"({"sub":"a","sub":"b"})"), "JWT_MALFORMED", "payload has a name twice"},
      {with("1767225700", "1767225570"), "JWT_EXPIRED", "expired at 2025-12-31T23:59:30Z"},
      {with("\"exp\":1767225700", "\"x\":1"), "JWT_CLAIM", "exp"},
      {with("1767225700", "\"soon\""), "JWT_CLAIM", "exp is wrong; expected seconds"},
      {with("1767225700", "1e300"), "JWT_CLAIM", "exp is wrong"},
      {with("1767225700", "1767225700,\"nbf\":1767225631"), "JWT_NOT_YET_VALID",
       "not valid before 2026-01-01T00:00:31Z"},
      {with("1767225700", "1767225700,\"iat\":1767225631"), "JWT_NOT_YET_VALID",
       "issued in the future"},
      {with("https://id.example", "https://id.example/"), "JWT_CLAIM",
       "iss is wrong; expected 'https://id.example'"},
      {with("\"iss\":\"https://id.example\"", "\"iss\":7"), "JWT_CLAIM",
       "iss is wrong; expected a text"},
      {with("\"starling\"", "\"other\""), "JWT_CLAIM", "aud is wrong; expected 'starling'"},
      {with("\"starling\"", "[]"), "JWT_CLAIM", "aud is wrong"},
      {with("\"starling\"", "[7]"), "JWT_CLAIM", "aud is wrong"},
      {with("\"u1\"", "{}"), "JWT_CLAIM", "sub is wrong"},
  };
  ASSERT_TRUE(verifier_.Verify(token).ok());
  for (const Row& row : rows) {
    const Status status = verifier_.Verify(row.token).status();
    EXPECT_EQ(status.code(), StatusCode::kUnauthenticated) << row.reason << " " << row.message;
    EXPECT_EQ(Reason(status), row.reason) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.message));
    if (row.token.size() > 20) {
      EXPECT_THAT(std::string(status.message()), Not(HasSubstr(row.token.substr(0, 20))));
    }
  }
}

TEST_F(Jwt, AllowsClocksToDifferByTheLeewayAndNoMore) {
  const std::string token =
      Hs256(R"({"iss":"https://id.example","aud":"starling","exp":1767225600,"nbf":1767225600})");
  const TimePoint start = clock_.Now();
  clock_.JumpTo(start - std::chrono::seconds(30));
  EXPECT_TRUE(verifier_.Verify(token).ok());
  clock_.JumpTo(start - std::chrono::seconds(30) - Duration(1));
  EXPECT_EQ(Reason(verifier_.Verify(token).status()), "JWT_NOT_YET_VALID");
  clock_.JumpTo(start + std::chrono::seconds(30) - Duration(1));
  EXPECT_TRUE(verifier_.Verify(token).ok());
  clock_.JumpTo(start + std::chrono::seconds(30));
  EXPECT_EQ(Reason(verifier_.Verify(token).status()), "JWT_EXPIRED");
}

TEST_F(Jwt, TakesSignaturesOfEveryAlgorithmFromItsOwnKeyOnly) {
  const std::string payload = Base64UrlEncode(R"({"sub":"u1","exp":1767225700})");
  const KeyPair rsa(EVP_RSA_gen(2048), EVP_PKEY_free), other_rsa(EVP_RSA_gen(2048), EVP_PKEY_free);
  const KeyPair ec(EVP_EC_gen("P-256"), EVP_PKEY_free),
      other_ec(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const KeyPair ed(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free),
      other_ed(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  struct Row {
    const char* algorithm;
    EVP_PKEY* key;
    EVP_PKEY* other;
  };
  for (const Row& row :
       {Row{"RS256", rsa.get(), other_rsa.get()}, Row{"ES256", ec.get(), other_ec.get()},
        Row{"EdDSA", ed.get(), other_ed.get()}}) {
    const std::string pem = Pem(row.key);
    const StatusOr<JwtKeys> keys = JwtKeys::FromPem(pem, "k1");
    ASSERT_TRUE(keys.ok()) << keys.status();
    const JwtVerifier verifier({}, *keys, clock_);
    const std::string input =
        Base64UrlEncode(fmt::format(R"({{"alg":"{}","kid":"k1"}})", row.algorithm)) + "." + payload;
    const std::string signature = SignWith(row.key, input);
    EXPECT_TRUE(verifier.Verify(input + "." + Base64UrlEncode(signature)).ok()) << row.algorithm;
    EXPECT_EQ(
        Reason(verifier.Verify(input + "." + Base64UrlEncode(SignWith(row.other, input))).status()),
        "JWT_SIGNATURE");
    for (size_t size : {size_t{0}, size_t{1}, signature.size() - 1}) {
      EXPECT_EQ(
          Reason(
              verifier.Verify(input + "." + Base64UrlEncode(signature.substr(0, size))).status()),
          "JWT_SIGNATURE");
    }
    // The classic confusion: the public key, which everybody has, as the secret of an HMAC.
    EXPECT_EQ(Reason(verifier
                         .Verify(Hs256(R"({"sub":"u1","exp":1767225700})",
                                       R"({"alg":"HS256","kid":"k1"})", pem))
                         .status()),
              "JWT_ALGORITHM");
  }
}

// RFC 7515, appendix A.1 to A.3, and RFC 8037, appendix A.4: the standards' own keys and tokens.
TEST(JwtStandard, TakesTheExamplesOfTheStandards) {
  const FakeClock clock(*ParseRfc3339("2011-03-22T18:00:00Z"));
  const std::string payload =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ";
  const StatusOr<JwtKeys> keys = JwtKeys::FromJwks(R"({"keys":[
    {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
    {"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->size(), 4u);
  const JwtVerifier verifier({}, *keys, clock);
  for (const std::string& token :
       {"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + payload +
            ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "eyJhbGciOiJSUzI1NiJ9." + payload +
            ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
            "O8W2Fp5jujGbds9uJdbF9CU"
            "Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
            "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
            "xi12jzDwusC-"
            "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmt"
            "VrBp0igcN_Ioy"
            "pGlUPQGe77Rw",
        "eyJhbGciOiJFUzI1NiJ9." + payload +
            ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
            "Kg6NU1Q"}) {
    const StatusOr<JwtClaims> claims = verifier.Verify(token);
    ASSERT_TRUE(claims.ok()) << claims.status();
    EXPECT_EQ(claims->issuer, "joe");
  }
  // Its payload is no JSON, which is seen only once the signature was found good.
  EXPECT_EQ(Reason(verifier
                       .Verify("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_"
                               "MGCjP0JzlnLWG1PPOt7-"
                               "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
                       .status()),
            "JWT_MALFORMED");
}

TEST(JwtKeys, RefusesSetsWithoutAUsableKeyAndSaysWhy) {
  struct Row {
    std::string json;
    const char* message;
  };
  const Row rows[] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {"{}", "no JSON object"},
      {R"({"keys":{}})", "no JSON object"},
      {R"({"keys":[]})", "no key that can be used"},
      {R"({"keys":[7]})", "key 0 is no JSON object"},
      {R"({"keys":[{}]})", "key 0 is of a kind"},
      {R"({"keys":[{"kty":"oct","k":"c2hvcnQ"}]})", "less than 32 bytes"},
      {R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})", "expected RSA of 2048 to 8192"},
      {R"({"keys":[{"kty":"RSA","n":"AQ=="}]})", "no good n and e"},
      {R"({"keys":[{"kty":"EC","crv":"P-256","x":"AQAB","y":"AQAB"}]})", "x and y of 32 bytes"},
      {R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}]})",
       "key 0 is no valid public key"},
      {R"({"keys":[{"kty":"EC","crv":"P-384","x":"AQAB","y":"AQAB"}]})",
       "of a kind that is not known"},
      {R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQAB"}]})", "no x of 32 bytes"},
      {R"({"keys":[{"kty":"oct","use":"enc","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})",
       "not for signatures"},
      {R"({"keys":[{"kty":"oct","key_ops":["sign"],"k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})",
       "not for signatures"},
      {R"({"keys":[{"kty":"oct","alg":"HS512","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})",
       "algorithm that is not known"},
      {std::string(300'000, ' '), "above the limit"},
  };
  for (const Row& row : rows) {
    const Status status = JwtKeys::FromJwks(row.json).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << row.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.message));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("c2hvcnQ")));
  }
  std::string many = R"({"keys":[7)";
  for (int i = 0; i < 64; ++i) many += ",7";
  EXPECT_THAT(std::string(JwtKeys::FromJwks(many + "]}").status().message()),
              HasSubstr("65 keys is above the limit"));
}

TEST(JwtKeys, SkipsKeysThatAreNotUsableAndFindsTheOthersByName) {
  const StatusOr<JwtKeys> keys = JwtKeys::FromJwks(R"({"keys":[{"kty":"unknown"},
    {"kty":"oct","kid":"a","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"},
    {"kty":"oct","kid":"b","k":"MTEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->size(), 2u);
  EXPECT_TRUE(keys->Find("a", JwtAlgorithm::kHs256).ok());
  EXPECT_EQ(Reason(keys->Find("", JwtAlgorithm::kHs256).status()), "JWT_UNKNOWN_KEY")
      << "either could be meant";
  EXPECT_EQ(Reason(keys->Find("c", JwtAlgorithm::kHs256).status()), "JWT_UNKNOWN_KEY");
  EXPECT_EQ(Reason(keys->Find("a", JwtAlgorithm::kRs256).status()), "JWT_ALGORITHM");
}

TEST(JwtKeys, RefusesPemAndSecretsThatAreNoGood) {
  const KeyPair weak(EVP_RSA_gen(1024), EVP_PKEY_free), curve(EVP_EC_gen("P-384"), EVP_PKEY_free);
  for (const std::string& pem :
       {std::string(), std::string("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        Pem(weak.get()), Pem(curve.get()), std::string(300'000, 'x'),
        std::string(
            "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
            "AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END PUBLIC KEY-----\n")}) {
    EXPECT_EQ(JwtKeys::FromPem(pem).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(JwtKeys::FromSecret("short").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(JwtKeys().size(), 0u);
}

TEST_F(Jwt, SwapsItsKeys) {
  const std::string token =
      Hs256(R"({"iss":"https://id.example","aud":"starling","exp":1767225700})");
  ASSERT_TRUE(verifier_.Verify(token).ok());
  verifier_.SetKeys(*JwtKeys::FromSecret("another secret of thirty-two byte"));
  EXPECT_EQ(Reason(verifier_.Verify(token).status()), "JWT_SIGNATURE");
  verifier_.SetKeys(JwtKeys());
  EXPECT_EQ(Reason(verifier_.Verify(token).status()), "JWT_UNKNOWN_KEY");
}

TEST_F(Jwt, MakesAUserOfATokenWithoutTakingAdminOrWildcardsFromIt) {
  const std::string token = Hs256(
      R"({"iss":"https://id.example","aud":"starling","sub":"u1","exp":1767225700,"scopes":["catalog.read","admin","users.*","openid"]})");
  EXPECT_TRUE(verifier_.Recognises(token));
  EXPECT_FALSE(verifier_.Recognises("sk_abc"));
  const auto identity = RunSync(verifier_.Authenticate(token));
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ((*identity)->kind, Identity::kUser);
  EXPECT_EQ((*identity)->subject, "u1");
  EXPECT_EQ((*identity)->scopes.ToText(), "catalog.read");
  EXPECT_EQ((*identity)->expires_at, ParseRfc3339("2026-01-01T00:01:40Z"));
  EXPECT_EQ(
      Reason(RunSync(verifier_.Authenticate(Hs256(
                         R"({"iss":"https://id.example","aud":"starling","exp":1767225700})")))
                 .status()),
      "JWT_CLAIM");
}

}  // namespace
}  // namespace starling::security
