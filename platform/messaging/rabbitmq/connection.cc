#include "platform/messaging/rabbitmq/connection.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "platform/base/id.h"

namespace starling::messaging::rabbitmq {
namespace {

constexpr int kFrameMax = 131'072;
constexpr int kHeartbeatSeconds = 5;
constexpr size_t kMaxBody = 4 << 20;  // beyond any event of ours: foreign, or damage

timeval ToTimeval(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

amqp_bytes_t Bytes(std::string_view text) {
  return {.len = text.size(), .bytes = const_cast<char*>(text.data())};
}

std::string Text(amqp_bytes_t bytes) { return {static_cast<const char*>(bytes.bytes), bytes.len}; }

amqp_table_entry_t Entry(const char* key, const std::variant<std::string, int64_t>& value) {
  amqp_table_entry_t entry{};
  entry.key = amqp_cstring_bytes(key);
  if (const auto* number = std::get_if<int64_t>(&value)) {
    entry.value.kind = AMQP_FIELD_KIND_I64;
    entry.value.value.i64 = *number;
  } else {
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = Bytes(std::get<std::string>(value));
  }
  return entry;
}

// What the server said as it closed a channel or the connection.
Status Refused(int code, const std::string& text, std::string_view doing) {
  switch (code) {
    case AMQP_NOT_FOUND:
      // The same code for a queue that is there, on a node that is not, or is starting.
      if (text.find("home node") != std::string::npos)
        return Unavailable("RabbitMQ, {}: {}", doing, text);
      return NotFound("RabbitMQ, {}: {}", doing, text);
    case AMQP_ACCESS_REFUSED:
    case AMQP_NOT_ALLOWED:
      return PermissionDenied("RabbitMQ refuses, {}: {}", doing, text);
    case AMQP_PRECONDITION_FAILED:
    case AMQP_NOT_IMPLEMENTED:
      return FailedPrecondition("RabbitMQ refuses, {}: {}", doing, text);
    case AMQP_RESOURCE_LOCKED:
      return AlreadyExists("RabbitMQ refuses, {}: {}", doing, text);
    default:
      return Unavailable("RabbitMQ, {}: {}", doing, text);
  }
}

uint64_t OffsetOf(const amqp_basic_properties_t& properties) {
  if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) == 0) return 0;
  for (int i = 0; i < properties.headers.num_entries; ++i) {
    const amqp_table_entry_t& header = properties.headers.entries[i];
    if (std::string_view(static_cast<const char*>(header.key.bytes), header.key.len) ==
        "x-stream-offset")
      return static_cast<uint64_t>(header.value.value.i64);
  }
  return 0;
}

amqp_socket_t* MakeSocket(amqp_connection_state_t state, const RabbitAddress& address) {
  if (!address.tls) return amqp_tcp_socket_new(state);
  amqp_socket_t* socket = amqp_ssl_socket_new(state);
  if (socket == nullptr) return nullptr;
  amqp_ssl_socket_set_verify_peer(socket, 1);
  amqp_ssl_socket_set_verify_hostname(socket, 1);
  if (address.ca_file.empty())
    SSL_CTX_set_default_verify_paths(static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket)));
  return socket;
}

}  // namespace

Waker::Waker() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
Waker::~Waker() { close(event_); }

void Waker::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(event_, &one, sizeof one);  // full is woken too
}

void Waker::Wait(int socket, Duration patience) {
  std::array<pollfd, 2> watched = {pollfd{.fd = event_, .events = POLLIN, .revents = 0},
                                   pollfd{.fd = socket, .events = POLLIN, .revents = 0}};
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
  poll(watched.data(), socket < 0 ? 1 : 2, static_cast<int>(ms));
  uint64_t woken = 0;
  [[maybe_unused]] const ssize_t taken = read(event_, &woken, sizeof woken);
}

