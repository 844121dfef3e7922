// The public API over TLS: a listener of its own beside the one without, with the same routes.
//
//   STARLING_ASSIGN_OR_RETURN(https_, Https::Start(runtime, gateway.tls, options, router, until));
//   if (https_ != nullptr) ... https_->port() ...
//
// Files of certificates are looked at `look_every`, on the blocking pool, and taken when they
// changed; what cannot be used is logged, and the old certificates stay.
#pragma once

#include <memory>

#include "platform/async/cancellation.h"
#include "platform/host/tls_config.h"
#include "platform/http/server.h"

namespace starling::host {

class Https {
 public:
  // nullptr when no certificates are configured. `options` are those of the listener without TLS.
  // INVALID_ARGUMENT naming a file that cannot be used.
  static StatusOr<std::unique_ptr<Https>> Start(Runtime& runtime, const TlsConfig& config,
                                                http::ServerOptions options,
                                                std::shared_ptr<const http::Router> router,
                                                CancellationToken until,
                                                Duration look_every = std::chrono::seconds(1));

  int port() const { return port_; }
  const http::Server& server() const { return *server_; }
  std::vector<http::TlsCertificate> Certificates() const { return tls_->Certificates(); }
  Task<size_t> Drain(Duration limit) { return server_->Drain(limit); }
  void SetRouter(std::shared_ptr<const http::Router> router) {
    server_->SetRouter(std::move(router));
  }
  // A changed configuration; the address and the port stay. Reads files. Any thread.
  void Set(const TlsConfig& config);

 private:
  explicit Https(std::shared_ptr<http::Tls> tls) : tls_(std::move(tls)) {}

  const std::shared_ptr<http::Tls> tls_;
  std::unique_ptr<http::Server> server_;
  int port_ = 0;
};

}  // namespace starling::host
