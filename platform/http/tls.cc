#include "platform/http/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <unordered_map>

#include "platform/http/tls_session.h"

namespace starling::http {
namespace {

constexpr auto kTicketKeyAge = std::chrono::hours(12);
constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioPointer = std::unique_ptr<BIO, Freed<BIO_free>>;
using CertificatePointer = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using ContextPointer = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return lower;
}

// Why OpenSSL refused, in its words; the queue of errors is empty after it.
std::string Reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "it is malformed" : reason;
}

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return InvalidArgument("TLS: cannot read '{}': {}", path, std::strerror(errno));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

StatusOr<std::vector<std::string>> ReadFiles(const TlsOptions& options) {
  std::vector<std::string> texts;
  const auto add = [&](const std::string& path) -> Status {
    STARLING_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
    texts.push_back(std::move(text));
    return OkStatus();
  };
  for (const TlsOptions::Certificate& pair : options.certificates) {
    STARLING_RETURN_IF_ERROR(add(pair.certificate_file));
    STARLING_RETURN_IF_ERROR(add(pair.key_file));
  }
  if (options.clients != TlsOptions::Clients::kAnyone)
    STARLING_RETURN_IF_ERROR(add(options.client_ca_file));
  return texts;
}

StatusOr<std::vector<CertificatePointer>> ParseCertificates(const std::string& path,
                                                            const std::string& text) {
  const BioPointer bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<CertificatePointer> certificates;
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(certificate);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (certificates.empty() && at_end) {
    ERR_clear_error();
    return InvalidArgument("TLS: '{}' has no certificate in PEM", path);
  }
  if (!at_end) return InvalidArgument("TLS: '{}' has a broken certificate: {}", path, Reason());
  ERR_clear_error();
  return certificates;
}

// The DNS names of a certificate; its common name when it has none.
std::vector<std::string> NamesOf(X509* certificate) {
  std::vector<std::string> found;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS) continue;
    found.push_back(Lower({reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.ia5)),
                           static_cast<size_t>(ASN1_STRING_length(name->d.ia5))}));
  }
  GENERAL_NAMES_free(names);
  if (found.empty()) {
    char common[256];
    const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                               common, sizeof(common));
    if (size > 0) found.push_back(Lower({common, static_cast<size_t>(size)}));
  }
  return found;
}

TlsCertificate FactsOf(const std::string& file, X509* certificate) {
  TlsCertificate facts{.file = file, .names = NamesOf(certificate)};
  const BioPointer bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  facts.issuer.assign(text, static_cast<size_t>(std::max(size, 0L)));
  tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
    facts.not_after = TimePoint(std::chrono::seconds(timegm(&end)));
  return facts;
}

int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size,
                   const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* out = nullptr;
  if (SSL_select_next_proto(&out, size, kProtocols, sizeof(kProtocols) - 1, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = out;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

// What tickets are sealed with; shared by all contexts there ever are.
class Tls::Tickets {
 public:
  static int Callback(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int seals) {
    auto* tickets = static_cast<Tickets*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    return seals != 0 ? tickets->Seal(name, iv, cipher, mac) : tickets->Open(name, iv, cipher, mac);
  }

 private:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> aes;
    std::array<unsigned char, 32> hmac;
    Instant made{};
  };

  static bool Prepare(const Key& key, EVP_MAC_CTX* mac) {
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.hmac.data()), key.hmac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
  }

  int Seal(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const std::lock_guard lock(mutex_);
    const Instant now = std::chrono::steady_clock::now();
    if (keys_.empty() || now - keys_.front().made > kTicketKeyAge) {
      Key key{.made = now};
      if (RAND_bytes(key.name.data(), key.name.size()) != 1 ||
          RAND_bytes(key.aes.data(), key.aes.size()) != 1 ||
          RAND_bytes(key.hmac.data(), key.hmac.size()) != 1) {
        return -1;
      }
      keys_.insert(keys_.begin(), key);
      if (keys_.size() > 2) keys_.pop_back();
    }
    const Key& key = keys_.front();
    if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
    std::copy(key.name.begin(), key.name.end(), name);
    const bool ready =
        EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.aes.data(), iv) == 1 &&
        Prepare(key, mac);
    return ready ? 1 : -1;
  }

  int Open(const unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const std::lock_guard lock(mutex_);
    const Instant oldest = std::chrono::steady_clock::now() - 2 * kTicketKeyAge;
    for (const Key& key : keys_) {
      if (key.made < oldest || !std::equal(key.name.begin(), key.name.end(), name)) continue;
      if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.aes.data(), iv) != 1 ||
          !Prepare(key, mac)) {
        return -1;
      }
      return &key == &keys_.front() ? 1 : 2;  // 2: with a new ticket
    }
    return 0;  // a full handshake
  }

  std::mutex mutex_;
  std::vector<Key> keys_;  // newest first
};