Duration Backoff::Next() {
  const Duration longest = std::min<Duration>(
      std::chrono::seconds(2), std::chrono::milliseconds(50) * (1 << std::min(tries_++, 6)));
  return longest / 2 +
         Duration(static_cast<int64_t>(FastRandom() % static_cast<uint64_t>(longest.count() / 2)));
}

StatusOr<std::unique_ptr<Connection>> Connection::Open(const RabbitOptions& options,
                                                       Heartbeat heartbeat) {
  // One after the other, from a random one on: clients spread, and a node that is gone is passed.
  const auto& hosts = options.address.hosts;
  const size_t first = FastRandom() % std::max<size_t>(hosts.size(), 1);
  Status failure = InvalidArgument("messaging on RabbitMQ: no host is given");
  for (size_t i = 0; i < hosts.size(); ++i) {
    const auto& [host, port] = hosts[(first + i) % hosts.size()];
    std::unique_ptr<Connection> connection(new Connection(amqp_new_connection()));
    failure = connection->Connect(options, host, port, heartbeat);
    if (failure.ok()) return connection;
  }
  return failure;
}

Connection::~Connection() {
  if (!broken_) amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(state_);
}

Status Connection::Connect(const RabbitOptions& options, const std::string& host, int port,
                           Heartbeat heartbeat) {
  broken_ = true;  // until it is made
  const std::string doing = fmt::format("connecting to {}:{}", host, port);
  const timeval patience = ToTimeval(options.append_timeout);
  amqp_set_handshake_timeout(state_, &patience);
  amqp_set_rpc_timeout(state_, &patience);
  amqp_socket_t* socket = MakeSocket(state_, options.address);
  if (socket == nullptr) return Unavailable("RabbitMQ, {}: no socket", doing);
  if (const std::string& file = options.address.ca_file;
      !file.empty() && amqp_ssl_socket_set_cacert(socket, file.c_str()) != AMQP_STATUS_OK)
    return InvalidArgument("messaging.url: cacertfile {} cannot be read as PEM", file);
  const int opened = amqp_socket_open_noblock(socket, host.c_str(), port, &patience);
  if (opened != AMQP_STATUS_OK) return Broken(opened, doing);
  const auto ms = static_cast<unsigned>(
      std::chrono::ceil<std::chrono::milliseconds>(options.append_timeout).count());
  setsockopt(this->socket(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
  const amqp_rpc_reply_t reply =
      amqp_login(state_, options.address.vhost.c_str(), 0, kFrameMax,
                 heartbeat == Heartbeat::kYes ? kHeartbeatSeconds : 0, AMQP_SASL_METHOD_PLAIN,
                 options.address.user.c_str(), options.address.password.c_str());
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
    return Broken(reply.library_error, doing);
  if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
      reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto& close = *static_cast<amqp_connection_close_t*>(reply.reply.decoded);
    return Refused(close.reply_code, Text(close.reply_text), doing);
  }
  if (reply.reply_type != AMQP_RESPONSE_NORMAL)
    return Unavailable("RabbitMQ, {}: no answer", doing);
  broken_ = false;
  return OkStatus();
}

int Connection::socket() const { return amqp_get_sockfd(state_); }

Status Connection::Broken(int error, std::string_view doing) {
  broken_ = true;
  return Unavailable("RabbitMQ, {}: {}", doing, amqp_error_string2(error));
}

Status Connection::Answer(uint16_t channel, std::string_view doing) {
  const amqp_rpc_reply_t reply = amqp_get_rpc_reply(state_);
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return OkStatus();
  if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
      const auto& close = *static_cast<amqp_channel_close_t*>(reply.reply.decoded);
      const Status status = Refused(close.reply_code, Text(close.reply_text), doing);
      amqp_channel_close_ok_t ok{};
      const int sent = amqp_send_method(state_, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
      if (sent != AMQP_STATUS_OK) return Broken(sent, doing);
      return status;
    }
    broken_ = true;
    if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
      const auto& close = *static_cast<amqp_connection_close_t*>(reply.reply.decoded);
      return Unavailable("RabbitMQ closes, {}: {}", doing, Text(close.reply_text));
    }
  }
  return Broken(reply.library_error, doing);
}

