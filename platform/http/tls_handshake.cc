#include "platform/http/tls_handshake.h"

#include "platform/async/asio_await.h"
#include "platform/http/tls_session.h"

namespace starling::http {

using boost::system::error_code;

TlsHandshake::TlsHandshake(std::shared_ptr<ServerThread> thread, Transport transport, Peer peer)
    : Connection(std::move(thread), std::move(transport), std::move(peer)),
      deadline_(std::chrono::steady_clock::now() + thread_->options().header_timeout) {
  transport_.StartTls(thread_->options().tls->NewSession(transport_.descriptor()));
}

Task<std::optional<std::string>> TlsHandshake::Run() {
  TlsSession* const tls = transport_.tls();
  error_code error;
  // Without memory for a session there is none.
  TlsSession::Handshake step =
      tls == nullptr ? TlsSession::Handshake::kFailed : TlsSession::Handshake::kReads;
  while (!error && tls != nullptr) {
    step = tls->DoHandshake();
    if (step == TlsSession::Handshake::kDone || step == TlsSession::Handshake::kFailed) break;
    const bool reads = step == TlsSession::Handshake::kReads;
    co_await transport_.socket().async_wait(reads ? Socket::wait_read : Socket::wait_write,
                                            AsTask(error));
  }
  if (error || step == TlsSession::Handshake::kFailed) {
    if (timed_out_) {
      thread_->counters.timeouts.Add();
    } else {
      thread_->counters.tls_failures.Add();
    }
    if (!error) {
      // So that the client sees the alert and not a reset.
      deadline_ = std::chrono::steady_clock::now() + thread_->options().linger_timeout;
      co_await DropInput();
    }
    over_ = true;
    Close();
    co_return std::nullopt;
  }
  over_ = true;
  thread_->counters.tls_handshakes.Add();
  if (tls->resumed()) thread_->counters.tls_resumed.Add();
  co_return std::string(tls->protocol());
}

Handover TlsHandshake::TakeOver() {
  Peer peer = peer_;
  peer.tls = true;
  peer.certificate = transport_.tls()->PeerCertificate();
  return {std::move(transport_), std::move(peer), {}};
}

void TlsHandshake::CheckDeadline(Instant now) {
  if (over_ || now < deadline_) return;
  timed_out_ = true;
  error_code ignored;
  transport_.socket().cancel(ignored);
}

size_t TlsHandshake::Cut() {
  if (over_) return 0;
  error_code ignored;
  transport_.socket().shutdown(Socket::shutdown_both, ignored);
  transport_.socket().cancel(ignored);
  return 0;
}

}  // namespace starling::http
