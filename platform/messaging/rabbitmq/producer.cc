#include "platform/messaging/rabbitmq/producer.h"

#include <pthread.h>

#include <algorithm>

#include "platform/base/hash.h"
#include "platform/messaging/rabbitmq/topics.h"
#include "platform/telemetry/log.h"

namespace starling::messaging::rabbitmq {
namespace {

constexpr uint16_t kChannel = 1;
constexpr size_t kMaxSent = 4'096;  // without an answer, messages and bytes
constexpr size_t kMaxSentBytes = 16 << 20;
constexpr Duration kSettle = std::chrono::seconds(3);
constexpr Duration kLook = std::chrono::milliseconds(50);

}  // namespace

void Producer::Batch::Finish(Status status) {
  if (!done) return;
  if (status.ok()) {
    std::exchange(done, {})(std::move(positions));
  } else {
    std::exchange(done, {})(std::move(status));
  }
}

Producer::Producer(const RabbitOptions& options) : options_(options) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "rabbit-producer");
}

Producer::~Producer() {
  stopping_ = true;
  waker_.Wake();
  thread_.join();
}

Task<StatusOr<std::vector<Position>>> Producer::Append(const std::string& topic, int partitions,
                                                       std::span<const Event> events) {
  if (waiting_.fetch_add(events.size()) + events.size() > options_.queue_limit) {
    waiting_ -= events.size();
    co_return Overloaded(
        fmt::format("{} events wait for RabbitMQ, the limit", options_.queue_limit),
        std::chrono::seconds(1));
  }
  auto batch = std::make_shared<Batch>();
  batch->left = events.size();
  batch->until = std::chrono::steady_clock::now() + options_.append_timeout;
  for (const Event& event : events) {
    const std::string& key = event.partitionkey.empty() ? event.id : event.partitionkey;
    const auto partition =
        static_cast<uint16_t>(Hash64(key) % static_cast<uint64_t>(std::max(partitions, 1)));
    batch->positions.push_back({partition, 0});
    batch->messages.emplace_back(StreamOf(topic, partition), EncodeEvent(event));
  }
  StatusOr<std::vector<Position>> positions = co_await Suspend<StatusOr<std::vector<Position>>>(
      [&](Completion<StatusOr<std::vector<Position>>> done) {
        batch->done = std::move(done);
        {
          const std::lock_guard lock(mutex_);
          pending_.push_back(batch);
        }
        waker_.Wake();
      });
  waiting_ -= events.size();
  co_return positions;
}

void Producer::Run() {
  while (!stopping_) {
    if (connection_ == nullptr && !Connect()) continue;
    Status status = Send();
    if (status.ok()) status = Take(kLook);
    if (status.ok() && !sent_.empty() &&
        std::chrono::steady_clock::now() > sent_.front().batch->until)
      status = Unavailable("RabbitMQ does not confirm");
    if (!status.ok()) Drop(status);
    ExpirePending();
  }
  Drop(Unavailable("the event log was closed"));
  const std::lock_guard lock(mutex_);
  for (const auto& batch : pending_) batch->Finish(Unavailable("the event log was closed"));
}

bool Producer::Connect() {
  const auto connect = [&]() -> StatusOr<std::unique_ptr<Connection>> {
    STARLING_ASSIGN_OR_RETURN(auto made, Connection::Open(options_, Heartbeat::kYes));
    STARLING_RETURN_IF_ERROR(made->OpenChannel(kChannel));
    STARLING_RETURN_IF_ERROR(made->ConfirmPublishing(kChannel));
    return made;
  };
  StatusOr<std::unique_ptr<Connection>> made = connect();
  ExpirePending();
  if (!made.ok()) {
    const Instant until = std::chrono::steady_clock::now() + backoff_.Next();
    while (!stopping_ && std::chrono::steady_clock::now() < until) {
      waker_.Wait(-1, std::min<Duration>(kLook, until - std::chrono::steady_clock::now()));
      ExpirePending();
    }
    return false;
  }
  // A broker that comes back may start a stream's writer twice, and lose what the first confirmed.
  const Instant settled = std::chrono::steady_clock::now() + (dropped_ ? kSettle : Duration(0));
  while (!stopping_ && std::chrono::steady_clock::now() < settled) {
    const StatusOr<std::optional<Incoming>> none = (*made)->Next(kLook);
    ExpirePending();
    if (!none.ok()) return false;
  }
  backoff_.Reset();
  connection_ = *std::move(made);
  first_ = 1;
  return true;
}

Status Producer::Send() {
  while (sent_.size() < kMaxSent && sent_bytes_ < kMaxSentBytes) {
    std::shared_ptr<Batch> batch;
    {
      const std::lock_guard lock(mutex_);
      if (pending_.empty()) return OkStatus();
      batch = std::move(pending_.front());
      pending_.pop_front();
    }
    for (const auto& [stream, body] : batch->messages) {
      sent_.push_back({batch, body.size()});
      sent_bytes_ += body.size();
      STARLING_RETURN_IF_ERROR(connection_->Publish(kChannel, stream, body));
    }
    batch->messages.clear();
  }
  return OkStatus();
}

// Everything that has come; waits only when nothing has.
Status Producer::Take(Duration patience) {
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const auto answer, connection_->Next(patience, &waker_));
    if (!answer) return OkStatus();
    // Comes before the confirm that it has all the same, but not right before.
    if (answer->kind == Incoming::kReturned)
      return NotFound("RabbitMQ has no such stream any more");
    Answered(*answer);
    patience = Duration(0);
  }
}

void Producer::Answered(const Incoming& answer) {
  if (answer.kind == Incoming::kMessage || answer.delivery < first_ || sent_.empty()) return;
  const bool good = answer.kind == Incoming::kAcked;
  const size_t last = std::min<size_t>(answer.delivery - first_, sent_.size() - 1);
  for (size_t i = answer.multiple ? 0 : last; i <= last; ++i) {
    Sent& sent = sent_[i];
    if (std::exchange(sent.answered, true)) continue;
    if (!good) sent.batch->Finish(Unavailable("RabbitMQ did not take an event"));
    if (--sent.batch->left == 0) sent.batch->Finish(OkStatus());
  }
  while (!sent_.empty() && sent_.front().answered) {
    sent_bytes_ -= sent_.front().bytes;
    sent_.pop_front();
    ++first_;
  }
}

void Producer::ExpirePending() {
  const Instant now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  while (!pending_.empty() && pending_.front()->until < now) {
    pending_.front()->Finish(
        Unavailable("RabbitMQ at {} does not answer", options_.address.Where()));
    pending_.pop_front();
  }
}

// The connection is of no more use: what it was sent may be there or not.
void Producer::Drop(const Status& why) {
  if (connection_ == nullptr) return;
  if (!stopping_) log::Warning("rabbitmq", "the producer connects anew").With(why);
  for (const Sent& sent : sent_) sent.batch->Finish(why);
  sent_.clear();
  sent_bytes_ = 0;
  connection_ = nullptr;
  dropped_ = true;
}

}  // namespace starling::messaging::rabbitmq
