#include "platform/http/server_thread.h"

#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>

#include "platform/async/asio_await.h"
#include "platform/http/h2_connection.h"
#include "platform/http/http1_connection.h"
#include "platform/http/problem.h"
#include "platform/http/tls_handshake.h"

namespace starling::http {
namespace {

// Connections above max_connections that are being told so; more are closed without a word.
constexpr int kMaxRejecting = 64;
constexpr int kBacklogRounds = 3;
constexpr size_t kReadBytes = 64 * 1024;

using boost::system::error_code;

bool IsOutOfResources(const error_code& error) {
  return error == boost::asio::error::no_descriptors || error == boost::asio::error::no_memory ||
         error == boost::asio::error::no_buffer_space || error.value() == ENFILE;
}

// The listener takes no new handshake from here on, while those under way still end in its backlog.
// A client that comes now tries again a second later, and finds the port closed or another process
// behind it.
void RefuseHandshakes(int listener) {
  static sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),           // TCP flags
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),        // SYN and ACK
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),  // SYN alone
      BPF_STMT(BPF_RET | BPF_K, 0),                     // drop
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),            // take
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  // Where it is not allowed, a handshake that ends between the last accept and the close is lost.
  ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

Status ListenError(const Tcp::endpoint& endpoint, const error_code& error) {
  std::string remedy;
  if (error == boost::asio::error::address_in_use) {
    remedy = fmt::format(
        "; `ss -ltnp 'sport = :{}'` names the process that holds it: stop that or choose another "
        "port",
        endpoint.port());
  } else if (error == boost::asio::error::access_denied) {
    remedy = "; ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a higher one";
  } else if (error.value() == EADDRNOTAVAIL) {
    remedy =
        "; this machine has no such address: 127.0.0.1 is for this machine only, 0.0.0.0 for all "
        "its addresses";
  }
  return Unavailable("cannot listen on {} port {}: {}{}", endpoint.address().to_string(),
                     endpoint.port(), error.message(), remedy);
}

error_code OpenAcceptor(Acceptor& acceptor, const Tcp::endpoint& endpoint) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6())
    acceptor.set_option(boost::asio::ip::v6_only(false), error);
  return error;
}

}  // namespace

ServerThread::ServerThread(std::shared_ptr<ServerCore> core, boost::asio::io_context& context,
                           int index)
    : core_(std::move(core)),
      context_(context),
      index_(index),
      acceptor_(context),
      sweep_timer_(context) {}

ServerThread::~ServerThread() = default;

StatusOr<uint16_t> ServerThread::Listen(const Tcp::endpoint& endpoint, int listeners) {
  error_code error;
  Tcp::endpoint bound = endpoint;
  if (listeners > 1 && index_ == 0) {
    // SO_REUSEPORT would let us share a port that another process of this user serves: so the port
    // is first bound without it, which fails then.
    Acceptor probe(context_);
    error = OpenAcceptor(probe, endpoint);
    if (!error) probe.bind(endpoint, error);
    if (error) return ListenError(endpoint, error);
    bound = probe.local_endpoint(error);
  }
  error = OpenAcceptor(acceptor_, bound);
  if (!error && listeners > 1) {
    const int on = 1;
    if (::setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) {
      error = error_code(errno, boost::system::system_category());
    }
  }
  if (!error) acceptor_.bind(bound, error);
  if (!error) acceptor_.listen(options().listen_backlog, error);
  if (!error) bound = acceptor_.local_endpoint(error);
  if (error) return ListenError(endpoint, error);
  listening_ = true;
  core_->listening.fetch_add(1);
  return bound.port();
}

template <typename F>
void ServerThread::Post(F f) {
  boost::asio::post(context_, [self = shared_from_this(), f = std::move(f)] { f(*self); });
}

void ServerThread::Start() {
  Post([](ServerThread& self) {
    self.SweepConnections();
    Spawn(self.context_.get_executor(), self.Sweep());
    Spawn(self.context_.get_executor(), self.Accept());
  });
}

