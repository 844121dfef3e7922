// One HTTP/1.1 connection to an upstream, on one io thread, for one exchange at a time. Internal to
// the gateway; not thread-safe.
//
//   co_await connection.Connect(host, port, tls);
//   co_await connection.Send(head, body);
//   switch (co_await connection.Next(response)) { kHead, kBody: piece(); kComplete; kError }
//
// Every wait ends at the deadline (within ProxyThread::kTick), and then each later call fails at
// once.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/async/cancellation.h"
#include "platform/async/task.h"
#include "platform/gateway/upstream_answer.h"
#include "platform/http/client_tls.h"
#include "platform/http/exchange.h"
#include "platform/http/response_parser.h"

namespace starling::gateway {

class ProxyThread;

class UpstreamConnection final : public UpstreamAnswer {
 public:
  UpstreamConnection(ProxyThread& thread, size_t max_header_bytes);
  ~UpstreamConnection() override;
  UpstreamConnection(const UpstreamConnection&) = delete;

  // In use for a request of this exchange until Release: its waits have a deadline, and end when
  // its client is gone.
  void Use(const http::Request& request, http::Exchange& exchange, Instant deadline);
  // The same for nobody's request.
  void Use(Instant deadline);
  void Release();
  void SetDeadline(Instant deadline) override { deadline_ = deadline; }
  // Of what is sent while an answer is read.
  void SetSendDeadline(Instant deadline) { send_deadline_ = deadline; }

  // UNAVAILABLE (why it could not be reached or is not trusted), DEADLINE_EXCEEDED, CANCELLED.
  // tls: nullptr for none.
  Task<Status> Connect(const std::string& host, uint16_t port, http::ClientTls* tls);
  // What it has connected, for who speaks another protocol.
  http::Transport TakeTransport() {
    Release();
    return std::move(transport_);
  }
  // A small request is written without a wait. An error says that not all was written; the upstream
  // may have answered all the same.
  Task<Status> Send(std::string_view head, std::string_view body, bool to_head);
  // More of the request, when Send gave its head alone; first, then second.
  Task<Status> Write(std::string_view first, std::string_view second);
  // Nothing more will be sent; the answer goes on.
  void FinishSending();
  // The request that Send sends next asks to switch to this protocol.
  void ExpectUpgrade(std::string_view protocol) { upgrade_ = protocol; }
  // Nobody wants what is still to be sent: a Write that waits fails.
  void StopSending();
  // The connection ends, and each wait with it.
  void Stop(Status why);
  Task<Step> Next(http::Response& response) override;
  Step NextRead(http::Response& response) override;
  std::string_view piece() const override { return piece_; }
  std::optional<uint64_t> content_length() const override { return parser_.content_length(); }
  bool complete() const override { return parser_.complete(); }
  const http::ResponseParser& parser() const { return parser_; }
  Status error() const override;
  // Whether the peer has closed it, or said what nobody asked for. For an idle one; a system call.
  bool IsStale();
  // After kComplete: it can take another request.
  bool reusable() const { return parser_.keep_alive() && begin_ == end_ && stopped_.ok(); }

  // Of the pool.
  Instant idle_since{};

 private:
  friend class ProxyThread;
  struct Lookup;
  // Until it is done or the deadline comes; nullptr when too many are under way.
  Task<std::shared_ptr<Lookup>> LookUp(const std::string& host, uint16_t port);
  Task<Status> ConnectSocket(const std::string& host, uint16_t port);
  Task<Status> StartTls(http::ClientTls& tls, const std::string& host);
  void CheckClient(Instant now);
  http::Socket& socket() { return transport_.socket(); }

  ProxyThread& thread_;
  http::Transport transport_;
  http::ResponseParser parser_;
  std::string in_;
  size_t begin_ = 0;
  size_t end_ = 0;
  std::string out_;  // of a request, what the kernel did not take at once
  std::string_view piece_;
  http::Exchange* exchange_ = nullptr;
  CancellationToken client_;
  bool in_use_ = false;
  bool watches_client_ = false;
  Instant used_since_{};
  Instant deadline_{};
  Instant send_deadline_ = Instant::max();
  bool stop_sending_ = false;
  std::string_view upgrade_;
  Status stopped_;                      // why waits end
  Status failed_;                       // of the socket
  UpstreamConnection* next_ = nullptr;  // of the thread's list of those in use
  UpstreamConnection* previous_ = nullptr;
};

// What the proxy has on an io thread: the list of connections in use, and a timer that ends their
// waits. It runs while there are any.
class ProxyThread : public std::enable_shared_from_this<ProxyThread> {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(20);

  explicit ProxyThread(boost::asio::io_context& context) : context_(context), timer_(context) {}
  boost::asio::io_context& context() { return context_; }

 private:
  friend class UpstreamConnection;
  void Add(UpstreamConnection& connection);
  void Remove(UpstreamConnection& connection);
  void Arm();
  void Sweep();

  boost::asio::io_context& context_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  bool armed_ = false;
  int lookups_ = 0;
  UpstreamConnection* first_ = nullptr;
};

}  // namespace starling::gateway
