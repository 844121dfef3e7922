#include "platform/gateway/h2_upstream.h"

#include <boost/asio/post.hpp>

#include "platform/async/asio_await.h"
#include "platform/http/tls_session.h"

namespace starling::gateway {
namespace {

constexpr size_t kMaxStreams = 100;  // of a connection, whatever its server allows
constexpr Duration kClientCheck = std::chrono::milliseconds(100);  // as of UpstreamConnection

using boost::system::error_code;

}  // namespace

H2UpstreamConnection::H2UpstreamConnection(std::shared_ptr<ProxyThread> thread,
                                           const H2UpstreamOptions& options, std::string host,
                                           uint16_t port)
    : thread_(std::move(thread)),
      options_(options),
      host_(std::move(host)),
      port_(port),
      session_({.max_header_bytes = options.max_header_bytes, .max_streams = kMaxStreams}, *this),
      transport_(http::Socket(thread_->context())),
      timer_(thread_->context()),
      idle_since_(std::chrono::steady_clock::now()) {}

H2UpstreamConnection::~H2UpstreamConnection() = default;

void H2UpstreamConnection::Open() {
  boost::asio::post(thread_->context(), [self = shared_from_this()] {
    Spawn(self->thread_->context().get_executor(), self->Run());
  });
}

bool H2UpstreamConnection::TakesMore() const {
  if (retired_ || pinged_ != Instant{}) return false;
  if (state_ == State::kConnecting) return requests_.size() < kMaxStreams;
  return state_ == State::kOpen && requests_.size() < session_.limit();
}

Task<void> H2UpstreamConnection::Run() {
  const std::shared_ptr<H2UpstreamConnection> self = shared_from_this();
  {
    UpstreamConnection connecting(*thread_, options_.max_header_bytes);
    connecting.Use(std::chrono::steady_clock::now() + options_.connect_timeout);
    Status connected = co_await connecting.Connect(host_, port_, options_.tls.get());
    if (state_ == State::kClosed) co_return;
    if (connected.ok()) {
      transport_ = connecting.TakeTransport();
    } else if (absl::IsDeadlineExceeded(connected)) {
      connected = Unavailable("cannot connect within {} ms",
                              options_.connect_timeout / std::chrono::milliseconds(1));
    }
    if (!connected.ok()) {
      // Requests that come meanwhile fail with it; the next ones get another.
      Close(std::move(connected));
      co_return;
    }
  }
  heard_ = idle_since_ = std::chrono::steady_clock::now();
  pinged_ = Instant{};
  session_.Start();
  Flush();
  while (state_ != State::kClosed) {
    error_code error;
    co_await transport_.socket().async_wait(http::Socket::wait_read, AsTask(error));
    if (state_ == State::kClosed || !Read()) break;
    if (state_ == State::kConnecting && session_.greeted()) {
      state_ = State::kOpen;
      was_open_ = true;
      for (H2Request* request : requests_) request->Wake();
    }
    Flush();
    if (session_.finished() || (session_.leaving() && session_.open_streams() == 0))
      Close(Unavailable("{}",
                        session_.error().empty() ? "it closed the connection" : session_.error()));
  }
}

bool H2UpstreamConnection::Read() {
  thread_local std::vector<char> buffer(size_t{64} * 1024);
  for (int reads = 0; reads < 4; ++reads) {
    const ssize_t size = transport_.TryRead(buffer.data(), buffer.size());
    if (size == http::Transport::kNothing) break;
    if (size <= 0) {
      Close(session_.greeted() ? Unavailable("it closed the connection within its answer")
                               : Unavailable("it closed the connection before it spoke HTTP/2"));
      return false;
    }
    heard_ = std::chrono::steady_clock::now();
    if (!session_.Feed({buffer.data(), static_cast<size_t>(size)}, heard_)) {
      Flush();  // GOAWAY says what was wrong
      Close(Unavailable("{}", session_.error()));
      return false;
    }
    // TLS gives a record at a time.
    if (transport_.tls() == nullptr && static_cast<size_t>(size) < buffer.size()) break;
  }
  return true;
}

void H2UpstreamConnection::OnOutput() {
  if (flush_posted_ || blocked_ || state_ == State::kClosed) return;
  flush_posted_ = true;
  boost::asio::post(thread_->context(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->Flush();
  });
}

void H2UpstreamConnection::Flush() {
  while (!blocked_ && state_ != State::kClosed) {
    session_.Fill(out_);
    std::string_view rest = std::string_view(out_).substr(out_sent_), nothing;
    const http::Transport::Sent sent = transport_.TrySend(rest, nothing);
    if (sent == http::Transport::Sent::kAll) {
      if (out_.empty()) return;
      out_.clear();
      out_sent_ = 0;
    } else if (sent == http::Transport::Sent::kBlocked) {
      out_sent_ = out_.size() - rest.size();
      blocked_ = true;
      Spawn(thread_->context().get_executor(), FlushWhenWritable());
    } else {
      // What it sent before it left may still be read.
      if (!Read()) return;
      return Close(Unavailable("it closed the connection"));
    }
  }
}

Task<void> H2UpstreamConnection::FlushWhenWritable() {
  const std::shared_ptr<H2UpstreamConnection> self = shared_from_this();
  error_code error;
  co_await transport_.socket().async_wait(http::Socket::wait_write, AsTask(error));
  blocked_ = false;
  Flush();
}

void H2UpstreamConnection::Close(Status why) {
  if (state_ == State::kClosed) return;
  why_ = std::move(why);
  state_ = State::kClosed;
  session_.Close(why_);
  for (H2Request* request : requests_) request->Wake();
  error_code ignored;
  transport_.socket().close(ignored);
  timer_.cancel();
}

void H2UpstreamConnection::Retire() {
  retired_ = true;
  if (!requests_.empty() || state_ == State::kClosed) return;
  if (state_ == State::kOpen) {
    session_.SayGoodbye();
    Flush();
  }
  Close(Unavailable("the connection was idle"));
}

void H2UpstreamConnection::Add(H2Request& request) {
  request.index_ = requests_.size();
  requests_.push_back(&request);
  if (!armed_ || armed_long_) Arm();
}

void H2UpstreamConnection::Remove(H2Request& request) {
  requests_[request.index_] = requests_.back();
  requests_[request.index_]->index_ = request.index_;
  requests_.pop_back();
  if (!requests_.empty()) return;
  idle_since_ = std::chrono::steady_clock::now();
  if (retired_) Retire();
}

void H2UpstreamConnection::Arm() {
  armed_ = true;
  armed_long_ = requests_.empty() && pinged_ == Instant{};
  if (armed_long_) {
    timer_.expires_at(idle_since_ + options_.idle_timeout);
  } else {
    timer_.expires_after(ProxyThread::kTick);
  }
  timer_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (self == nullptr || error) return;
    self->armed_ = false;
    self->Sweep();
  });
}

