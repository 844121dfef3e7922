#include "platform/storage/redis/connection.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "platform/async/asio_await.h"
#include "platform/base/id.h"
#include "platform/resilience/backoff.h"

namespace starling::redis {
namespace {

using boost::system::error_code;

constexpr size_t kReadBytes = 64 << 10;
constexpr resilience::Backoff kBackoff{.base = std::chrono::milliseconds(20),
                                       .longest = std::chrono::milliseconds(1000)};
// A node that nobody has asked for so long is not tried any more.
constexpr std::chrono::seconds kGivenUp(30);

}  // namespace

Connection::Connection(Executor executor, Address address, std::shared_ptr<const Options> options)
    : executor_(std::move(executor)),
      address_(std::move(address)),
      server_("Redis at " + address_.ToString()),
      options_(std::move(options)),
      socket_(executor_),
      resolver_(executor_),
      watch_(executor_),
      connecting_(executor_),
      in_(kReadBytes, '\0') {}

void Connection::Send(std::string_view command, Completion<StatusOr<Reply>> answer) {
  last_asked_ = std::chrono::steady_clock::now();
  Status refused = closed_ ? Cancelled("{}: the client was closed", server_) : down_;
  if (refused.ok() &&
      (pending_.size() >= options_->max_waiting ||
       out_.size() + writing_.size() + command.size() > options_->max_waiting_bytes)) {
    refused = Overloaded(fmt::format("{} calls wait for {} already", pending_.size(), server_),
                         std::chrono::milliseconds(100));
  }
  if (!refused.ok()) {
    if (answer) answer(refused);
  } else {
    pending_.push_back({std::move(answer), last_asked_ + options_->call_timeout});
    out_ += command;
    if (ready_) FlushSoon();
  }
  if (!closed_ && !std::exchange(running_, true)) Spawn(executor_, Run(shared_from_this()));
}

void Connection::Close() {
  closed_ = true;
  Break(Cancelled("{}: the client was closed", server_));
  Fail(broken_);
}

Task<void> Connection::Run(std::shared_ptr<Connection> self) {
  Connection& it = *self;
  do {
    ReplyReader reader;
    it.broken_ = OkStatus();
    Status lost = co_await it.Connect(reader);
    const bool was_ready = lost.ok();
    if (was_ready) {
      it.failures_ = 0;
      it.down_ = OkStatus();
      it.ready_ = true;
      // Those that waited for the connection have all their time from now on.
      const Instant deadline = std::chrono::steady_clock::now() + it.options_->call_timeout;
      for (Pending& pending : it.pending_) pending.deadline = deadline;
      it.Watch();
      it.FlushSoon();
      lost = co_await it.ReadReplies(reader);
    }
    const bool hung = absl::IsDeadlineExceeded(it.broken_);
    if (!it.broken_.ok()) lost = hung ? it.Lost(std::string(it.broken_.message())) : it.broken_;
    it.ready_ = it.flushing_ = false;
    it.Break(lost);
    if (!was_ready || hung) it.down_ = lost;
    it.Fail(lost);
    if (it.closed_ || it.down_.ok()) break;  // the next call connects, and waits for it
    const Duration pause = resilience::BackoffPause(kBackoff, it.failures_++, FastRandom());
    co_await SleepFor(pause + std::chrono::milliseconds(5));
  } while (!it.closed_ && std::chrono::steady_clock::now() - it.last_asked_ < kGivenUp);
  it.down_ = OkStatus();
  it.failures_ = 0;
  it.running_ = false;
}

Task<Status> Connection::Connect(ReplyReader& reader) {
  LimitConnecting();
  Status status = co_await Open();
  if (status.ok()) status = co_await Greet(reader);
  connecting_.cancel();
  co_return status;
}

Task<Status> Connection::Open() {
  ++generation_;
  error_code error;
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;
  const auto numeric = boost::asio::ip::make_address(address_.host, error);
  if (!error) {
    endpoints.emplace_back(numeric, address_.port);
  } else {
    const std::string port = std::to_string(address_.port);
    const auto found = co_await resolver_.async_resolve(address_.host, port, AsTask(error));
    if (error) co_return Lost(error.message());
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }
  error = boost::asio::error::host_not_found;
  for (const auto& endpoint : endpoints) {
    if (!broken_.ok()) break;
    error_code ignored;
    socket_.close(ignored);
    co_await socket_.async_connect(endpoint, AsTask(error));
    if (!error) break;
  }
  if (error || !broken_.ok()) co_return Lost(error.message());
  error_code ignored;
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  co_return OkStatus();
}

// Who we are, which database, and whether it answers at all: a server that loads its data, or one
// that hangs, is not connected to.
Task<Status> Connection::Greet(ReplyReader& reader) {
  std::string words;
  size_t expected = 1;
  const Url& url = options_->url;
  if (!url.password.empty()) {
    words += url.user.empty() ? Command({"AUTH", url.password})
                              : Command({"AUTH", url.user, url.password});
    ++expected;
  }
  if (url.database != 0) {
    words += Command({"SELECT", std::to_string(url.database)});
    ++expected;
  }
  words += Command({"PING"});
  error_code error;
  co_await boost::asio::async_write(socket_, boost::asio::buffer(words), AsTask(error));
  if (error) co_return Lost(error.message());
  while (expected > 0) {
    CO_ASSIGN_OR_RETURN(std::optional<Reply> reply, reader.Next());
    if (reply.has_value()) {
      if (reply->is_error()) co_return StatusOfError(reply->text(), server_);
      --expected;
      continue;
    }
    CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await Read());
    CO_RETURN_IF_ERROR(reader.Feed(bytes));
  }
  co_return OkStatus();
}

