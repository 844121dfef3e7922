// TLS of connections that we open: who the server must be, and who we are.
//
//   STARLING_ASSIGN_OR_RETURN(auto tls, ClientTls::Load({.ca_file = "ca.pem", .protocol = "h2"}));
//   transport.StartTls(tls->NewSession(transport.descriptor(), "search.internal"));
//   ... TlsSession::DoHandshake until kDone, or kFailed: FailureReason() ...
//   STARLING_RETURN_IF_ERROR(tls->CheckProtocol(*transport.tls()));
//
// TLS 1.2 and 1.3. The server's certificate must be signed by one of the CAs and be for the name
// that was asked for; there is no way to leave that out. ALPN offers one protocol. The last session
// of each name is kept and resumed, until the files are read again. Thread-safe. Load and
// ReloadIfChanged read files: not for an io thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/base/snapshot.h"
#include "platform/http/tls_session.h"

namespace starling::http {

struct ClientTlsOptions {
  std::string ca_file;           // PEM; "": the system's
  std::string certificate_file;  // ours, with those that lead to a CA; "": none
  std::string key_file;
  std::string name;                   // whom the server must be; "": the host that is asked
  std::string protocol = "http/1.1";  // by ALPN: the one that is spoken; or "h2"
};

class ClientTls {
 public:
  // INVALID_ARGUMENT naming the file and what is wrong with it.
  static StatusOr<std::shared_ptr<ClientTls>> Load(ClientTlsOptions options);
  ~ClientTls();
  ClientTls(const ClientTls&) = delete;

  // Reads the files again when one has changed since it was last read, whether that went well or
  // not; what is wrong leaves all as it was. True: connections from now on use them.
  StatusOr<bool> ReloadIfChanged();

  // `host`: a DNS name, which is sent (SNI), or an address, which is not. nullptr: out of memory.
  std::unique_ptr<TlsSession> NewSession(int descriptor, const std::string& host) const;
  // UNAVAILABLE when the server does not speak the protocol. After the handshake.
  Status CheckProtocol(const TlsSession& session) const;

 private:
  class Context;
  explicit ClientTls(ClientTlsOptions options);
  StatusOr<std::vector<std::string>> ReadFiles() const;

  const ClientTlsOptions options_;
  std::mutex mutex_;                // of reloads
  std::vector<std::string> texts_;  // of the files as they were last read
  Snapshot<Context> context_;
};

}  // namespace starling::http