struct Tls::Contexts {
  std::shared_ptr<Tickets> tickets;
  std::vector<ContextPointer> all;  // the first is for who asks for no name that is here
  std::unordered_map<std::string, SSL_CTX*> names;
  std::vector<TlsCertificate> facts;

  SSL_CTX* Find(std::string_view name) const {
    const std::string lower = Lower(name);
    if (const auto exact = names.find(lower); exact != names.end()) return exact->second;
    const size_t dot = lower.find('.');
    if (dot == std::string::npos) return nullptr;
    const auto wildcard = names.find("*" + lower.substr(dot));
    return wildcard == names.end() ? nullptr : wildcard->second;
  }

  static int ChooseCertificate(SSL* ssl, int*, void* contexts) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX* context = static_cast<const Contexts*>(contexts)->Find(name);
    if (context == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, context);
    return SSL_TLSEXT_ERR_OK;
  }

  StatusOr<ContextPointer> Make(const TlsOptions& options) {
    ContextPointer context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* at = context.get();
    const bool set =
        at != nullptr &&
        SSL_CTX_set_min_proto_version(at, options.min_version == TlsOptions::Version::k1_3
                                              ? TLS1_3_VERSION
                                              : TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(at, "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK") == 1 &&
        SSL_CTX_set1_groups_list(at, "X25519:P-256:P-384") == 1 &&
        SSL_CTX_set_tlsext_ticket_key_evp_cb(at, Tickets::Callback) == 1;
    if (!set) return Internal("TLS: OpenSSL gives no context: {}", Reason());
    SSL_CTX_set_options(at, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(at, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(at, 1);
    SSL_CTX_set_session_cache_mode(at, SSL_SESS_CACHE_OFF);  // tickets alone
    SSL_CTX_set_app_data(at, tickets.get());
    SSL_CTX_set_alpn_select_cb(at, ChooseProtocol, nullptr);
    SSL_CTX_set_tlsext_servername_callback(at, ChooseCertificate);
    SSL_CTX_set_tlsext_servername_arg(at, this);
    return context;
  }

  Status AddCertificate(const TlsOptions& options, const TlsOptions::Certificate& files,
                        const std::string& certificate_text, const std::string& key_text) {
    STARLING_ASSIGN_OR_RETURN(const std::vector<CertificatePointer> chain,
                              ParseCertificates(files.certificate_file, certificate_text));
    const BioPointer bio(BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size())));
    const auto no_passphrase = [](char*, int, int, void*) { return 0; };
    ERR_clear_error();
    const KeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (key == nullptr) {
      return InvalidArgument("TLS: '{}' has no private key in PEM without a passphrase: {}",
                             files.key_file, Reason());
    }
    STARLING_ASSIGN_OR_RETURN(ContextPointer context, Make(options));
    if (SSL_CTX_use_certificate(context.get(), chain[0].get()) != 1) {
      return InvalidArgument("TLS: the certificate of '{}' cannot be used: {}",
                             files.certificate_file, Reason());
    }
    if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
      return InvalidArgument("TLS: the key of '{}' is not that of the certificate '{}': {}",
                             files.key_file, files.certificate_file, Reason());
    }
    for (size_t i = 1; i < chain.size(); ++i)
      SSL_CTX_add1_chain_cert(context.get(), chain[i].get());
    for (const std::string& name : NamesOf(chain[0].get())) names.emplace(name, context.get());
    facts.push_back(FactsOf(files.certificate_file, chain[0].get()));
    all.push_back(std::move(context));
    return OkStatus();
  }

  Status BelieveClientsOf(const TlsOptions& options, const std::string& ca_text) {
    STARLING_ASSIGN_OR_RETURN(const std::vector<CertificatePointer> roots,
                              ParseCertificates(options.client_ca_file, ca_text));
    // A session that began under other roots is none here.
    std::array<unsigned char, 32> digest;
    EVP_Digest(ca_text.data(), ca_text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    for (const ContextPointer& context : all) {
      for (const CertificatePointer& root : roots) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root.get());
        SSL_CTX_add_client_CA(context.get(), root.get());
      }
      SSL_CTX_set_session_id_context(context.get(), digest.data(), digest.size());
      SSL_CTX_set_verify(context.get(),
                         options.clients == TlsOptions::Clients::kMustShowCertificate
                             ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                             : SSL_VERIFY_PEER,
                         nullptr);
    }
    return OkStatus();
  }
};

