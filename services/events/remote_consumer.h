// A subscription of the remote log: keeps a stream to the process that serves events, hands what
// comes to the handler and tells how it fared. Within services/events only.
//
//   connecting --first answer--> connected --stream breaks, is quiet, or an outcome cannot be
//   told--> pause (100 ms to 2 s) --> connecting ...                                   Stop ends it
//   anywhere
#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/async/cancellation.h"
#include "services/events/remote_event_log.h"

namespace starling::events {

class RemoteConsumer final : private rpc::Stream<v1::SubscribeResponse>,
                             public std::enable_shared_from_this<RemoteConsumer> {
 public:
  RemoteConsumer(std::shared_ptr<v1::Events> events, Runtime& runtime,
                 RemoteEventLogOptions options, v1::SubscribeRequest request,
                 messaging::EventLog::Handler handler)
      : events_(std::move(events)),
        runtime_(runtime),
        options_(options),
        request_(std::move(request)),
        handler_(std::move(handler)) {}

  void Start();
  // What the first try came to: OK once there was an answer, or for want of one within
  // `answer_limit`. Blocks.
  Status FirstAnswer();
  // As messaging::Subscription has it.
  void Stop();

 private:
  Task<void> Run();
  // One stream, from its beginning to its end.
  Task<Status> Connect();
  // Gives up a stream that says nothing, and says itself that this process is alive.
  Task<void> Watch();
  Task<Status> Write(const v1::SubscribeResponse& part) override;
  // Hands the batch over and tells how that went.
  Task<Status> Handle(uint64_t delivery_id);
  Task<Status> Tell(uint64_t delivery_id, const Status& outcome);
  Task<void> Unsubscribe();
  Task<void> Pause(Duration pause);

  void Hear(bool standby);
  void Answer(const Status& status);
  bool stopping() const;
  std::string subscription_id() const;

  const std::shared_ptr<v1::Events> events_;
  Runtime& runtime_;
  const RemoteEventLogOptions options_;
  const v1::SubscribeRequest request_;
  const messaging::EventLog::Handler handler_;

  // Of the stream's coroutine alone.
  std::vector<messaging::Delivered> batch_;
  bool answered_ = false;
  bool told_of_loss_ = false;
  bool told_of_standby_ = false;

  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::string subscription_id_;  // "" before the stream's first answer
  bool handling_ = false;        // a batch is with the handler, or its outcome on the way
  Instant heard_;
  CancellationSource connection_;  // ends the stream
  std::promise<Status> first_;
  std::promise<void> ended_;
  std::shared_future<void> end_{ended_.get_future()};
};

}  // namespace starling::events
