#include "platform/messaging/kafka/consumer.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include <algorithm>

#include "platform/messaging/kafka/cluster.h"
#include "platform/telemetry/log.h"

namespace starling::messaging::kafka {
namespace {

constexpr int kCollectMs = 50;  // the longest wait for a first message
constexpr Duration kServeEvery = std::chrono::milliseconds(20);    // while a handler runs
constexpr Duration kCommitEvery = std::chrono::milliseconds(100);  // while messages keep coming
constexpr int kCommitTimeoutMs = 3'000;
constexpr Duration kFirstAssignment = std::chrono::seconds(1);

struct DestroyMessage {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};
using Message = std::unique_ptr<rd_kafka_message_t, DestroyMessage>;

}  // namespace

StatusOr<std::unique_ptr<Consumer>> Consumer::Start(const KafkaOptions& options, Executor executor,
                                                    std::unique_ptr<Delivery> delivery,
                                                    const std::vector<int64_t>& from,
                                                    Commits commits) {
  static_assert(kStored == RD_KAFKA_OFFSET_STORED);
  const std::string topic = delivery->topic();
  const Settings settings = {{"group.id", GroupId(topic, delivery->group())},
                             {"partition.assignment.strategy", "cooperative-sticky"},
                             {"enable.auto.commit", "false"},
                             {"enable.auto.offset.store", "false"},
                             {"auto.offset.reset", "earliest"},
                             {"session.timeout.ms", "6000"},
                             {"heartbeat.interval.ms", "1000"},
                             {"fetch.error.backoff.ms", "100"},
                             {"queued.max.messages.kbytes", "16384"}};
  std::unique_ptr<Consumer> consumer(new Consumer(std::move(executor), std::move(delivery)));
  STARLING_ASSIGN_OR_RETURN(
      consumer->client_, MakeClient(Role::kConsumer, options, settings, [&](rd_kafka_conf_t* conf) {
        rd_kafka_conf_set_opaque(conf, consumer.get());
        rd_kafka_conf_set_rebalance_cb(
            conf, [](rd_kafka_t* client, rd_kafka_resp_err_t error,
                     rd_kafka_topic_partition_list_t* partitions,
                     void* self) { Rebalanced(client, error, partitions, self); });
      }));
  rd_kafka_t* client = consumer->client_.get();
  consumer->messages_.reset(rd_kafka_queue_new(client));
  rd_kafka_poll_set_consumer(client);
  consumer->commits_ = commits;
  STARLING_RETURN_IF_ERROR(from.empty() ? consumer->Join(topic) : consumer->ReadFrom(topic, from));
  consumer->thread_ = std::thread([self = consumer.get()] { self->Run(); });
  pthread_setname_np(consumer->thread_.native_handle(), "kafka-consumer");
  return consumer;
}

Status Consumer::Join(const std::string& topic) {
  const Partitions topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  joining_ = true;
  return ToStatus(rd_kafka_subscribe(client_.get(), topics.get()), "subscribing to topic " + topic);
}

Status Consumer::ReadFrom(const std::string& topic, const std::vector<int64_t>& from) {
  const Partitions all(rd_kafka_topic_partition_list_new(static_cast<int>(from.size())));
  for (size_t p = 0; p < from.size(); ++p) {
    rd_kafka_topic_partition_list_add(all.get(), topic.c_str(), static_cast<int32_t>(p))->offset =
        from[p];
  }
  Forward(*all);
  return ToStatus(rd_kafka_assign(client_.get(), all.get()), "following topic " + topic);
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
    Serve();
    if (batch_.empty() && !unreadable_) Collect();
    if (!batch_.empty() || unreadable_) Hand();
  }
  Close();
}

// Rebalances and errors; messages have a queue of their own.
void Consumer::Serve() {
  const Message event(rd_kafka_consumer_poll(client_.get(), 0));
  if (event == nullptr) return;
  if (event->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    Take(*event);
  } else {
    log::Warning("kafka", "group {} of topic {}: {}", delivery_->group(), delivery_->topic(),
                 rd_kafka_err2str(event->err));
  }
}

void Consumer::Collect() {
  // At once while there are more, which is when committing may wait.
  Message message(rd_kafka_consume_queue(messages_.get(), 0));
  if (message == nullptr) {
    Commit(Wait::kNo);
    message.reset(rd_kafka_consume_queue(messages_.get(), kCollectMs));
  } else if (std::chrono::steady_clock::now() - committed_at_ > kCommitEvery) {
    Commit(Wait::kNo);
  }
  while (message != nullptr) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      Take(*message);
    } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      log::Warning("kafka", "topic {} cannot be read: {}", delivery_->topic(),
                   rd_kafka_message_errstr(message.get()));
    }
    if (unreadable_ || batch_.size() >= delivery_->options().max_batch) return;
    message.reset(rd_kafka_consume_queue(messages_.get(), 0));
  }
}

