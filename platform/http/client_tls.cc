#include "platform/http/client_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <fstream>
#include <iterator>
#include <map>

namespace starling::http {
namespace {

constexpr size_t kMaxSessions = 1024;

std::string Reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "it is malformed" : reason;
}

bool IsAddress(const std::string& name) {
  boost::system::error_code error;
  boost::asio::ip::make_address(name, error);
  return !error;
}

}  // namespace

// What the files said, and the sessions that came of it.
class ClientTls::Context : public std::enable_shared_from_this<Context> {
 public:
  static StatusOr<std::shared_ptr<const Context>> Make(const ClientTlsOptions& options);
  ~Context() {
    for (const auto& [name, session] : sessions_) SSL_SESSION_free(session);
    SSL_CTX_free(context_);
  }
  std::unique_ptr<TlsSession> NewSession(int descriptor, const std::string& name) const;

 private:
  explicit Context(SSL_CTX* context) : context_(context) {}
  static int Index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
  }
  // OpenSSL has a session for later; 1: it is ours now.
  static int OnSession(SSL* ssl, SSL_SESSION* session) {
    const auto* self = static_cast<Context*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), Index()));
    const char* name = static_cast<const char*>(SSL_get_app_data(ssl));
    if (self == nullptr || name == nullptr) return 0;
    const std::lock_guard lock(self->mutex_);
    const auto kept = self->sessions_.find(name);
    SSL_SESSION_free(kept->second);
    kept->second = session;
    return 1;
  }

  SSL_CTX* const context_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, SSL_SESSION*> sessions_;  // by name; nullptr: none yet
};

StatusOr<std::shared_ptr<const ClientTls::Context>> ClientTls::Context::Make(
    const ClientTlsOptions& options) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) return Internal("TLS: no memory for a context");
  std::shared_ptr<Context> made(new Context(context));
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  const std::string offered = static_cast<char>(options.protocol.size()) + options.protocol;
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(offered.data()),
                          static_cast<unsigned>(offered.size()));
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  const bool has_ca = options.ca_file.empty()
                          ? SSL_CTX_set_default_verify_paths(context) == 1
                          : SSL_CTX_load_verify_file(context, options.ca_file.c_str()) == 1;
  if (!has_ca) return InvalidArgument("TLS: ca '{}': {}", options.ca_file, Reason());
  if (!options.certificate_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1)
      return InvalidArgument("TLS: certificate '{}': {}", options.certificate_file, Reason());
    if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
      return InvalidArgument("TLS: key '{}': {}", options.key_file, Reason());
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_set_ex_data(context, Index(), made.get());
  SSL_CTX_sess_set_new_cb(context, OnSession);
  return made;
}

std::unique_ptr<TlsSession> ClientTls::Context::NewSession(int descriptor,
                                                           const std::string& name) const {
  SSL* const ssl = SSL_new(context_);
  if (ssl == nullptr) return nullptr;
  if (IsAddress(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  } else {
    SSL_set1_host(ssl, name.c_str());
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set_tlsext_host_name(ssl, name.c_str());
  }
  {
    const std::lock_guard lock(mutex_);
    if (sessions_.size() < kMaxSessions || sessions_.contains(name)) {
      // The name's text lives as long as the context, which outlives the session.
      const auto at = sessions_.try_emplace(name, nullptr).first;
      SSL_set_app_data(ssl, const_cast<char*>(at->first.c_str()));
      if (at->second != nullptr) SSL_set_session(ssl, at->second);
    }
  }
  return std::make_unique<TlsSession>(ssl, descriptor, shared_from_this(),
                                      TlsSession::Side::kClient);
}

ClientTls::ClientTls(ClientTlsOptions options) : options_(std::move(options)), context_(nullptr) {}
ClientTls::~ClientTls() = default;

StatusOr<std::shared_ptr<ClientTls>> ClientTls::Load(ClientTlsOptions options) {
  if (options.certificate_file.empty() != options.key_file.empty())
    return InvalidArgument("TLS: a certificate needs a key, and a key a certificate");
  std::shared_ptr<ClientTls> tls(new ClientTls(std::move(options)));
  STARLING_RETURN_IF_ERROR(tls->ReloadIfChanged().status());
  return tls;
}

StatusOr<std::vector<std::string>> ClientTls::ReadFiles() const {
  std::vector<std::string> texts;
  for (const std::string& path : {options_.ca_file, options_.certificate_file, options_.key_file}) {
    if (path.empty()) continue;
    std::ifstream file(path, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (!file.good() && !file.eof()) return InvalidArgument("TLS: '{}' cannot be read", path);
  }
  return texts;
}

StatusOr<bool> ClientTls::ReloadIfChanged() {
  const std::lock_guard lock(mutex_);
  STARLING_ASSIGN_OR_RETURN(std::vector<std::string> texts, ReadFiles());
  if (context_.load() != nullptr && texts == texts_) return false;
  texts_ = std::move(texts);
  STARLING_ASSIGN_OR_RETURN(std::shared_ptr<const Context> made, Context::Make(options_));
  context_.store(std::move(made));
  return true;
}

std::unique_ptr<TlsSession> ClientTls::NewSession(int descriptor, const std::string& host) const {
  return context_.load()->NewSession(descriptor, options_.name.empty() ? host : options_.name);
}

Status ClientTls::CheckProtocol(const TlsSession& session) const {
  const std::string_view agreed = session.protocol();
  // One that knows no ALPN speaks HTTP/1.1.
  if (agreed == options_.protocol || (agreed.empty() && options_.protocol == "http/1.1"))
    return OkStatus();
  return Unavailable("TLS: it does not agree to {} (ALPN)", options_.protocol);
}

}  // namespace starling::http
