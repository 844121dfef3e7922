#include "platform/identity/sealed.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <memory>

#include "platform/base/id.h"
#include "platform/security/token.h"

namespace starling::identity {
namespace {

constexpr size_t kIv = 12;
constexpr size_t kTag = 16;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

Sealer::Sealer(std::string_view purpose, std::string_view secret) {
  std::string text("starling sealed\n");
  text.append(purpose).append("\n").append(secret);
  key_ = security::Sha256(text).bytes;
}

std::string Sealer::Seal(std::string_view text) const {
  std::string out(kIv + text.size() + kTag, '\0');
  SecureRandom(out.data(), kIv);
  const Context context(EVP_CIPHER_CTX_new());
  int size = 0, more = 0;
  unsigned char* const body = Bytes(out) + kIv;
  const bool done =
      context != nullptr &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), Bytes(out)) == 1 &&
      EVP_EncryptUpdate(context.get(), body, &size, Bytes(text), static_cast<int>(text.size())) ==
          1 &&
      EVP_EncryptFinal_ex(context.get(), body + size, &more) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTag, body + text.size()) == 1;
  if (!done) std::abort();  // OpenSSL without AES, or out of memory
  return Base64UrlEncode(out);
}

std::optional<std::string> Sealer::Open(std::string_view sealed) const {
  std::string in;
  if (!Base64UrlDecode(sealed, in) || in.size() < kIv + kTag) return std::nullopt;
  std::string text(in.size() - kIv - kTag, '\0');
  const Context context(EVP_CIPHER_CTX_new());
  int size = 0, more = 0;
  const bool done =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), Bytes(in)) == 1 &&
      EVP_DecryptUpdate(context.get(), Bytes(text), &size, Bytes(in) + kIv,
                        static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTag,
                          Bytes(in) + kIv + text.size()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), Bytes(text) + size, &more) == 1;
  return done ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace starling::identity
