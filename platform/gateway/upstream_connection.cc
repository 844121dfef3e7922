#include "platform/gateway/upstream_connection.h"

#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/steady_timer.hpp>

#include "platform/async/asio_await.h"
#include "platform/http/tls_session.h"

namespace starling::gateway {
namespace {

constexpr size_t kBuffer = size_t{16} * 1024;
constexpr int kMaxLookups = 64;  // of names, an io thread: the resolver does one at a time
// A client is asked whether it is still there once its request has taken this long.
constexpr Duration kClientCheck = std::chrono::milliseconds(100);

using boost::asio::ip::tcp;
using boost::system::error_code;
using Resolver = boost::asio::ip::basic_resolver<tcp, boost::asio::io_context::executor_type>;

}  // namespace

UpstreamConnection::UpstreamConnection(ProxyThread& thread, size_t max_header_bytes)
    : thread_(thread),
      transport_(http::Socket(thread.context())),
      parser_({.max_header_bytes = max_header_bytes}) {}

UpstreamConnection::~UpstreamConnection() { Release(); }

void UpstreamConnection::Use(const http::Request& request, http::Exchange& exchange,
                             Instant deadline) {
  exchange_ = &exchange;
  used_since_ = request.received;
  Use(deadline);
}

void UpstreamConnection::Use(Instant deadline) {
  deadline_ = deadline;
  watches_client_ = stop_sending_ = false;
  send_deadline_ = Instant::max();
  upgrade_ = {};
  stopped_ = failed_ = OkStatus();
  in_use_ = true;
  thread_.Add(*this);
}

void UpstreamConnection::Release() {
  if (!std::exchange(in_use_, false)) return;
  thread_.Remove(*this);
  exchange_ = nullptr;
  client_ = {};
}

void UpstreamConnection::Stop(Status why) {
  if (!stopped_.ok()) return;
  stopped_ = std::move(why);
  error_code ignored;
  socket().close(ignored);
}

void UpstreamConnection::CheckClient(Instant now) {
  if (exchange_ == nullptr || now - used_since_ < kClientCheck) return;
  if (!watches_client_) {
    client_ = exchange_->cancellation();
    watches_client_ = true;
  }
  if (client_.IsCancelled()) Stop(Cancelled("the client is gone"));
}

Status UpstreamConnection::error() const {
  if (!stopped_.ok()) return stopped_;
  if (!failed_.ok()) return failed_;
  return Unavailable("its answer is malformed: {}", parser_.error());
}

// A name that is being resolved. The system's resolver blocks a thread for as long as it is
// configured to, whatever our deadline: so it goes on alone when nobody waits any more.
struct UpstreamConnection::Lookup {
  explicit Lookup(boost::asio::io_context& context) : resolver(context), wait(context) {}
  Resolver resolver;
  boost::asio::steady_timer wait;
  Resolver::results_type found;
  error_code error;
  bool done = false;
};

Task<std::shared_ptr<UpstreamConnection::Lookup>> UpstreamConnection::LookUp(
    const std::string& host, uint16_t port) {
  if (thread_.lookups_ >= kMaxLookups) co_return nullptr;
  ++thread_.lookups_;
  const auto lookup = std::make_shared<Lookup>(thread_.context());
  lookup->wait.expires_at(deadline_);
  lookup->resolver.async_resolve(host, std::to_string(port),
                                 [lookup, thread = thread_.shared_from_this()](
                                     const error_code& error, Resolver::results_type found) {
                                   --thread->lookups_;
                                   lookup->done = true;
                                   lookup->error = error;
                                   lookup->found = std::move(found);
                                   lookup->wait.cancel();
                                 });
  error_code ignored;
  co_await lookup->wait.async_wait(AsTask(ignored));
  co_return lookup;
}

Task<Status> UpstreamConnection::ConnectSocket(const std::string& host, uint16_t port) {
  error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (!error) {
    co_await socket().async_connect(tcp::endpoint(address, port), AsTask(error));
  } else {
    const std::shared_ptr<Lookup> lookup = co_await LookUp(host, port);
    if (!stopped_.ok()) co_return stopped_;
    if (lookup == nullptr) {
      co_return Unavailable("{} names are being looked up already, among them maybe '{}'",
                            kMaxLookups, host);
    }
    if (!lookup->done) co_return DeadlineExceeded("'{}' was not resolved in time", host);
    if (lookup->error)
      co_return Unavailable("'{}' has no address: {}", host, lookup->error.message());
    error = boost::asio::error::host_not_found;
    for (const auto& entry : lookup->found) {
      error_code ignored;
      socket().close(ignored);
      error = {};
      co_await socket().async_connect(entry.endpoint(), AsTask(error));
      if (!error || !stopped_.ok()) break;
    }
  }
  if (!stopped_.ok()) co_return stopped_;
  if (error) co_return Unavailable("cannot connect: {}", error.message());
  error_code ignored;
  socket().set_option(tcp::no_delay(true), ignored);
  co_return OkStatus();
}

Task<Status> UpstreamConnection::StartTls(http::ClientTls& tls, const std::string& host) {
  using Handshake = http::TlsSession::Handshake;
  transport_.StartTls(tls.NewSession(transport_.descriptor(), host));
  http::TlsSession* const session = transport_.tls();
  if (session == nullptr) co_return Unavailable("TLS: no memory for a session");
  for (;;) {
    if (!stopped_.ok()) co_return stopped_;
    const Handshake step = session->DoHandshake();
    if (step == Handshake::kDone) co_return tls.CheckProtocol(*session);
    if (step == Handshake::kFailed) co_return Unavailable("TLS: {}", session->FailureReason());
    error_code error;
    co_await socket().async_wait(
        step == Handshake::kReads ? http::Socket::wait_read : http::Socket::wait_write,
        AsTask(error));
  }
}

Task<Status> UpstreamConnection::Connect(const std::string& host, uint16_t port,
                                         http::ClientTls* tls) {
  Status connected = co_await ConnectSocket(host, port);
  if (connected.ok() && tls != nullptr) connected = co_await StartTls(*tls, host);
  in_.resize(kBuffer);
  co_return connected;
}

Task<Status> UpstreamConnection::Send(std::string_view head, std::string_view body, bool to_head) {
  parser_.Begin(to_head);
  if (!upgrade_.empty()) parser_.ExpectUpgrade(upgrade_);
  begin_ = end_ = 0;
  piece_ = {};
  return Write(head, body);
}

Task<Status> UpstreamConnection::Write(std::string_view head, std::string_view body) {
  using Sent = http::Transport::Sent;
  bool kept = false;  // the head, beyond the first wait
  for (;;) {
    if (!stopped_.ok()) co_return stopped_;
    if (stop_sending_) co_return Cancelled("the rest is not wanted");
    const Sent sent = transport_.TrySend(head, body);
    if (sent == Sent::kAll) co_return OkStatus();
    if (sent == Sent::kBroken) {
      failed_ = Unavailable("cannot write: the connection is broken");
      co_return failed_;
    }
    if (!kept) {
      out_.assign(head);
      head = out_;
      kept = true;
    }
    error_code error;
    co_await socket().async_wait(http::Socket::wait_write, AsTask(error));
  }
}

void UpstreamConnection::FinishSending() { transport_.FinishSending(); }

void UpstreamConnection::StopSending() {
  stop_sending_ = true;
  error_code ignored;
  socket().cancel(ignored);
}

UpstreamConnection::Step UpstreamConnection::NextRead(http::Response& response) {
  const auto result = parser_.Feed(std::string_view(in_).substr(begin_, end_ - begin_), response);
  begin_ += result.used;
  piece_ = result.body;
  return result.step;
}

Task<UpstreamConnection::Step> UpstreamConnection::Next(http::Response& response) {
  for (;;) {
    const Step step = NextRead(response);
    if (step != Step::kNeedMore) co_return step;
    if (begin_ == end_) {
      begin_ = end_ = 0;
    } else if (end_ == in_.size()) {
      // One line may need it all; the parser refuses a longer one.
      if (begin_ == 0) in_.resize(in_.size() * 2);
      std::copy(in_.begin() + static_cast<ptrdiff_t>(begin_),
                in_.begin() + static_cast<ptrdiff_t>(end_), in_.begin());
      end_ -= begin_;
      begin_ = 0;
    }
    if (!stopped_.ok()) co_return Step::kError;
    error_code error;
    const size_t size = co_await transport_.Read(in_.data() + end_, in_.size() - end_, error);
    end_ += size;
    if (!error) continue;
    if (!stopped_.ok()) co_return Step::kError;
    if (error == boost::asio::error::eof) {
      const Step last = parser_.End();
      if (last == Step::kError) {
        failed_ = Unavailable("it closed the connection {} answer",
                              parser_.begun() ? "within its" : "without an");
      }
      co_return last;
    }
    failed_ = Unavailable("cannot read: {}", error.message());
    co_return Step::kError;
  }
}

bool UpstreamConnection::IsStale() {
  char byte;
  // Over TLS 1.3 tickets may come at any time.
  if (transport_.tls() != nullptr) return transport_.TryRead(&byte, 1) != http::Transport::kNothing;
  const ssize_t size = ::recv(transport_.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

void ProxyThread::Add(UpstreamConnection& connection) {
  connection.previous_ = nullptr;
  connection.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &connection;
  first_ = &connection;
  if (!armed_) Arm();
}

void ProxyThread::Remove(UpstreamConnection& connection) {
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
  (connection.previous_ != nullptr ? connection.previous_->next_ : first_) = connection.next_;
}

void ProxyThread::Arm() {
  armed_ = true;
  timer_.expires_after(kTick);
  timer_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (self == nullptr || error) return;
    self->armed_ = false;
    self->Sweep();
  });
}

void ProxyThread::Sweep() {
  const Instant now = std::chrono::steady_clock::now();
  // Stop only closes a socket: what waited goes on later, so the list stays as it is here.
  for (UpstreamConnection* at = first_; at != nullptr; at = at->next_) {
    if (now >= at->deadline_) at->Stop(DeadlineExceeded("it did not answer in time"));
    if (now >= at->send_deadline_) at->Stop(DeadlineExceeded("it takes no more of the request"));
    at->CheckClient(now);
  }
  if (first_ != nullptr) Arm();
}

}  // namespace starling::gateway
