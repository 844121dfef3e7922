#include "platform/http/transport.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/buffer.hpp>

#include "platform/async/asio_await.h"
#include "platform/http/tls_session.h"

namespace starling::http {

using boost::system::error_code;

Transport::Transport(Socket socket) : socket_(std::move(socket)) {}
Transport::Transport(Transport&&) noexcept = default;
Transport& Transport::operator=(Transport&&) noexcept = default;
Transport::~Transport() = default;

void Transport::StartTls(std::unique_ptr<TlsSession> tls) { tls_ = std::move(tls); }

Transport::Sent Transport::TrySend(std::string_view& first, std::string_view& second) {
  if (tls_ != nullptr) return tls_->TrySend(first, second);
  while (!first.empty() || !second.empty()) {
    iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                      {const_cast<char*>(second.data()), second.size()}};
    ssize_t sent;
    if (second.empty()) {
      sent = ::send(descriptor(), first.data(), first.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = 2;
      sent = ::sendmsg(descriptor(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Sent::kBlocked : Sent::kBroken;
    }
    const size_t of_first = std::min(static_cast<size_t>(sent), first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(static_cast<size_t>(sent) - of_first);
  }
  return Sent::kAll;
}

ssize_t Transport::TryRead(char* to, size_t size) {
  if (tls_ != nullptr) return tls_->TryRead(to, size);
  for (;;) {
    const ssize_t got = ::recv(descriptor(), to, size, MSG_DONTWAIT);
    if (got >= 0) return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return kNothing;
    if (errno != EINTR) return kBroken;
  }
}

Task<size_t> Transport::Read(char* to, size_t size, error_code& error) {
  if (tls_ == nullptr) {
    const size_t got =
        co_await socket_.async_read_some(boost::asio::buffer(to, size), AsTask(error));
    co_return got;
  }
  for (;;) {
    const ssize_t got = tls_->TryRead(to, size);
    if (got > 0) co_return static_cast<size_t>(got);
    if (got == kEnd || got == kBroken) {
      error = boost::asio::error::eof;
      if (got == kBroken) error = boost::asio::error::connection_reset;
      co_return 0;
    }
    co_await socket_.async_wait(Socket::wait_read, AsTask(error));
    if (error) co_return 0;
  }
}

bool Transport::InputWaits() {
  if (tls_ != nullptr && tls_->HasInput()) return true;
  int waiting = 0;
  return ::ioctl(descriptor(), FIONREAD, &waiting) == 0 && waiting > 0;
}

void Transport::FinishSending() {
  if (tls_ != nullptr) tls_->Close();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

}  // namespace starling::http