Status Connection::OpenChannel(uint16_t channel) {
  amqp_channel_open(state_, channel);
  return Answer(channel, "opening a channel");
}

Status Connection::ConfirmPublishing(uint16_t channel) {
  amqp_confirm_select(state_, channel);
  return Answer(channel, "asking for confirms");
}

Status Connection::Look(uint16_t channel, const std::string& queue) {
  amqp_queue_declare(state_, channel, Bytes(queue), 1, 0, 0, 0, amqp_empty_table);
  return Answer(channel, "looking for " + queue);
}

Status Connection::DeclareStream(uint16_t channel, const std::string& queue,
                                 const Arguments& arguments) {
  std::vector<amqp_table_entry_t> entries;
  for (const auto& [key, value] : arguments) entries.push_back(Entry(key, value));
  const amqp_table_t table = {.num_entries = static_cast<int>(entries.size()),
                              .entries = entries.data()};
  amqp_queue_declare(state_, channel, Bytes(queue), 0, 1, 0, 0, table);
  return Answer(channel, "making " + queue);
}

StatusOr<bool> Connection::Lock(uint16_t channel, const std::string& queue) {
  amqp_queue_declare(state_, channel, Bytes(queue), 0, 0, 1, 0, amqp_empty_table);
  const Status status = Answer(channel, "taking " + queue);
  if (status.ok()) return true;
  if (broken_) return status;
  STARLING_RETURN_IF_ERROR(OpenChannel(channel));
  if (status.code() == StatusCode::kAlreadyExists) return false;
  return status;
}

Status Connection::Delete(uint16_t channel, const std::string& queue) {
  amqp_queue_delete(state_, channel, Bytes(queue), 0, 0);
  return Answer(channel, "deleting " + queue);
}

Status Connection::Consume(uint16_t channel, const std::string& queue, const std::string& tag,
                           StreamStart start, uint16_t prefetch) {
  const std::string doing = "reading " + queue;
  amqp_basic_qos(state_, channel, 0, prefetch, 0);
  STARLING_RETURN_IF_ERROR(Answer(channel, doing));
  std::variant<std::string, int64_t> from;
  if (const auto* offset = std::get_if<uint64_t>(&start)) {
    from = static_cast<int64_t>(*offset);
  } else {
    from = std::get<const char*>(start);
  }
  amqp_table_entry_t entry = Entry("x-stream-offset", from);
  amqp_basic_consume(state_, channel, Bytes(queue), Bytes(tag), 0, 0, 0, {1, &entry});
  return Answer(channel, doing);
}

Status Connection::Cancel(uint16_t channel, const std::string& tag) {
  amqp_basic_cancel(state_, channel, Bytes(tag));
  return Answer(channel, "ending a consumer");
}

Status Connection::Publish(uint16_t channel, const std::string& queue, std::string_view body) {
  const int sent = amqp_basic_publish(state_, channel, amqp_empty_bytes, Bytes(queue), 1, 0,
                                      nullptr, Bytes(body));
  return sent == AMQP_STATUS_OK ? OkStatus() : Broken(sent, "appending to " + queue);
}

Status Connection::Ack(uint16_t channel, uint64_t delivery, bool multiple) {
  const int sent = amqp_basic_ack(state_, channel, delivery, multiple ? 1 : 0);
  return sent == AMQP_STATUS_OK ? OkStatus() : Broken(sent, "acknowledging");
}

