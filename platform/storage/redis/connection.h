// One connection to one node, on one io thread: calls are written as they come, many in one packet,
// and answered in their order.
//
//   connection                          a call
//   connecting, the first time or       waits for it
//     after one that worked was lost
//   ready                               is sent
//   down: an attempt failed, or the     UNAVAILABLE at once; attempts go on in the background, with
//     server did not answer in time       jittered pauses of up to a second, while somebody asks
//
// When the connection breaks, what was under way is UNAVAILABLE, and nobody knows whether the
// server did it. A server that does not answer a call within call_timeout is taken for gone, with
// all that wait behind that call: so a call ends within call_timeout, or connect_timeout and
// call_timeout when it came while connecting.
//
// Internal to the client; all on the executor's thread.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>

#include "platform/async/task.h"
#include "platform/storage/redis/client.h"

namespace starling::redis {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Executor executor, Address address, std::shared_ptr<const Options> options);

  // The bytes of one command. An answer that nobody asked for (no completion) is dropped.
  void Send(std::string_view command, Completion<StatusOr<Reply>> answer);
  void Close();
  bool idle() const { return pending_.empty(); }
  const Address& address() const { return address_; }

 private:
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
  using Resolver = boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor>;
  struct Pending {
    Completion<StatusOr<Reply>> answer;
    Instant deadline;
  };

  static Task<void> Run(std::shared_ptr<Connection> self);
  Task<Status> Connect(ReplyReader& reader);
  Task<Status> Open();
  Task<Status> Greet(ReplyReader& reader);
  Task<Status> ReadReplies(ReplyReader& reader);
  Task<StatusOr<std::string_view>> Read();
  Status Answer(ReplyReader& reader);

  void FlushSoon();
  void Flush();
  void Watch();
  void LimitConnecting();
  void Break(Status why);
  void Fail(const Status& why);
  Status Lost(std::string_view why) const;

  const Executor executor_;
  const Address address_;
  const std::string server_;  // "Redis at 127.0.0.1:6379"
  const std::shared_ptr<const Options> options_;

  Socket socket_;
  Resolver resolver_;
  boost::asio::steady_timer watch_;  // for the oldest call's deadline
  boost::asio::steady_timer connecting_;
  std::string out_, writing_;
  std::string in_;
  std::deque<Pending> pending_;
  Status broken_;  // why the socket was closed by us
  Status down_;    // not OK: why there is no connection, and calls fail at once
  Instant last_asked_;
  uint64_t generation_ = 0;  // of the socket; handlers of an older one do nothing
  int failures_ = 0;
  bool running_ = false;
  bool ready_ = false;
  bool flushing_ = false;
  bool watching_ = false;
  bool closed_ = false;
};

}  // namespace starling::redis