Tls::Tls(TlsOptions options)
    : tickets_(std::make_shared<Tickets>()), options_(std::move(options)), contexts_(nullptr) {}
Tls::~Tls() = default;

StatusOr<std::shared_ptr<Tls>> Tls::Load(TlsOptions options) {
  std::shared_ptr<Tls> tls(new Tls(std::move(options)));
  STARLING_RETURN_IF_ERROR(tls->Reload());
  return tls;
}

Status Tls::Reload() {
  const std::lock_guard lock(mutex_);
  STARLING_ASSIGN_OR_RETURN(texts_, ReadFiles(options_));
  return Take(options_, texts_);
}

Status Tls::Reload(TlsOptions options) {
  const std::lock_guard lock(mutex_);
  STARLING_ASSIGN_OR_RETURN(std::vector<std::string> texts, ReadFiles(options));
  STARLING_RETURN_IF_ERROR(Take(options, texts));
  options_ = std::move(options);
  texts_ = std::move(texts);
  return OkStatus();
}

StatusOr<bool> Tls::ReloadIfChanged() {
  const std::lock_guard lock(mutex_);
  STARLING_ASSIGN_OR_RETURN(std::vector<std::string> texts, ReadFiles(options_));
  if (texts == texts_) return false;
  texts_ = std::move(texts);
  STARLING_RETURN_IF_ERROR(Take(options_, texts_));
  return true;
}

Status Tls::Take(TlsOptions options, const std::vector<std::string>& texts) {
  if (options.certificates.empty())
    return InvalidArgument("TLS: name at least one certificate and its key");
  auto contexts = std::make_shared<Contexts>();
  contexts->tickets = tickets_;
  for (size_t i = 0; i < options.certificates.size(); ++i) {
    STARLING_RETURN_IF_ERROR(
        contexts->AddCertificate(options, options.certificates[i], texts[2 * i], texts[2 * i + 1]));
  }
  if (options.clients != TlsOptions::Clients::kAnyone)
    STARLING_RETURN_IF_ERROR(contexts->BelieveClientsOf(options, texts.back()));
  contexts_.store(std::move(contexts));
  return OkStatus();
}

std::vector<TlsCertificate> Tls::Certificates() const { return contexts_.load()->facts; }

std::unique_ptr<TlsSession> Tls::NewSession(int descriptor) const {
  std::shared_ptr<const Contexts> contexts = contexts_.load();
  SSL* ssl = SSL_new(contexts->all.front().get());
  if (ssl == nullptr) return nullptr;
  return std::make_unique<TlsSession>(ssl, descriptor, std::move(contexts));
}

}  // namespace starling::http