StatusOr<std::optional<Incoming>> Connection::Next(Duration patience, Waker* waker) {
  bool waited = false;
  while (true) {
    amqp_maybe_release_buffers(state_);
    amqp_frame_t frame;
    // rabbitmq-c waits for the socket alone: first what is there, then the wait that can be ended.
    const timeval wait = ToTimeval(waker == nullptr && !waited ? patience : Duration(0));
    const int got = amqp_simple_wait_frame_noblock(state_, &frame, &wait);
    if (got == AMQP_STATUS_TIMEOUT) {
      if (waker == nullptr || waited) return std::nullopt;
      waker->Wait(socket(), patience);
      waited = true;
      continue;
    }
    if (got != AMQP_STATUS_OK) return Broken(got, "waiting for it");
    StatusOr<std::optional<Incoming>> incoming = Take(frame);
    if (!incoming.ok() || incoming->has_value()) return incoming;
  }
}

StatusOr<std::optional<Incoming>> Connection::Take(const amqp_frame_t_& frame) {
  if (frame.frame_type == AMQP_FRAME_METHOD) return TakeMethod(frame);
  if (frame.frame_type == AMQP_FRAME_HEADER) {
    missing_ = frame.payload.properties.body_size;
    if (missing_ > kMaxBody) {
      broken_ = true;
      return DataLoss("a message of {} bytes is none of Starling's", missing_);
    }
    partial_.offset =
        OffsetOf(*static_cast<amqp_basic_properties_t*>(frame.payload.properties.decoded));
    partial_.body.reserve(missing_);
  } else if (frame.frame_type == AMQP_FRAME_BODY) {
    const amqp_bytes_t& part = frame.payload.body_fragment;
    partial_.body.append(static_cast<const char*>(part.bytes), part.len);
    missing_ -= std::min<uint64_t>(missing_, part.len);
  } else {
    return std::nullopt;
  }
  if (missing_ > 0) return std::nullopt;
  if (returned_) {
    returned_ = false;
    return Incoming{.kind = Incoming::kReturned};
  }
  return std::move(partial_);
}

StatusOr<std::optional<Incoming>> Connection::TakeMethod(const amqp_frame_t_& frame) {
  const amqp_method_t& method = frame.payload.method;
  switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD: {
      const auto& deliver = *static_cast<amqp_basic_deliver_t*>(method.decoded);
      partial_ = {.kind = Incoming::kMessage,
                  .delivery = deliver.delivery_tag,
                  .tag = Text(deliver.consumer_tag)};
      return std::nullopt;
    }
    case AMQP_BASIC_RETURN_METHOD:
      partial_ = {};
      returned_ = true;
      return std::nullopt;
    case AMQP_BASIC_ACK_METHOD: {
      const auto& ack = *static_cast<amqp_basic_ack_t*>(method.decoded);
      return Incoming{
          .kind = Incoming::kAcked, .delivery = ack.delivery_tag, .multiple = ack.multiple != 0};
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto& nack = *static_cast<amqp_basic_nack_t*>(method.decoded);
      return Incoming{.kind = Incoming::kRefused,
                      .delivery = nack.delivery_tag,
                      .multiple = nack.multiple != 0};
    }
    case AMQP_BASIC_CANCEL_METHOD:  // the stream was deleted, or has lost its leader
      broken_ = true;
      return Unavailable("RabbitMQ ended a consumer");
    case AMQP_CHANNEL_CLOSE_METHOD: {
      broken_ = true;
      const auto& close = *static_cast<amqp_channel_close_t*>(method.decoded);
      return Unavailable("RabbitMQ closed a channel: {}", Text(close.reply_text));
    }
    case AMQP_CONNECTION_CLOSE_METHOD: {
      broken_ = true;
      const auto& close = *static_cast<amqp_connection_close_t*>(method.decoded);
      return Unavailable("RabbitMQ closed the connection: {}", Text(close.reply_text));
    }
    default:  // connection.blocked and the like: what it holds back is told by timeouts
      return std::nullopt;
  }
}

}  // namespace starling::messaging::rabbitmq
