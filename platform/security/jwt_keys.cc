#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <simdjson.h>

#include <optional>

#include "platform/base/id.h"
#include "platform/security/jwt_key.h"
#include "platform/security/token.h"

namespace starling::security {
namespace {

constexpr size_t kMaxJwksBytes = 256 << 10;
constexpr size_t kMaxKeys = 64;
constexpr size_t kMinSecretBytes = 32;  // RFC 7518, 3.2: as long as the hash
constexpr int kMinRsaBits = 2048;       // RFC 7518, 3.3
constexpr int kMaxRsaBits = 8192;

using PublicKey = std::shared_ptr<evp_pkey_st>;

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

// OpenSSL keeps a queue of errors a thread; ours are in our words, and the queue must not grow or
// mislead others.
struct ClearErrors {
  ~ClearErrors() { ERR_clear_error(); }
};

PublicKey Own(EVP_PKEY* key) { return {key, EVP_PKEY_free}; }

PublicKey FromParams(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return Own(key);
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Number ToNumber(std::string_view bytes) {
  return Number(BN_bin2bn(Bytes(bytes), static_cast<int>(bytes.size()), nullptr));
}

PublicKey RsaKey(std::string_view modulus, std::string_view exponent) {
  const Number n = ToNumber(modulus);
  const Number e = ToNumber(exponent);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  return FromParams("RSA", builder.get());
}

PublicKey P256Key(std::string_view x, std::string_view y) {
  const std::string point = "\x04" + std::string(x) + std::string(y);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  return FromParams("EC", builder.get());
}

// The one algorithm a public key is for; what is wrong with the key otherwise.
StatusOr<JwtAlgorithm> AlgorithmOf(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA")) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits < kMinRsaBits || bits > kMaxRsaBits) {
      return InvalidArgument("has {} bits; expected RSA of {} to {}", bits, kMinRsaBits,
                             kMaxRsaBits);
    }
    return JwtAlgorithm::kRs256;
  }
  if (EVP_PKEY_is_a(key, "ED25519")) return JwtAlgorithm::kEdDsa;
  char group[32] = "";
  if (EVP_PKEY_is_a(key, "EC") &&
      EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr) == 1 &&
      std::string_view(group) == "prime256v1") {
    const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    if (context == nullptr || EVP_PKEY_public_check(context.get()) != 1) {
      return InvalidArgument("is no point of the curve P-256");
    }
    return JwtAlgorithm::kEs256;
  }
  return InvalidArgument("is of a kind that is not known here; expected RSA, EC P-256 or Ed25519");
}

// A text member; nullopt when it is absent or no text.
std::optional<std::string_view> Text(const simdjson::dom::object& object, std::string_view name) {
  std::string_view text;
  if (object.at_key(name).get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

std::optional<std::string> Binary(const simdjson::dom::object& object, std::string_view name) {
  const std::optional<std::string_view> text = Text(object, name);
  std::string bytes;
  if (!text || text->empty() || !StrictBase64UrlDecode(*text, bytes)) return std::nullopt;
  return bytes;
}

bool MayVerify(const simdjson::dom::object& jwk) {
  simdjson::dom::array operations;
  if (jwk["key_ops"].get(operations) != simdjson::SUCCESS)
    return Text(jwk, "use").value_or("sig") == "sig";
  for (const simdjson::dom::element operation : operations) {
    std::string_view name;
    if (operation.get(name) == simdjson::SUCCESS && name == "verify") return true;
  }
  return false;
}

// A key of a set, or why it is not usable.
StatusOr<JwtKeys::Key> FromJwk(const simdjson::dom::object& jwk) {
  if (!MayVerify(jwk)) return InvalidArgument("is not for signatures");
  JwtKeys::Key key;
  key.id = Text(jwk, "kid").value_or("");
  const std::string_view type = Text(jwk, "kty").value_or("");
  const std::string_view curve = Text(jwk, "crv").value_or("");
  if (type == "oct") {
    const std::optional<std::string> secret = Binary(jwk, "k");
    if (!secret || secret->size() < kMinSecretBytes) {
      return InvalidArgument("has a secret (k) of less than {} bytes", kMinSecretBytes);
    }
    key.algorithm = JwtAlgorithm::kHs256;
    key.secret = *secret;
  } else {
    if (type == "RSA") {
      const auto n = Binary(jwk, "n"), e = Binary(jwk, "e");
      if (!n || !e || n->size() > kMaxRsaBits / 8 || e->size() > 8)
        return InvalidArgument("has no good n and e");
      key.public_key = RsaKey(*n, *e);
    } else if (type == "EC" && curve == "P-256") {
      const auto x = Binary(jwk, "x"), y = Binary(jwk, "y");
      if (!x || !y || x->size() != 32 || y->size() != 32)
        return InvalidArgument("has no x and y of 32 bytes");
      key.public_key = P256Key(*x, *y);
    } else if (type == "OKP" && curve == "Ed25519") {
      const auto x = Binary(jwk, "x");
      if (!x || x->size() != 32) return InvalidArgument("has no x of 32 bytes");
      key.public_key =
          Own(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(*x), x->size()));
    } else {
      return InvalidArgument(
          "is of a kind that is not known here; expected RSA, EC P-256, OKP Ed25519 or oct");
    }
    if (key.public_key == nullptr) return InvalidArgument("is no valid public key");
    STARLING_ASSIGN_OR_RETURN(key.algorithm, AlgorithmOf(key.public_key.get()));
  }
  const std::string_view named = Text(jwk, "alg").value_or(JwtAlgorithmName(key.algorithm));
  if (named != JwtAlgorithmName(key.algorithm))
    return InvalidArgument("is for an algorithm that is not known here");
  return key;
}

bool DigestVerify(EVP_PKEY* key, const EVP_MD* digest, std::string_view input,
                  std::string_view signature) {
  const DigestContext context(EVP_MD_CTX_new());
  return context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(input),
                          input.size()) == 1;
}

