// A connection's bytes: a socket, with TLS over it or without. Internal to the server and to who
// proxies.
//
// Nothing here blocks. What TLS has encrypted and the kernel would not take is kept (at most one
// write's worth) and goes out with the next TrySend. One io thread; move it, do not share it.
#pragma once

#include <sys/types.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "platform/async/task.h"

namespace starling::http {

using Tcp = boost::asio::ip::tcp;
using Socket = boost::asio::basic_stream_socket<Tcp, boost::asio::io_context::executor_type>;

class TlsSession;

class Transport {
 public:
  enum class Sent : uint8_t { kAll, kBlocked, kBroken };
  static constexpr ssize_t kEnd = 0;       // the peer will send no more
  static constexpr ssize_t kNothing = -1;  // nothing is there now
  static constexpr ssize_t kBroken = -2;

  explicit Transport(Socket socket);
  Transport(Transport&&) noexcept;
  Transport& operator=(Transport&&) noexcept;
  ~Transport();

  // Sends first, then second, and takes off of both what the kernel (or TLS) took. kAll: both are
  // empty and nothing is kept.
  Sent TrySend(std::string_view& first, std::string_view& second);
  // Bytes read, or one of the three above.
  ssize_t TryRead(char* to, size_t size);
  // Waits until there is something; 0 with `error` when there will be nothing.
  Task<size_t> Read(char* to, size_t size, boost::system::error_code& error);
  // Bytes were received that TryRead would give.
  bool InputWaits();
  // Says that nothing more will be sent.
  void FinishSending();

  Socket& socket() { return socket_; }
  int descriptor() { return socket_.native_handle(); }
  TlsSession* tls() { return tls_.get(); }
  void StartTls(std::unique_ptr<TlsSession> tls);

 private:
  Socket socket_;
  std::unique_ptr<TlsSession> tls_;
};

}  // namespace starling::http