Task<Status> Connection::ReadReplies(ReplyReader& reader) {
  while (true) {
    CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await Read());
    CO_RETURN_IF_ERROR(reader.Feed(bytes));
    CO_RETURN_IF_ERROR(Answer(reader));
  }
}

Task<StatusOr<std::string_view>> Connection::Read() {
  error_code error;
  const size_t size = co_await socket_.async_read_some(boost::asio::buffer(in_), AsTask(error));
  if (error) co_return Lost(error.message());
  co_return std::string_view(in_).substr(0, size);
}

// All that have arrived.
Status Connection::Answer(ReplyReader& reader) {
  while (true) {
    STARLING_ASSIGN_OR_RETURN(std::optional<Reply> reply, reader.Next());
    if (!reply.has_value()) return OkStatus();
    if (pending_.empty()) return Internal("{} answers what nobody asked", server_);
    // A master that became a replica: another is at this name, or will be.
    const bool deposed = reply->is_error() && reply->text().starts_with("READONLY");
    Completion<StatusOr<Reply>> answer = std::move(pending_.front().answer);
    pending_.pop_front();
    if (answer) answer(*std::move(reply));
    if (deposed) return Lost("it takes no writes any more");
  }
}

// After the calls that are ready to be sent on this thread now, so that they go in one packet.
void Connection::FlushSoon() {
  if (out_.empty()) return;
  Watch();
  if (std::exchange(flushing_, true)) return;
  boost::asio::post(executor_, [self = shared_from_this(), generation = generation_] {
    if (self->generation_ == generation && self->ready_) self->Flush();
  });
}

void Connection::Flush() {
  writing_.clear();
  writing_.swap(out_);
  boost::asio::async_write(
      socket_, boost::asio::buffer(writing_),
      [self = shared_from_this(), generation = generation_](const error_code& error, size_t) {
        if (self->generation_ != generation || !self->ready_) return;
        self->writing_.clear();
        if (error) {
          self->Break(self->Lost(error.message()));
        } else if (self->out_.empty()) {
          self->flushing_ = false;
        } else {
          self->Flush();
        }
      });
}

void Connection::Watch() {
  if (watching_ || pending_.empty()) return;
  watching_ = true;
  watch_.expires_at(pending_.front().deadline);
  watch_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (self == nullptr || error) return;
    self->watching_ = false;
    if (!self->ready_) return;
    if (!self->pending_.empty() &&
        self->pending_.front().deadline <= std::chrono::steady_clock::now()) {
      self->Break(DeadlineExceeded("it has not answered within {}",
                                   FormatDuration(self->options_->call_timeout)));
    } else {
      self->Watch();
    }
  });
}

void Connection::LimitConnecting() {
  connecting_.expires_after(options_->connect_timeout);
  connecting_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (self == nullptr || error || self->ready_) return;
    const std::string why =
        "it has not answered within " + FormatDuration(self->options_->connect_timeout);
    self->Break(DeadlineExceeded("{}", why));
    // Not only once Run has seen it: a name that is being resolved cannot be interrupted.
    self->down_ = self->Lost(why);
    self->Fail(self->down_);
  });
}

// Whoever reads or connects sees it, and goes on in Run.
void Connection::Break(Status why) {
  if (broken_.ok()) broken_ = std::move(why);
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void Connection::Fail(const Status& why) {
  std::deque<Pending> pending;
  pending.swap(pending_);
  out_.clear();
  for (Pending& one : pending) {
    if (one.answer) one.answer(why);
  }
}

Status Connection::Lost(std::string_view why) const {
  return WithRetryAfter(Unavailable("{} cannot be reached: {}", server_, why),
                        std::chrono::milliseconds(100));
}

}  // namespace starling::redis
