// One AMQP connection of rabbitmq-c with an owner, its errors as statuses, its frames as whole
// answers. Within rabbitmq only.
//
//   STARLING_ASSIGN_OR_RETURN(auto connection, Connection::Open(options, Heartbeat::kYes));
//   STARLING_RETURN_IF_ERROR(connection->OpenChannel(1));
//   STARLING_RETURN_IF_ERROR(connection->Consume(1, "t:0", "tag", FromOffset(5), 256));
//   StatusOr<std::optional<Incoming>> next = connection->Next(50ms);
//
// Used by one thread. Nothing waits longer than append_timeout: not an answer, and not a socket
// that the broker does not read (TCP_USER_TIMEOUT). After a status that is `broken()` the
// connection is of no more use; an error of a channel closes that channel alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/messaging/rabbitmq/rabbit_event_log.h"

struct amqp_connection_state_t_;
struct amqp_frame_t_;

namespace starling::messaging::rabbitmq {

// Ends another thread's wait in Connection::Next. Thread-safe.
class Waker {
 public:
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  void Wake();
  // Waits for Wake, or for the socket; takes the wake back.
  void Wait(int socket, Duration patience);

 private:
  const int event_;
};

// What the broker sends by itself.
struct Incoming {
  enum Kind { kMessage, kAcked, kRefused, kReturned };
  Kind kind = kMessage;
  uint64_t delivery = 0;  // a message's, or the publishing that is answered
  bool multiple = false;  // so are all before it
  std::string tag;        // of the consumer
  uint64_t offset = 0;    // in the stream
  std::string body;
};

// Where a consumer of a stream begins: "first", "last" (its newest chunk), or an offset.
using StreamStart = std::variant<const char*, uint64_t>;
using Arguments = std::vector<std::pair<const char*, std::variant<std::string, int64_t>>>;

enum class Heartbeat { kNone, kYes };  // kNone for one that is used now and then

class Connection {
 public:
  static StatusOr<std::unique_ptr<Connection>> Open(const RabbitOptions& options,
                                                    Heartbeat heartbeat);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool broken() const { return broken_; }
  int socket() const;

  Status OpenChannel(uint16_t channel);
  Status ConfirmPublishing(uint16_t channel);
  // NOT_FOUND when there is no such queue.
  Status Look(uint16_t channel, const std::string& queue);
  Status DeclareStream(uint16_t channel, const std::string& queue, const Arguments& arguments);
  // An exclusive queue as a lock: false while another connection has it. Opens the channel again
  // when it was refused.
  StatusOr<bool> Lock(uint16_t channel, const std::string& queue);
  Status Delete(uint16_t channel, const std::string& queue);
  Status Consume(uint16_t channel, const std::string& queue, const std::string& tag,
                 StreamStart start, uint16_t prefetch);
  Status Cancel(uint16_t channel, const std::string& tag);
  // The message is returned when there is no such queue.
  Status Publish(uint16_t channel, const std::string& queue, std::string_view body);
  Status Ack(uint16_t channel, uint64_t delivery, bool multiple);
  // What came next, if anything did within `patience`, or before `waker`.
  StatusOr<std::optional<Incoming>> Next(Duration patience, Waker* waker = nullptr);

 private:
  explicit Connection(amqp_connection_state_t_* state) : state_(state) {}
  Status Connect(const RabbitOptions& options, const std::string& host, int port,
                 Heartbeat heartbeat);
  // Of the question asked last.
  Status Answer(uint16_t channel, std::string_view doing);
  Status Broken(int error, std::string_view doing);
  // Of a frame; an answer once it is whole.
  StatusOr<std::optional<Incoming>> Take(const amqp_frame_t_& frame);
  StatusOr<std::optional<Incoming>> TakeMethod(const amqp_frame_t_& frame);

  amqp_connection_state_t_* const state_;
  bool broken_ = false;
  Incoming partial_;  // a message whose body is not whole yet
  uint64_t missing_ = 0;
  bool returned_ = false;  // what comes is the content of a message that is returned
};

// "RabbitMQ, connecting to ..." and so on: pauses between two tries, 50 ms to 2 s, jittered.
class Backoff {
 public:
  Duration Next();
  void Reset() { tries_ = 0; }

 private:
  int tries_ = 0;
};

}  // namespace starling::messaging::rabbitmq
