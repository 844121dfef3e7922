// TLS of connections that we open: who the server must be, and who we are.
//
//   STARLING_ASSIGN_OR_RETURN(auto tls, ClientTls::Load({.ca_file = "ca.pem", .protocol = "h2"}));
//   transport.StartTls(tls->NewSession(descriptor, "search.internal"));
//   ... TlsSession::DoHandshake until kDone, or kFailed: FailureReason() ...
//
// TLS 1.2 and 1.3. The server's certificate must be signed by one of the CAs and be for the name
// that was asked for; there is no way to leave that out. ALPN offers one protocol. The last session
// of each name is kept and resumed. Thread-safe. Files are read once.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "platform/http/tls_session.h"

using SSL_CTX = struct ssl_ctx_st;
using SSL_SESSION = struct ssl_session_st;

namespace starling::http {

struct ClientTlsOptions {
  std::string ca_file;           // PEM; "": the system's
  std::string certificate_file;  // ours, with those that lead to a CA; "": none
  std::string key_file;
  std::string name;                   // whom the server must be; "": the host that is asked
  std::string protocol = "http/1.1";  // by ALPN: the one that is spoken; or "h2"
};

class ClientTls : public std::enable_shared_from_this<ClientTls> {
 public:
  // INVALID_ARGUMENT naming the file and what is wrong with it.
  static StatusOr<std::shared_ptr<ClientTls>> Load(const ClientTlsOptions& options);
  ~ClientTls();
  ClientTls(const ClientTls&) = delete;

  // `host`: a DNS name, which is sent (SNI), or an address, which is not. nullptr: out of memory.
  std::unique_ptr<TlsSession> NewSession(int descriptor, const std::string& host);
  // UNAVAILABLE when the server does not speak the protocol. After the handshake.
  Status CheckProtocol(const TlsSession& session) const;

 private:
  ClientTls(SSL_CTX* context, const ClientTlsOptions& options)
      : context_(context), name_(options.name), protocol_(options.protocol) {}
  void Keep(const std::string& name, SSL_SESSION* session);
  friend struct ClientTlsCallbacks;

  SSL_CTX* const context_;
  const std::string name_;
  const std::string protocol_;
  std::mutex mutex_;
  std::map<std::string, SSL_SESSION*> sessions_;
};

}  // namespace starling::http