void Consumer::Take(const rd_kafka_message_t& message) {
  const Position position{static_cast<uint16_t>(message.partition),
                          static_cast<uint64_t>(message.offset)};
  const std::string_view bytes(static_cast<const char*>(message.payload), message.len);
  StatusOr<Event> event = DecodeEvent(bytes);
  if (event.ok()) {
    batch_.push_back({*std::move(event), position, 1});
    return;
  }
  unreadable_ = Delivered{
      {.id = fmt::format("{}/{}/{}", delivery_->topic(), position.partition, position.offset),
       .source = "/messaging/kafka",
       .type = "starling.messaging.unreadable.v1",
       .data = std::string(bytes)},
      position,
      1};
}

void Consumer::Hand() {
  give_up_ = false;
  if (stopping_) return;  // set before give_up_ is by Stop, so that none is lost
  if (!batch_.empty()) {
    running_ = delivery_->DeliverOn(executor_, batch_, give_up_, done_);
    AwaitOutcome();
    return;
  }
  done_ = 0;
  running_ = delivery_->SetAsideOn(executor_, unreadable_->event,
                                   DataLoss("is no event of Starling's"), 1, give_up_);
  AwaitOutcome();
}

void Consumer::AwaitOutcome() {
  while (running_.valid() && running_.wait_for(kServeEvery) != std::future_status::ready) Serve();
  if (running_.valid()) Settle();
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
  accepted_[position.partition] = static_cast<int64_t>(position.offset) + 1;
}

void Consumer::Commit(Wait wait) {
  if (commits_ == Commits::kNever) accepted_.clear();
  if (accepted_.empty()) return;
  const Partitions offsets(rd_kafka_topic_partition_list_new(static_cast<int>(accepted_.size())));
  for (const auto& [partition, offset] : accepted_) {
    rd_kafka_topic_partition_list_add(offsets.get(), delivery_->topic().c_str(), partition)
        ->offset = offset;
  }
  committed_at_ = std::chrono::steady_clock::now();
  accepted_.clear();
  if (wait == Wait::kNo) {
    // One that fails is made good by the next; at worst a batch comes again.
    rd_kafka_commit(client_.get(), offsets.get(), 1);
    return;
  }
  const Queue answers(rd_kafka_queue_new(client_.get()));
  rd_kafka_resp_err_t error =
      rd_kafka_commit_queue(client_.get(), offsets.get(), answers.get(), nullptr, nullptr);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_event_t* answer = rd_kafka_queue_poll(answers.get(), kCommitTimeoutMs);
    error = answer == nullptr ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(answer);
    if (answer != nullptr) rd_kafka_event_destroy(answer);
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    log::Warning("kafka", "a batch of topic {} will come to group {} again: {}", delivery_->topic(),
                 delivery_->group(), rd_kafka_err2str(error));
  }
}

void Consumer::Close() {
  // A member that leads its group and ends before its first assignment aborts the process
  // (librdkafka below 2.3, issue 4312).
  const auto until = std::chrono::steady_clock::now() + kFirstAssignment;
  while (joining_ && std::chrono::steady_clock::now() < until) {
    Serve();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Commit(Wait::kYes);
  rd_kafka_consumer_close(client_.get());
  messages_.reset();
  client_.reset();
}

void Consumer::Rebalanced(rd_kafka_t* client, int error,
                          rd_kafka_topic_partition_list_t* partitions, void* consumer) {
  auto& self = *static_cast<Consumer*>(consumer);
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    self.Assign(partitions);
  } else if (error == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    self.Revoke(partitions);
  } else {
    rd_kafka_assign(client, nullptr);
  }
}

void Consumer::Forward(const rd_kafka_topic_partition_list_t& partitions) {
  for (int i = 0; i < partitions.cnt; ++i) {
    const rd_kafka_topic_partition_t& at = partitions.elems[i];
    const Queue queue(rd_kafka_queue_get_partition(client_.get(), at.topic, at.partition));
    if (queue != nullptr) rd_kafka_queue_forward(queue.get(), messages_.get());
  }
}

void Consumer::Assign(rd_kafka_topic_partition_list_t* partitions) {
  joining_ = false;
  Forward(*partitions);
  if (rd_kafka_error_t* error = rd_kafka_incremental_assign(client_.get(), partitions)) {
    log::Error("kafka", "group {} of topic {}: {}", delivery_->group(), delivery_->topic(),
               rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
  }
}

void Consumer::Revoke(rd_kafka_topic_partition_list_t* partitions) {
  if (running_.valid()) {
    give_up_ = true;
    Settle();
  }
  const auto goes = [&](const Delivered& event) {
    return rd_kafka_topic_partition_list_find(partitions, delivery_->topic().c_str(),
                                              event.position.partition) != nullptr;
  };
  std::erase_if(batch_, goes);
  if (unreadable_ && goes(*unreadable_)) unreadable_.reset();
  if (rd_kafka_assignment_lost(client_.get())) {
    accepted_.clear();  // another has them already, from the last commit on
  } else {
    Commit(Wait::kYes);
  }
  if (rd_kafka_error_t* error = rd_kafka_incremental_unassign(client_.get(), partitions)) {
    log::Error("kafka", "group {} of topic {}: {}", delivery_->group(), delivery_->topic(),
               rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
  }
}

}  // namespace starling::messaging::kafka