void ServerThread::Drain() {
  Post([](ServerThread& self) {
    if (self.draining_ || self.stopped_) return;
    self.draining_ = true;
    self.drain_idle_deadline_ = std::chrono::steady_clock::now() + self.options().drain_idle_grace;
    error_code ignored;
    self.acceptor_.cancel(ignored);  // Accept goes on with the backlog
    for (Connection* at = self.first_; at != nullptr; at = at->next_) at->Drain();
  });
}

void ServerThread::Cut() {
  Post([](ServerThread& self) {
    for (Connection* at = self.first_; at != nullptr; at = at->next_) {
      self.core_->cut_requests.fetch_add(at->Cut());
    }
    self.core_->cutting.fetch_sub(1);
  });
}

void ServerThread::Stop() {
  Post([](ServerThread& self) {
    self.stopped_ = true;
    self.CloseListener();
    self.sweep_timer_.cancel();
    for (Connection* at = self.first_; at != nullptr; at = at->next_) at->Cut();
  });
}

void ServerThread::CloseListener() {
  error_code ignored;
  acceptor_.close(ignored);
  if (std::exchange(listening_, false)) core_->listening.fetch_sub(1);
}

Task<void> ServerThread::Accept() {
  const std::shared_ptr<ServerThread> self = shared_from_this();
  while (!draining_ && !stopped_) {
    error_code error;
    Tcp::endpoint peer;
    Socket socket = co_await acceptor_.async_accept(context_, peer, AsTask(error));
    if (!error) {
      TakeConnection(std::move(socket), peer);
    } else if (IsOutOfResources(error)) {
      // The connection stays in the backlog; it is tried again when others have gone.
      co_await SleepFor(std::chrono::milliseconds(50));
    }
  }
  if (!stopped_) co_await AcceptBacklog();
}

Task<void> ServerThread::AcceptBacklog() {
  RefuseHandshakes(acceptor_.native_handle());
  for (int round = 0; round < kBacklogRounds && !stopped_; ++round) {
    // A handshake whose SYN was taken may need a round trip to end.
    if (round > 0) co_await SleepFor(std::chrono::milliseconds(30));
    error_code error;
    acceptor_.non_blocking(true, error);
    while (!error) {
      Tcp::endpoint peer;
      Socket socket = acceptor_.accept(context_, peer, error);
      if (!error) TakeConnection(std::move(socket), peer);
    }
  }
  CloseListener();
}

void ServerThread::TakeConnection(Socket socket, const Tcp::endpoint& peer) {
  counters.accepted.Add();
  if (core_->connections.fetch_add(1) >= options().max_connections) {
    core_->connections.fetch_sub(1);
    counters.rejected_connections.Add();
    // Over TLS it would cost a handshake to say so.
    if (options().tls == nullptr && rejecting_ < kMaxRejecting)
      Spawn(context_.get_executor(), Reject(std::move(socket)));
    return;
  }
  error_code ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  const uint64_t id = (static_cast<uint64_t>(index_) << 48) | ++next_connection_;
  Transport transport(std::move(socket));
  Peer client{.address = peer.address().to_string(), .connection_id = id};
  // The task holds the connection from the start on, whenever it is first run.
  if (options().tls != nullptr) {
    Spawn(context_.get_executor(),
          ServeTls(std::make_shared<TlsHandshake>(shared_from_this(), std::move(transport),
                                                  std::move(client))));
  } else {
    Spawn(context_.get_executor(),
          ServeHttp1(std::make_shared<Http1Connection>(shared_from_this(), std::move(transport),
                                                       std::move(client))));
  }
}

