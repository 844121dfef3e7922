// One connection's TLS over a socket that does not block. Internal to the server, and to who opens
// connections (client_tls.h).
//
// OpenSSL reads from the socket and writes into `sealed_`, which goes out in as few calls as
// possible; nothing more is sealed before it is empty, so it is bounded by one write.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/http/message.h"
#include "platform/http/tls.h"
#include "platform/http/transport.h"

using SSL = struct ssl_st;
using BIO = struct bio_st;

namespace starling::http {

class TlsSession {
 public:
  enum class Handshake : uint8_t { kDone, kReads, kWrites, kFailed };

  enum class Side : uint8_t { kServer, kClient };

  // `contexts` live as long as the session.
  TlsSession(SSL* ssl, int descriptor, std::shared_ptr<const void> contexts,
             Side side = Side::kServer);
  ~TlsSession();

  // Goes on until it has to wait for the peer to send (kReads) or to take (kWrites).
  Handshake DoHandshake();
  std::string_view protocol() const;  // by ALPN: "h2", "http/1.1" or ""
  bool resumed() const;
  // Why the handshake failed: what is wrong with the peer's certificate, or OpenSSL's word.
  std::string FailureReason() const;
  std::shared_ptr<const ClientCertificate> PeerCertificate() const;

  // As Transport's.
  Transport::Sent TrySend(std::string_view& first, std::string_view& second);
  ssize_t TryRead(char* to, size_t size);
  bool HasInput() const;
  // Sends close_notify, as far as the kernel takes it.
  void Close();

 private:
  friend struct SocketBio;
  Transport::Sent SendSealed();

  SSL* const ssl_;
  const int descriptor_;
  const std::shared_ptr<const void> contexts_;
  std::string sealed_;
  size_t sealed_sent_ = 0;
};

}  // namespace starling::http
