// A connection that is agreeing on TLS. Internal to the server.
#pragma once

#include "platform/http/connection.h"

namespace starling::http {

class TlsHandshake final : public Connection {
 public:
  TlsHandshake(std::shared_ptr<ServerThread> thread, Transport transport, Peer peer);

  // What was agreed by ALPN, "" for nothing; nullopt: the connection is over. Takes at most
  // header_timeout.
  Task<std::optional<std::string>> Run();
  Handover TakeOver();

  void CheckDeadline(Instant now) override;
  size_t Cut() override;

 private:
  Instant deadline_;
  bool timed_out_ = false;
  bool over_ = false;
};

}  // namespace starling::http