Task<void> ServerThread::ServeTls(std::shared_ptr<TlsHandshake> handshake) {
  const std::shared_ptr<ServerThread> self = shared_from_this();
  const std::optional<std::string> protocol = co_await handshake->Run();
  if (!protocol) co_return;
  core_->connections.fetch_add(1);
  Handover handover = handshake->TakeOver();
  handshake.reset();
  if (*protocol == "h2") {
    co_await ServeHttp2(std::move(handover));
  } else {
    co_await ServeHttp1(std::make_shared<Http1Connection>(self, std::move(handover.transport),
                                                          std::move(handover.peer)));
  }
}

Task<void> ServerThread::ServeHttp1(std::shared_ptr<Http1Connection> connection) {
  const std::shared_ptr<ServerThread> self = shared_from_this();
  const bool http2 = co_await connection->Run();
  if (!http2) co_return;
  core_->connections.fetch_add(1);
  Handover handover = connection->TakeOver();
  connection.reset();
  co_await ServeHttp2(std::move(handover));
}

Task<void> ServerThread::ServeHttp2(Handover handover) {
  const auto connection = std::make_shared<H2Connection>(
      shared_from_this(), std::move(handover.transport), std::move(handover.peer));
  co_await connection->Run(std::move(handover.received));
}

std::span<char> ServerThread::read_buffer() {
  if (read_buffer_.empty()) read_buffer_.resize(kReadBytes);
  return read_buffer_;
}

Task<void> ServerThread::Reject(Socket socket) {
  const std::shared_ptr<ServerThread> self = shared_from_this();
  ++rejecting_;
  const Response response = ProblemResponse(
      Overloaded(fmt::format("the server has {} connections, its limit", options().max_connections),
                 std::chrono::seconds(1)));
  std::string text;
  AppendHead(response, BodyFraming::kLength, ConnectionField::kClose, date_line_, text);
  text += response.body;
  const int descriptor = socket.native_handle();
  ::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  error_code error;
  socket.shutdown(Socket::shutdown_send, error);
  // What the client sends is read, since closing over it would reset the connection before the
  // client saw the answer.
  const Instant end = std::chrono::steady_clock::now() + options().linger_timeout;
  while (!stopped_ && std::chrono::steady_clock::now() < end) {
    ssize_t size;
    do {
      size = ::recv(descriptor, text.data(), text.size(), MSG_DONTWAIT);
    } while (size > 0);
    if (size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) break;
    co_await SleepFor(std::chrono::milliseconds(20));
  }
  --rejecting_;
}

Task<void> ServerThread::Sweep() {
  const std::shared_ptr<ServerThread> self = shared_from_this();
  while (!stopped_) {
    sweep_timer_.expires_after(options().sweep_interval);
    error_code ignored;
    co_await sweep_timer_.async_wait(AsTask(ignored));
    if (!stopped_) SweepConnections();
  }
}

void ServerThread::SweepConnections() {
  const TimePoint wall = SystemClock().Now();
  const int64_t second = std::chrono::floor<std::chrono::seconds>(wall.time_since_epoch()).count();
  if (second != date_second_) {
    date_second_ = second;
    date_line_ = DateLine(wall);
  }
  const Instant now = std::chrono::steady_clock::now();
  polled_.clear();
  polled_connections_.clear();
  for (Connection* at = first_; at != nullptr; at = at->next_) {
    at->CheckDeadline(now);
    if (at->WantsClientCheck()) {
      polled_.push_back({at->descriptor(), POLLRDHUP, 0});
      polled_connections_.push_back(at);
    }
  }
  if (polled_.empty() || ::poll(polled_.data(), polled_.size(), 0) <= 0) return;
  for (size_t i = 0; i < polled_.size(); ++i) {
    if ((polled_[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
      polled_connections_[i]->ClientIsGone();
  }
}

void ServerThread::Link(Connection* connection) {
  connection->next_ = first_;
  if (first_ != nullptr) first_->previous_ = connection;
  first_ = connection;
}

void ServerThread::Unlink(Connection* connection) {
  (connection->previous_ != nullptr ? connection->previous_->next_ : first_) = connection->next_;
  if (connection->next_ != nullptr) connection->next_->previous_ = connection->previous_;
}

}  // namespace starling::http
