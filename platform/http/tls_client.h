// A blocking TLS client for tests, over a RawSocket.
#pragma once

#include <openssl/err.h>

#include "platform/http/raw_socket.h"
#include "platform/http/tls_test_certificates.h"

namespace starling::http {

class TlsClient {
 public:
  struct Options {
    std::string name;                              // by SNI; "": none is sent
    std::string protocols = "\x08http/1.1";        // ALPN; "": none
    const TestCertificate* certificate = nullptr;  // shown when asked for
    int min_version = TLS1_2_VERSION;
    int max_version = TLS1_3_VERSION;
    std::string ciphers;             // of TLS 1.2
    SSL_SESSION* session = nullptr;  // to be resumed
  };

  TlsClient(uint16_t port, const Options& options) : socket_(port) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, options.min_version);
    SSL_CTX_set_max_proto_version(context_, options.max_version);
    if (!options.ciphers.empty()) SSL_CTX_set_cipher_list(context_, options.ciphers.c_str());
    if (!options.protocols.empty()) {
      SSL_CTX_set_alpn_protos(context_,
                              reinterpret_cast<const unsigned char*>(options.protocols.data()),
                              static_cast<unsigned>(options.protocols.size()));
    }
    if (options.certificate != nullptr) {
      SSL_CTX_use_certificate(context_, options.certificate->certificate());
      SSL_CTX_use_PrivateKey(context_, options.certificate->key());
    }
    ssl_ = SSL_new(context_);
    if (!options.name.empty()) SSL_set_tlsext_host_name(ssl_, options.name.c_str());
    if (options.session != nullptr) SSL_set_session(ssl_, options.session);
    SSL_set_fd(ssl_, socket_.descriptor());
    connected_ = SSL_connect(ssl_) == 1;
    if (!connected_) reason_ = LastReason();
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // In TLS 1.3 a server that refuses the client's certificate says so after this.
  bool connected() const { return connected_; }
  const std::string& reason() const { return reason_; }  // why not
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  std::string version() const { return SSL_get_version(ssl_); }
  bool resumed() const { return SSL_session_reused(ssl_) == 1; }
  SSL_SESSION* session() const { return SSL_get_session(ssl_); }
  // The common name of the server's certificate.
  std::string ServerName() const {
    char name[256] = "";
    X509* certificate = SSL_get0_peer_certificate(ssl_);
    if (certificate == nullptr) return "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof(name));
    return name;
  }

  bool Send(std::string_view text) {
    return SSL_write(ssl_, text.data(), static_cast<int>(text.size())) ==
           static_cast<int>(text.size());
  }
  // What comes until `text` is among it, or the connection ends.
  std::string ReadUntil(std::string_view text) {
    std::string read;
    char bytes[16384];
    while (read.find(text) == std::string::npos) {
      const int size = SSL_read(ssl_, bytes, sizeof(bytes));
      if (size <= 0) {
        reason_ = LastReason();
        clean_end_ = SSL_get_error(ssl_, size) == SSL_ERROR_ZERO_RETURN;
        break;
      }
      read.append(bytes, static_cast<size_t>(size));
    }
    return read;
  }
  std::string Ask(std::string_view path, std::string_view until) {
    Send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
    return ReadUntil(until);
  }
  bool clean_end() const { return clean_end_; }  // by close_notify
  RawSocket& socket() { return socket_; }

 private:
  static std::string LastReason() {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason == nullptr ? "" : reason;
  }

  RawSocket socket_;
  SSL_CTX* context_;
  SSL* ssl_;
  bool connected_ = false;
  bool clean_end_ = false;
  std::string reason_;
};

}  // namespace starling::http
