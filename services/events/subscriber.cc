#include "services/events/subscriber.h"

#include "services/events/event_codec.h"

namespace starling::events {
namespace {

Status Gone() { return Cancelled("the subscriber is gone; the batch comes again"); }

}  // namespace

Task<Status> Subscriber::Offer(std::span<const messaging::Delivered> batch) {
  Parts parts = Split<v1::SubscribeResponse>(batch);
  co_return co_await Suspend<Status>([&](Completion<Status> completion) {
    {
      const std::lock_guard lock(mutex_);
      ++delivery_id_;
      for (v1::SubscribeResponse& part : parts) {
        part.set_subscription_id(id_);
        part.set_delivery_id(delivery_id_);
        part.set_more(&part != &parts.back());
      }
      // Before it is sent: its answer may come at once.
      if (!closed_) delivered_ = std::move(completion);
    }
    // A batch always finds room: one answer without events waits beside it at most.
    if (completion) {
      completion(Gone());
    } else if (!outgoing_.TryPush(std::move(parts))) {
      Close();
    }
  });
}

Task<std::optional<Subscriber::Parts>> Subscriber::Next() {
  std::optional<Parts> parts = co_await outgoing_.Pop();
  if (closed()) co_return std::nullopt;
  co_return parts;
}

void Subscriber::KeepAlive() {
  if (outgoing_.size() > 0) return;
  Parts parts(1);
  parts[0].set_subscription_id(id_);
  (void)outgoing_.TryPush(std::move(parts));
}

Status Subscriber::Accept(uint64_t delivery_id, Status outcome) {
  Completion<Status> delivered;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || delivery_id == 0 || delivery_id > delivery_id_) {
      return FailedPrecondition(
          "nobody waits for batch {} of subscription {} any more: it comes again", delivery_id,
          id_);
    }
    if (delivery_id < delivery_id_ || !delivered_) return OkStatus();  // told before
    delivered = std::move(delivered_);
  }
  delivered(std::move(outcome));
  return OkStatus();
}

void Subscriber::Hear() {
  const std::lock_guard lock(mutex_);
  heard_ = std::chrono::steady_clock::now();
}

bool Subscriber::SilentFor(Duration limit) const {
  const std::lock_guard lock(mutex_);
  return std::chrono::steady_clock::now() - heard_ > limit;
}

bool Subscriber::Busy() const {
  const std::lock_guard lock(mutex_);
  return static_cast<bool>(delivered_);
}

void Subscriber::Close() {
  Completion<Status> delivered;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    delivered = std::move(delivered_);
  }
  if (delivered) delivered(Gone());
  outgoing_.Close();
}

bool Subscriber::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void Subscriber::End() {
  std::vector<Completion<bool>> waiting;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    waiting.swap(waiting_for_end_);
  }
  for (auto& completion : waiting) completion(true);
}

Task<void> Subscriber::Ended() {
  (void)co_await Suspend<bool>([this](Completion<bool> completion) {
    std::unique_lock lock(mutex_);
    if (!ended_) {
      waiting_for_end_.push_back(std::move(completion));
      return;
    }
    lock.unlock();
    completion(true);
  });
}

}  // namespace starling::events