// RFC 7518, 3.4: r and s, 32 bytes each; OpenSSL wants them in DER.
bool Es256Verify(EVP_PKEY* key, std::string_view input, std::string_view signature) {
  if (signature.size() != 64) return false;
  const Signature both(ECDSA_SIG_new());
  Number r = ToNumber(signature.substr(0, 32));
  Number s = ToNumber(signature.substr(32));
  if (both == nullptr || r == nullptr || s == nullptr ||
      ECDSA_SIG_set0(both.get(), r.get(), s.get()) != 1)
    return false;
  (void)r.release();
  (void)s.release();
  unsigned char der[80];
  unsigned char* end = der;
  const int size = i2d_ECDSA_SIG(both.get(), nullptr);
  if (size <= 0 || size > static_cast<int>(sizeof(der)) || i2d_ECDSA_SIG(both.get(), &end) != size)
    return false;
  return DigestVerify(key, EVP_sha256(), input,
                      {reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
}

}  // namespace

std::string_view JwtAlgorithmName(JwtAlgorithm algorithm) {
  switch (algorithm) {
    case JwtAlgorithm::kHs256:
      return "HS256";
    case JwtAlgorithm::kRs256:
      return "RS256";
    case JwtAlgorithm::kEs256:
      return "ES256";
    case JwtAlgorithm::kEdDsa:
      return "EdDSA";
  }
  return "";
}

Status JwtRefused(std::string_view reason, std::string message) {
  return WithReason(Unauthenticated("{}", message), reason);
}

bool StrictBase64UrlDecode(std::string_view text, std::string& bytes) {
  if (text.find('=') != std::string_view::npos || !Base64UrlDecode(text, bytes)) return false;
  // The bits that the last character has too many must be zero, or one signature would have several
  // spellings.
  return Base64UrlEncode(bytes) == text;
}

bool SignatureMatches(const JwtKeys::Key& key, std::string_view input, std::string_view signature) {
  const ClearErrors clear;
  switch (key.algorithm) {
    case JwtAlgorithm::kHs256: {
      unsigned char mac[EVP_MAX_MD_SIZE];
      unsigned size = 0;
      if (HMAC(EVP_sha256(), key.secret.data(), static_cast<int>(key.secret.size()), Bytes(input),
               input.size(), mac, &size) == nullptr) {
        return false;
      }
      return ConstantTimeEqual({reinterpret_cast<const char*>(mac), size}, signature);
    }
    case JwtAlgorithm::kRs256:
      return DigestVerify(key.public_key.get(), EVP_sha256(), input, signature);
    case JwtAlgorithm::kEs256:
      return Es256Verify(key.public_key.get(), input, signature);
    case JwtAlgorithm::kEdDsa:
      return signature.size() == 64 &&
             DigestVerify(key.public_key.get(), nullptr, input, signature);
  }
  return false;
}

JwtKeys::JwtKeys() : JwtKeys(std::vector<Key>()) {}
JwtKeys::JwtKeys(std::vector<Key> keys)
    : keys_(std::make_shared<const std::vector<Key>>(std::move(keys))) {}
size_t JwtKeys::size() const { return keys_->size(); }

StatusOr<JwtKeys> JwtKeys::FromJwks(std::string_view json) {
  const ClearErrors clear;
  if (json.size() > kMaxJwksBytes) {
    return InvalidArgument("a key set of {} bytes is above the limit of {}", json.size(),
                           kMaxJwksBytes);
  }
  simdjson::dom::parser parser(kMaxJwksBytes);
  simdjson::dom::array list;
  if (parser.parse(json.data(), json.size())["keys"].get(list) != simdjson::SUCCESS) {
    return InvalidArgument("a key set is no JSON object with a list \"keys\" (RFC 7517)");
  }
  if (list.size() > kMaxKeys)
    return InvalidArgument("a key set of {} keys is above the limit of {}", list.size(), kMaxKeys);
  std::vector<Key> keys;
  std::string unusable;
  size_t index = 0;
  for (const simdjson::dom::element element : list) {
    simdjson::dom::object jwk;
    StatusOr<Key> key = InvalidArgument("is no JSON object");
    if (element.get(jwk) == simdjson::SUCCESS) key = FromJwk(jwk);
    if (key.ok()) {
      keys.push_back(*std::move(key));
    } else {
      unusable += fmt::format("; key {} {}", index, std::string(key.status().message()));
    }
    ++index;
  }
  if (keys.empty()) return InvalidArgument("a key set has no key that can be used{}", unusable);
  return JwtKeys(std::move(keys));
}

StatusOr<JwtKeys> JwtKeys::FromPem(std::string_view pem, std::string key_id) {
  const ClearErrors clear;
  if (pem.size() > kMaxJwksBytes)
    return InvalidArgument("a PEM key of {} bytes is above the limit", pem.size());
  const std::unique_ptr<BIO, Free<BIO_free_all>> source(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // Without a callback OpenSSL would ask the terminal for the passphrase of an encrypted key.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  EVP_PKEY* read = PEM_read_bio_PUBKEY(source.get(), nullptr, no_passphrase, nullptr);
  if (read == nullptr)
    return InvalidArgument("is no public key in PEM; expected -----BEGIN PUBLIC KEY-----");
  Key key;
  key.id = std::move(key_id);
  key.public_key = Own(read);
  StatusOr<JwtAlgorithm> algorithm = AlgorithmOf(read);
  if (!algorithm.ok()) return Annotate(algorithm.status(), "the PEM key");
  key.algorithm = *algorithm;
  return JwtKeys({std::move(key)});
}

StatusOr<JwtKeys> JwtKeys::FromSecret(std::string_view secret, std::string key_id) {
  if (secret.size() < kMinSecretBytes) {
    return InvalidArgument("a secret of {} bytes is too short for HS256; expected at least {}",
                           secret.size(), kMinSecretBytes);
  }
  Key key;
  key.id = std::move(key_id);
  key.secret = secret;
  return JwtKeys({std::move(key)});
}

StatusOr<const JwtKeys::Key*> JwtKeys::Find(std::string_view key_id, JwtAlgorithm algorithm) const {
  const Key* found = nullptr;
  bool other_algorithm = false;
  for (const Key& key : *keys_) {
    if (!key_id.empty() && key.id != key_id) continue;
    if (key.algorithm != algorithm) {
      other_algorithm = true;
    } else if (found != nullptr) {
      return JwtRefused("JWT_UNKNOWN_KEY",
                        "several keys could have signed the token; expected a kid that names one");
    } else {
      found = &key;
    }
  }
  if (found != nullptr) return found;
  if (other_algorithm) {
    return JwtRefused("JWT_ALGORITHM", fmt::format("the token's key is not for its algorithm {}",
                                                   JwtAlgorithmName(algorithm)));
  }
  return JwtRefused("JWT_UNKNOWN_KEY", "the token is signed with a key that is not known here");
}

}  // namespace starling::security
