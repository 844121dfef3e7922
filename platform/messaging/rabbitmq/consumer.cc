#include "platform/messaging/rabbitmq/consumer.h"

#include <pthread.h>

#include <algorithm>

#include "platform/messaging/rabbitmq/topics.h"
#include "platform/telemetry/log.h"

namespace starling::messaging::rabbitmq {
namespace {

constexpr uint16_t kReading = 1;
constexpr uint16_t kLocks = 2;
constexpr uint16_t kPrefetch = 512;       // of a partition; RabbitMQ may exceed it by a chunk
constexpr size_t kMaxArrived = 16 << 20;  // bytes; beyond, little is read
constexpr Duration kCollect = std::chrono::milliseconds(50);     // the longest wait for a message
constexpr Duration kServeEvery = std::chrono::milliseconds(20);  // while a handler runs
constexpr Duration kBalanceEvery = std::chrono::milliseconds(100);
constexpr Duration kBreath = std::chrono::seconds(1);  // a frame in so long, for the heartbeat

Instant Now() { return std::chrono::steady_clock::now(); }

}  // namespace

StatusOr<std::unique_ptr<Consumer>> Consumer::Start(const RabbitOptions& options, Groups& groups,
                                                    int partitions, Executor executor,
                                                    std::unique_ptr<Delivery> delivery) {
  STARLING_RETURN_IF_ERROR(groups.Join(delivery->topic(), delivery->group(), partitions));
  std::unique_ptr<Consumer> consumer(
      new Consumer(options, groups, partitions, std::move(executor), std::move(delivery)));
  consumer->thread_ = std::thread([self = consumer.get()] { self->Run(); });
  pthread_setname_np(consumer->thread_.native_handle(), "rabbit-consumer");
  return consumer;
}

void Consumer::Stop() {
  std::call_once(stopped_, [this] {
    stopping_ = true;
    give_up_ = true;
    if (thread_.joinable()) thread_.join();
  });
}

void Consumer::Run() {
  while (!stopping_) {
    const Status status = Turn();
    if (status.ok()) continue;
    Lost(status);
    const Instant until = Now() + backoff_.Next();
    while (!stopping_ && Now() < until)
      std::this_thread::sleep_for(std::min<Duration>(kServeEvery, until - Now()));
  }
  Close();
}

Status Consumer::Turn() {
  if (connection_ == nullptr) STARLING_RETURN_IF_ERROR(Connect());
  if (Now() - balanced_at_ > kBalanceEvery) STARLING_RETURN_IF_ERROR(Balance());
  if (batch_.empty() && !unreadable_) {
    STARLING_RETURN_IF_ERROR(Serve(arrived_.empty() ? kCollect : Duration(0)));
    Collect();
  }
  return batch_.empty() && !unreadable_ ? OkStatus() : Hand();
}

Status Consumer::Connect() {
  STARLING_ASSIGN_OR_RETURN(auto made, Connection::Open(options_, Heartbeat::kYes));
  STARLING_RETURN_IF_ERROR(made->OpenChannel(kReading));
  STARLING_RETURN_IF_ERROR(made->OpenChannel(kLocks));
  connection_ = std::move(made);
  balanced_at_ = lock_at_ = {};
  return OkStatus();
}

std::set<uint16_t> Consumer::Share() const {
  return groups_.Share(delivery_->topic(), delivery_->group(), partitions_);
}

Status Consumer::Balance() {
  balanced_at_ = Now();
  const std::set<uint16_t> share = Share();
  std::set<uint16_t> go, wanted = share;
  for (const auto& [partition, owned] : owned_) {
    if (!share.contains(partition)) go.insert(partition);
    wanted.erase(partition);
  }
  if (!go.empty()) STARLING_RETURN_IF_ERROR(LetGo(go));
  if (wanted.empty()) {
    backoff_.Reset();
    lock_backoff_.Reset();
    return OkStatus();
  }
  if (Now() < lock_at_) return OkStatus();
  std::set<uint16_t> locked;
  for (const uint16_t partition : wanted) {
    STARLING_ASSIGN_OR_RETURN(
        const bool mine,
        connection_->Lock(kLocks, LockOf(delivery_->topic(), delivery_->group(), partition)));
    if (mine) locked.insert(partition);
  }
  if (locked.size() < wanted.size()) lock_at_ = Now() + lock_backoff_.Next();
  return locked.empty() ? OkStatus() : Take(locked);
}

// They are locked. What the one before has accepted is known once ours is read after it.
Status Consumer::Take(const std::set<uint16_t>& partitions) {
  STARLING_RETURN_IF_ERROR(groups_.Sync(delivery_->topic()));
  const Offsets offsets =
      groups_.OffsetsOf(delivery_->topic(), delivery_->group()).value_or(Offsets());
  for (const uint16_t partition : partitions) {
    const uint64_t next = partition < offsets.size() ? offsets[partition] : 0;
    Owned owned{.tag = std::to_string(++readers_), .next = next};
    STARLING_RETURN_IF_ERROR(
        connection_->Consume(kReading, StreamOf(delivery_->topic(), partition), owned.tag,
                             next == 0 ? StreamStart("first") : next, kPrefetch));
    owned_[partition] = std::move(owned);
  }
  return OkStatus();
}

Status Consumer::LetGo(const std::set<uint16_t>& partitions) {
  const auto goes = [&](uint16_t partition) { return partitions.contains(partition); };
  for (const uint16_t partition : partitions)
    STARLING_RETURN_IF_ERROR(connection_->Cancel(kReading, owned_.at(partition).tag));
  std::erase_if(batch_, [&](const Delivered& event) { return goes(event.position.partition); });
  if (unreadable_ && goes(unreadable_->position.partition)) unreadable_.reset();
  std::erase_if(arrived_, [&](const Arrived& arrived) {
    if (!goes(arrived.partition)) return false;
    arrived_bytes_ -= arrived.message.body.size();
    return true;
  });
  STARLING_RETURN_IF_ERROR(groups_.Sync(delivery_->topic()));
  for (const uint16_t partition : partitions) {
    owned_.erase(partition);
    STARLING_RETURN_IF_ERROR(
        connection_->Delete(kLocks, LockOf(delivery_->topic(), delivery_->group(), partition)));
  }
  return OkStatus();
}

Status Consumer::Serve(Duration patience) {
  // With enough at hand the rest waits at the broker.
  if (arrived_bytes_ > kMaxArrived && Now() - served_at_ < kBreath) return OkStatus();
  do {
    STARLING_ASSIGN_OR_RETURN(auto message, connection_->Next(patience));
    served_at_ = Now();
    if (!message) return OkStatus();
    patience = Duration(0);
    const auto owned = std::find_if(owned_.begin(), owned_.end(), [&](const auto& one) {
      return one.second.tag == message->tag;
    });
    // What is left of a reader that was ended.
    if (owned == owned_.end() || message->offset < owned->second.next) continue;
    owned->second.next = message->offset + 1;
    arrived_bytes_ += message->body.size();
    arrived_.push_back({owned->first, *std::move(message)});
  } while (arrived_bytes_ <= kMaxArrived && arrived_.size() < 2 * delivery_->options().max_batch);
  return OkStatus();
}

void Consumer::Collect() {
  while (!arrived_.empty() && !unreadable_ && batch_.size() < delivery_->options().max_batch) {
    Arrived arrived = std::move(arrived_.front());
    arrived_.pop_front();
    arrived_bytes_ -= arrived.message.body.size();
    last_delivery_ = arrived.message.delivery;
    const Position position{arrived.partition, arrived.message.offset};
    if (arrived.message.body.empty()) {  // the first of a stream (topics.h)
      Accept(position);
      continue;
    }
    StatusOr<Event> event = DecodeEvent(arrived.message.body);
    if (event.ok()) {
      batch_.push_back({*std::move(event), position, 1});
      continue;
    }
    unreadable_ = Delivered{
        {.id = fmt::format("{}/{}/{}", delivery_->topic(), position.partition, position.offset),
         .source = "/messaging/rabbitmq",
         .type = "starling.messaging.unreadable.v1",
         .data = std::move(arrived.message.body)},
        position,
        1};
  }
}

Status Consumer::Hand() {
  give_up_ = false;
  if (stopping_) return OkStatus();  // set before give_up_ is by Stop, so that none is lost
  done_ = 0;
  running_ = !batch_.empty()
                 ? delivery_->DeliverOn(executor_, batch_, give_up_, done_)
                 : delivery_->SetAsideOn(executor_, unreadable_->event,
                                         DataLoss("is no event of Starling's"), 1, give_up_);
  STARLING_RETURN_IF_ERROR(AwaitOutcome());
  if (!batch_.empty() || unreadable_) return OkStatus();
  // More of it may come.
  return connection_->Ack(kReading, last_delivery_, true);
}

Status Consumer::AwaitOutcome() {
  while (running_.wait_for(kServeEvery) != std::future_status::ready) {
    STARLING_RETURN_IF_ERROR(Serve(Duration(0)));
    if (Now() - balanced_at_ < kBalanceEvery) continue;
    balanced_at_ = Now();
    const std::set<uint16_t> share = Share();
    for (const auto& [partition, owned] : owned_) {
      if (share.contains(partition)) continue;
      give_up_ = true;  // Balance lets it go after this call
      balanced_at_ = {};
    }
  }
  Settle();
  return OkStatus();
}

// Waits for the handler call that runs, and keeps what it left over.
void Consumer::Settle() {
  const Status outcome = running_.get();
  if (!batch_.empty()) {
    const size_t done = done_;
    for (size_t i = 0; i < done; ++i) Accept(batch_[i].position);
    batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(done));
  } else if (unreadable_ && outcome.ok()) {
    Accept(unreadable_->position);
    unreadable_.reset();
  }
}

void Consumer::Accept(const Position& position) {
  groups_.Accept(delivery_->topic(), delivery_->group(), position.partition, position.offset + 1);
}

// The locks went with the connection: others may have the partitions already.
void Consumer::Lost(const Status& why) {
  log::Warning("rabbitmq", "group {} of topic {} connects anew", delivery_->group(),
               delivery_->topic())
      .With(why);
  give_up_ = true;
  if (running_.valid()) Settle();
  connection_ = nullptr;
  owned_.clear();
  arrived_.clear();
  arrived_bytes_ = 0;
  batch_.clear();
  unreadable_.reset();
}

void Consumer::Close() {
  if (running_.valid()) Settle();
  const Status stated = groups_.Sync(delivery_->topic());
  if (!stated.ok()) {
    log::Warning("rabbitmq", "what group {} accepted last may come again", delivery_->group())
        .With(stated);
  }
  for (const auto& [partition, owned] : owned_) {
    const std::string lock = LockOf(delivery_->topic(), delivery_->group(), partition);
    if (connection_ == nullptr || !connection_->Delete(kLocks, lock).ok()) break;
  }
  connection_ = nullptr;
  groups_.Leave(delivery_->topic(), delivery_->group());
}

}  // namespace starling::messaging::rabbitmq
