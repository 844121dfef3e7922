#include "platform/http/h2_connection.h"

#include <boost/asio/post.hpp>
#include <limits>

#include "platform/async/asio_await.h"

namespace starling::http {
namespace {

// A connection that always has more to read lets others have their turn.
constexpr int kReadsInARow = 4;

using boost::system::error_code;

H2Options OptionsOf(const ServerOptions& options) {
  return {.max_header_bytes = options.max_header_bytes,
          .max_body_bytes = options.max_body_bytes,
          .max_connection_body_bytes = options.max_connection_body_bytes,
          .max_streams = options.max_streams,
          .header_timeout = options.header_timeout,
          .body_timeout = options.body_timeout};
}

}  // namespace

H2Connection::H2Connection(std::shared_ptr<ServerThread> thread, Transport transport, Peer peer)
    : Connection(std::move(thread), std::move(transport), std::move(peer)),
      session_(OptionsOf(thread_->options()), *this),
      idle_since_(std::chrono::steady_clock::now()) {
  thread_->counters.http2_connections.Add();
}

Task<void> H2Connection::Run(std::string received) {
  // Also when this coroutine is destroyed where it waits: handlers that wait for the client go on
  // or end, and with them the connection.
  struct AtEnd {
    H2Connection& connection;
    ~AtEnd() {
      connection.over_ = true;
      connection.session_.Close();
    }
  };
  bool polite = false;
  {
    const AtEnd at_end{*this};
    session_.Start();
    if (thread_->draining()) Drain();
    Feed(received);
    received = {};
    Flush();
    while (!gone_ && (blocked_ || !session_.finished())) {
      const bool open = co_await Read();
      if (!open && !session_.finished()) ClientLeft();
      Flush();
    }
    polite = !gone_;
    if (session_.end() == H2Session::End::kProtocolError)
      thread_->counters.http2_protocol_errors.Add();
    if (session_.end() == H2Session::End::kFlood) thread_->counters.http2_floods.Add();
  }
  if (polite) {
    lingering_ = true;
    linger_until_ = std::chrono::steady_clock::now() + thread_->options().linger_timeout;
    co_await DropInput();
  }
  Close();
}

Task<bool> H2Connection::Read() {
  const std::span<char> buffer = thread_->read_buffer();
  int reads = 0;
  for (; reads < kReadsInARow; ++reads) {
    const ssize_t size = transport_.TryRead(buffer.data(), buffer.size());
    if (size == Transport::kEnd || size == Transport::kBroken) co_return false;
    if (size == Transport::kNothing) break;
    Feed({buffer.data(), static_cast<size_t>(size)});
    if (session_.finished()) co_return true;
    // What did not fill the buffer was all there is.
    if (static_cast<size_t>(size) < buffer.size() && !transport_.tls()) break;
  }
  Flush();
  if (gone_) co_return true;
  if (reads == kReadsInARow && transport_.tls() != nullptr) {
    // TLS may have records that were received already, of which the socket says nothing.
    co_await Suspend<bool>([](Completion<bool> turn) { turn(true); });
    co_return true;
  }
  error_code error;
  if (session_.finished()) {
    // Only what is in out_ is left.
    if (blocked_) co_await transport_.socket().async_wait(Socket::wait_write, AsTask(error));
    co_return true;
  }
  co_await transport_.socket().async_wait(Socket::wait_read, AsTask(error));
  co_return !error || !gone_;
}

void H2Connection::Feed(std::string_view bytes) {
  if (bytes.empty()) return;
  feeding_ = true;
  const Instant now = std::chrono::steady_clock::now();
  session_.Feed(bytes, now);
  for (size_t i = 0; i < requests_.size(); ++i)
    Spawn(thread_->context().get_executor(), Handle(*requests_[i]));
  requests_.clear();
  feeding_ = false;
}

void H2Connection::OnHead(H2Stream& stream) {
  Introduce(stream.request);
  stream.router = thread_->core().router.load();
  stream.match = stream.router->Find(stream);
  const RouteOptions& options = Router::OptionsOf(stream.match);
  if (options.max_body_bytes) stream.max_body_bytes = *options.max_body_bytes;
  stream.streams_body_above = options.streams_bodies_above;
  stream.body_timeout = options.body_timeout;
  if (!options.streams_grpc) return;
  const std::string_view type = stream.request.headers.Find("content-type").value_or("");
  if (!type.starts_with("application/grpc") || type.starts_with("application/grpc-web")) return;
  stream.max_body_bytes = std::numeric_limits<uint64_t>::max();
  stream.streams_body_above = 0;
  stream.body_timeout = Duration::max();
}

void H2Connection::OnRequest(H2Stream& stream) { requests_.push_back(&stream); }

void H2Connection::OnMalformed() { thread_->counters.malformed_requests.Add(); }

std::string_view H2Connection::Date() {
  std::string_view line = thread_->date_line();  // "Date: ...\r\n"
  line.remove_prefix(6);
  line.remove_suffix(2);
  return line;
}

Task<void> H2Connection::Handle(H2Stream& stream) {
  const std::shared_ptr<Connection> self = shared_from_this();
  const bool went_well = co_await RunHandler(*stream.router, stream.match, stream);
  if (!went_well && stream.streaming()) stream.Abort();
  Observe(stream);
  session_.Answer(stream);
  idle_since_ = std::chrono::steady_clock::now();
}

void H2Connection::OnOutput() {
  if (feeding_ || flush_posted_ || blocked_ || over_) return;
  flush_posted_ = true;
  boost::asio::post(thread_->context(), [this, self = shared_from_this()] {
    flush_posted_ = false;
    Flush();
  });
}

void H2Connection::Flush() {
  if (blocked_ || gone_ || over_) return;
  for (;;) {
    session_.Fill(out_);
    std::string_view head = std::string_view(out_).substr(out_sent_);
    std::string_view none;
    if (head.empty()) break;
    const Transport::Sent sent = transport_.TrySend(head, none);
    out_sent_ = out_.size() - head.size();
    if (sent == Transport::Sent::kBroken) return ClientLeft();
    if (sent == Transport::Sent::kBlocked) {
      blocked_ = true;
      blocked_since_ = std::chrono::steady_clock::now();
      Spawn(thread_->context().get_executor(), FlushWhenWritable());
      return;
    }
    out_.clear();
    out_sent_ = 0;
  }
  if (session_.finished()) Wake();
}

Task<void> H2Connection::FlushWhenWritable() {
  const std::shared_ptr<Connection> self = shared_from_this();
  error_code error;
  co_await transport_.socket().async_wait(Socket::wait_write, AsTask(error));
  blocked_ = false;
  if (gone_ || over_) co_return;
  Flush();
}

// Found by a read or by a write, whichever is first.
void H2Connection::ClientLeft() {
  if (!gone_ && session_.open_streams() > 0) thread_->counters.client_disconnects.Add();
  GiveUp();
}

void H2Connection::GiveUp() {
  if (std::exchange(gone_, true)) return;
  session_.Close();
  Wake();
}

void H2Connection::Wake() {
  error_code ignored;
  transport_.socket().cancel(ignored);
}

void H2Connection::CheckDeadline(Instant now) {
  if (lingering_) {
    if (now >= linger_until_) Wake();
    return;
  }
  if (over_ || gone_) return;
  const ServerOptions& options = thread_->options();
  if (blocked_ && now - blocked_since_ >= options.write_timeout) {
    thread_->counters.timeouts.Add();
    return GiveUp();
  }
  for (size_t slow = session_.CheckDeadlines(now, options.write_timeout); slow > 0; --slow)
    thread_->counters.timeouts.Add();
  if (session_.open_streams() > 0) {
    idle_since_ = now;
  } else if (now - idle_since_ >= std::chrono::seconds(1) && out_.empty()) {
    out_ = {};
    session_.GiveMemoryBack();
  }
  const Duration patience = session_.greeted()
                                ? options.idle_timeout
                                : std::min(options.header_timeout, options.idle_timeout);
  if (session_.open_streams() == 0 && now - idle_since_ >= patience) session_.Terminate();
  if (drain_announced_ && !drain_said_ && now >= thread_->drain_idle_deadline()) {
    drain_said_ = true;
    session_.Shutdown();
  }
  Flush();
}

void H2Connection::Drain() {
  if (std::exchange(drain_announced_, true)) return;
  session_.AnnounceShutdown();
  OnOutput();
}

size_t H2Connection::Cut() {
  if (over_ || gone_) return 0;
  const size_t broken = session_.open_streams();
  error_code ignored;
  transport_.socket().shutdown(Socket::shutdown_both, ignored);
  GiveUp();
  return broken;
}

}  // namespace starling::http
