// A consumer group's subscriber in another process, as the log's own process sees it: a batch waits
// here until that process says how its handler fared, or is gone.
//
//   auto subscriber = std::make_shared<Subscriber>(NewId());
//   log.Subscribe(topic, group, options, [subscriber](auto batch) { return
//   subscriber->Offer(batch); }); while (std::optional<Subscriber::Parts> parts = co_await
//   subscriber->Next()) ...   // send them subscriber->Accept(delivery_id, status);
//   subscriber->Close();
//
// One batch is on its way at a time. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "contracts/events/v1/events.pb.h"
#include "platform/async/bounded_queue.h"
#include "platform/base/clock.h"
#include "platform/messaging/event_log.h"

namespace starling::events {

class Subscriber {
 public:
  // What is sent next: a batch in its parts, or one answer without events.
  using Parts = std::vector<v1::SubscribeResponse>;

  explicit Subscriber(std::string id) : id_(std::move(id)) {}

  const std::string& id() const { return id_; }

  // The log's handler: gives what the other process said, CANCELLED once it is gone.
  Task<Status> Offer(std::span<const messaging::Delivered> batch);
  // The next thing to send; nullopt once closed.
  Task<std::optional<Parts>> Next();
  // Lets Next give an answer without events, unless something waits to be sent already.
  void KeepAlive();

  // Tells Offer. FAILED_PRECONDITION for a batch that nobody waits for; OK for the last one again.
  Status Accept(uint64_t delivery_id, Status outcome);
  // It has said something: without a word for `limit` it counts as gone.
  void Hear();
  bool SilentFor(Duration limit) const;
  // Whether a batch waits for its answer.
  bool Busy() const;

  // Gives back the batch that waits, and ends Next.
  void Close();
  bool closed() const;

  // Says that the log has let go of it, to all who wait for that.
  void End();
  Task<void> Ended();

 private:
  const std::string id_;
  BoundedQueue<Parts> outgoing_{4};  // a batch and what keeps the stream alive
  mutable std::mutex mutex_;
  uint64_t delivery_id_ = 0;      // of the newest batch
  Completion<Status> delivered_;  // while it waits
  Instant heard_ = std::chrono::steady_clock::now();
  bool closed_ = false;
  bool ended_ = false;
  std::vector<Completion<bool>> waiting_for_end_;
};

}  // namespace starling::events