void H2UpstreamConnection::Sweep() {
  if (state_ == State::kClosed) return;
  const Instant now = std::chrono::steady_clock::now();
  // Check only wakes: requests leave later, so the list stays as it is here.
  for (H2Request* request : requests_) request->Check(now);
  if (state_ == State::kOpen) CheckPeer(now);
  if (state_ == State::kClosed) return;
  if (requests_.empty() && now - idle_since_ >= options_.idle_timeout) return Retire();
  Arm();
}

void H2UpstreamConnection::CheckPeer(Instant now) {
  if (pinged_ != Instant{}) {
    if (session_.pings_answered() >= pings_) {
      pinged_ = Instant{};
    } else if (now - pinged_ >= kPingTimeout) {
      return Close(Unavailable("it is silent, also when asked by PING"));
    }
  } else if (options_.keepalive > Duration(0) && !requests_.empty() &&
             now - heard_ >= options_.keepalive) {
    AskWhetherThere();
  }
}

void H2UpstreamConnection::AskWhetherThere() {
  if (state_ != State::kOpen || pinged_ != Instant{}) return;
  pinged_ = std::chrono::steady_clock::now();
  ++pings_;
  session_.Ping();
}

H2Request::H2Request(std::shared_ptr<H2UpstreamConnection> connection, http::Exchange* exchange,
                     Instant received, Instant deadline)
    : connection_(std::move(connection)),
      exchange_(exchange),
      received_(received),
      deadline_(deadline) {
  connection_->Add(*this);
}

H2Request::~H2Request() {
  Leave();
  connection_->Remove(*this);
}

void H2Request::Wake() {
  for (std::optional<Completion<bool>>& waiter : waiters_) {
    if (!waiter) continue;
    Completion<bool> woken = *std::exchange(waiter, std::nullopt);
    woken(true);
  }
}

Task<void> H2Request::Wait() {
  co_await Suspend<bool>([this](Completion<bool> completion) {
    waiters_[waiters_[0] ? 1 : 0].emplace(std::move(completion));
  });
}

void H2Request::Stop(Status why) {
  if (!stopped_.ok()) return;
  stopped_ = std::move(why);
  Reset(8);  // CANCEL
  Wake();
}

void H2Request::Check(Instant now) {
  if (now >= deadline_) {
    Stop(DeadlineExceeded("it did not answer in time"));
    if (sent_ != Instant{} && connection_->heard_ < sent_) connection_->AskWhetherThere();
  }
  if (exchange_ == nullptr || now - received_ < kClientCheck) return;
  if (!watches_client_) {
    client_ = exchange_->cancellation();
    watches_client_ = true;
  }
  if (client_.IsCancelled()) Stop(Cancelled("the client is gone"));
}

Task<Status> H2Request::Ready() {
  while (connection_->state_ == H2UpstreamConnection::State::kConnecting && stopped_.ok())
    co_await Wait();
  if (!stopped_.ok()) co_return stopped_;
  if (connection_->closed() && !connection_->was_open_) co_return connection_->why_;
  full_ = connection_->session_.open_streams() >= connection_->session_.limit();
  co_return OkStatus();
}

bool H2Request::Send(std::string_view head, const Kind& kind) {
  to_head_ = kind.to_head;
  std::string names;  // in lower case
  names.reserve(head.size());
  Fields fields;
  const auto line = [&head] {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view one = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    return one;
  };
  const std::string_view first = line();  // "GET /path HTTP/1.1"
  const size_t method = first.find(' ');
  const size_t target = first.rfind(' ');
  fields.emplace_back(":method", first.substr(0, method));
  fields.emplace_back(":scheme", connection_->options_.tls == nullptr ? "http" : "https");
  fields.emplace_back(":authority", "");
  fields.emplace_back(":path", first.substr(method + 1, target - method - 1));
  for (std::string_view one = line(); !one.empty(); one = line()) {
    const size_t colon = one.find(':');
    const size_t at = names.size();
    for (const char c : one.substr(0, colon))
      names += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    const std::string_view name = std::string_view(names).substr(at);
    std::string_view value = one.substr(std::min(colon + 1, one.size()));
    while (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "host") {
      fields[2].second = value;
    } else if (name != "transfer-encoding" && name != "connection" && name != "te") {
      fields.emplace_back(name, value);
    }
  }
  if (kind.takes_trailers) fields.emplace_back("te", "trailers");
  sent_ = std::chrono::steady_clock::now();
  full_ = !Begin(connection_->session_, fields, kind.has_body);
  return !full_;
}

Task<bool> H2Request::AppendAll(std::string_view bytes) {
  constexpr size_t kUnsent = size_t{64} * 1024;
  Append(bytes);
  const auto goes_on = [this] { return !closed() && !interrupted_ && stopped_.ok(); };
  while (unsent() > kUnsent && goes_on()) co_await Wait();
  co_return goes_on();
}

void H2Request::InterruptBody() {
  interrupted_ = true;
  Wake();
}

H2Request::Step H2Request::NextRead(http::Response& response) {
  if (!stopped_.ok()) return Step::kError;
  if (std::optional<http::Response> interim = TakeInterim()) {
    response.status = interim->status;
    response.headers = std::move(interim->headers);
    return Step::kInterim;
  }
  if (!head_given_ && has_head()) {
    head_given_ = true;
    response.status = answer().status;
    response.headers = std::move(answer().headers);
    const bool without_body = response.status == 204 || response.status == 304;
    complete_ = to_head_ || without_body;
    return Step::kHead;
  }
  if (complete_) return Step::kComplete;
  if (has_body()) {
    piece_ = TakeBody();
    return Step::kBody;
  }
  if (whole()) {
    complete_ = true;
    response.trailers = std::move(answer().trailers);
    return Step::kComplete;
  }
  return closed() ? Step::kError : Step::kNeedMore;
}

Task<H2Request::Step> H2Request::Next(http::Response& response) {
  for (;;) {
    const Step step = NextRead(response);
    if (step != Step::kNeedMore) co_return step;
    co_await Wait();
  }
}

Status H2Request::error() const { return stopped_.ok() ? why() : stopped_; }

bool H2Request::connection_left() const {
  return connection_->closed() || connection_->session_.leaving();
}

H2Upstream::~H2Upstream() {
  if (connections_.empty()) return;
  // They end on their own thread.
  boost::asio::post(thread_->context(), [thread = thread_, connections = std::move(connections_)] {
    for (const auto& connection : connections) connection->Retire();
  });
}

std::shared_ptr<H2UpstreamConnection> H2Upstream::Take() {
  std::erase_if(connections_, [](const auto& connection) { return connection->closed(); });
  for (const auto& connection : connections_) {
    if (connection->TakesMore()) return connection;
  }
  connections_.push_back(std::make_shared<H2UpstreamConnection>(thread_, options_, host_, port_));
  connections_.back()->Open();
  return connections_.back();
}

}  // namespace starling::gateway
