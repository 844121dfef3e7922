#include "platform/messaging/rabbitmq/groups.h"

#include <pthread.h>

#include <algorithm>

#include "platform/base/id.h"
#include "platform/messaging/rabbitmq/topics.h"
#include "platform/telemetry/log.h"

namespace starling::messaging::rabbitmq {
namespace {

constexpr uint16_t kChannel = 1;
constexpr uint16_t kPrefetch = 1'000;
constexpr Duration kStateEvery = std::chrono::milliseconds(50);  // while groups come farther
constexpr Duration kSignOfLife = std::chrono::seconds(2);
constexpr Duration kGone = std::chrono::seconds(6);
constexpr Duration kLook = std::chrono::milliseconds(50);

Instant Now() { return std::chrono::steady_clock::now(); }

}  // namespace

Groups::Groups(const RabbitOptions& options) : options_(options), self_(NewId()) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "rabbit-groups");
}

Groups::~Groups() {
  stopping_ = true;
  waker_.Wake();
  thread_.join();
}

Status Groups::Watch(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    if (topics_[name].live) return OkStatus();
  }
  return Sync(name);
}

Status Groups::Join(const std::string& name, const std::string& group, int partitions) {
  {
    const std::lock_guard lock(mutex_);
    Topic& topic = topics_[name];
    topic.running.insert(group);
    Merge(Offsets(static_cast<size_t>(partitions)), topic.offsets[group]);
  }
  const Status status = Sync(name);
  if (!status.ok()) Leave(name, group);
  return status;
}

void Groups::Leave(const std::string& name, const std::string& group) {
  {
    const std::lock_guard lock(mutex_);
    topics_[name].running.erase(group);
    ++topics_[name].asked;
  }
  waker_.Wake();
}

void Groups::Accept(const std::string& name, const std::string& group, uint16_t partition,
                    uint64_t next) {
  const std::lock_guard lock(mutex_);
  Topic& topic = topics_[name];
  Offsets& offsets = topic.offsets[group];
  if (offsets.size() <= partition) offsets.resize(partition + 1u);
  offsets[partition] = std::max(offsets[partition], next);
  topic.dirty = true;
}

Status Groups::Sync(const std::string& name) {
  std::unique_lock lock(mutex_);
  return AwaitRead(lock, name);
}

Status Groups::AwaitRead(std::unique_lock<std::mutex>& lock, const std::string& name) {
  Topic& topic = topics_[name];  // is never erased
  const uint64_t number = ++topic.asked;
  waker_.Wake();
  if (read_.wait_for(lock, options_.append_timeout, [&] { return topic.read >= number; }))
    return OkStatus();
  return Unavailable("RabbitMQ at {} does not take what groups of topic '{}' have accepted",
                     options_.address.Where(), name);
}

std::optional<Offsets> Groups::OffsetsOf(const std::string& name, const std::string& group) const {
  const std::lock_guard lock(mutex_);
  const auto topic = topics_.find(name);
  if (topic == topics_.end()) return std::nullopt;
  const auto offsets = topic->second.offsets.find(group);
  return offsets == topic->second.offsets.end() ? std::nullopt : std::optional(offsets->second);
}

std::map<std::string, Offsets> Groups::Running(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, Offsets> running;
  const auto topic = topics_.find(name);
  if (topic == topics_.end()) return running;
  const auto add = [&](const std::set<std::string>& groups) {
    for (const std::string& group : groups) {
      const auto offsets = topic->second.offsets.find(group);
      running[group] = offsets == topic->second.offsets.end() ? Offsets() : offsets->second;
    }
  };
  add(topic->second.running);
  for (const auto& [process, other] : topic->second.others) {
    if (Now() - other.heard < kGone) add(other.running);
  }
  return running;
}

std::set<uint16_t> Groups::Share(const std::string& name, const std::string& group,
                                 int partitions) const {
  const std::lock_guard lock(mutex_);
  std::set<uint16_t> share;
  const auto topic = topics_.find(name);
  if (topic == topics_.end()) return share;
  std::set<std::string> members = {self_};
  for (const auto& [process, other] : topic->second.others) {
    if (Now() - other.heard < kGone && other.running.contains(group)) members.insert(process);
  }
  const auto self = std::distance(members.begin(), members.find(self_));
  for (auto p = self; p < partitions; p += static_cast<std::ptrdiff_t>(members.size()))
    share.insert(static_cast<uint16_t>(p));
  return share;
}

void Groups::Run() {
  while (!stopping_) {
    Status status = Connect();
    if (status.ok()) status = OpenWatched();
    if (status.ok()) status = State();
    if (status.ok()) status = Take(kLook);
    if (status.ok()) {
      backoff_.Reset();
      continue;
    }
    if (stopping_) break;
    log::Warning("rabbitmq", "what groups have accepted cannot be stated for now").With(status);
    connection_ = nullptr;
    const Instant until = Now() + backoff_.Next();
    while (!stopping_ && Now() < until) waker_.Wait(-1, std::min<Duration>(kLook, until - Now()));
  }
  if (connection_ != nullptr) State().IgnoreError();  // who left says so
}

Status Groups::Connect() {
  if (connection_ != nullptr) return OkStatus();
  STARLING_ASSIGN_OR_RETURN(auto made, Connection::Open(options_, Heartbeat::kYes));
  STARLING_RETURN_IF_ERROR(made->OpenChannel(kChannel));
  connection_ = std::move(made);
  unacknowledged_ = 0;
  const std::lock_guard lock(mutex_);
  for (auto& [name, topic] : topics_) topic.open = topic.live = false;
  return OkStatus();
}

Status Groups::OpenWatched() {
  std::vector<std::string> closed;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, topic] : topics_) {
      if (!topic.open) closed.push_back(name);
    }
  }
  for (const std::string& name : closed) {
    STARLING_RETURN_IF_ERROR(
        connection_->Consume(kChannel, StatementsOf(name), name, "first", kPrefetch));
    const std::lock_guard lock(mutex_);
    Topic& topic = topics_[name];
    topic.open = true;
    topic.stated = topic.read;  // what was stated before may not have arrived
    ++topic.asked;
  }
  return OkStatus();
}

Status Groups::State() {
  std::vector<std::pair<std::string, std::string>> due;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, topic] : topics_) {
      if (!topic.open) continue;
      const bool waits = topic.read < topic.stated;
      if (waits && Now() - topic.waits_since > options_.append_timeout)
        return Unavailable("RabbitMQ does not give statements of topic '{}' back", name);
      if (topic.asked == topic.stated) {
        const Duration since = Now() - topic.stated_at;
        if (waits || since < (topic.dirty ? kStateEvery : kSignOfLife)) continue;
        ++topic.asked;
      }
      if (!waits) topic.waits_since = Now();
      topic.stated = topic.asked;
      topic.stated_at = Now();
      topic.dirty = false;
      due.emplace_back(StatementsOf(name), EncodeStatement({.from = self_,
                                                            .number = topic.stated,
                                                            .running = topic.running,
                                                            .offsets = topic.offsets}));
    }
  }
  for (const auto& [stream, body] : due)
    STARLING_RETURN_IF_ERROR(connection_->Publish(kChannel, stream, body));
  return OkStatus();
}

// Everything that has come; waits only when nothing has.
Status Groups::Take(Duration patience) {
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const auto message, connection_->Next(patience, &waker_));
    if (!message) return OkStatus();
    patience = Duration(0);
    if (message->kind == Incoming::kReturned)
      return Unavailable("RabbitMQ has no stream any more for a topic's groups");
    if (message->kind != Incoming::kMessage) continue;
    if (!message->body.empty()) {
      const StatusOr<Statement> statement = DecodeStatement(message->body);
      if (statement.ok()) {
        Heard(message->tag, *statement);
      } else {
        log::Warning("rabbitmq", "message {} of {}", message->offset, StatementsOf(message->tag))
            .With(statement.status());
      }
    }
    if (++unacknowledged_ < kPrefetch / 4) continue;
    unacknowledged_ = 0;
    STARLING_RETURN_IF_ERROR(connection_->Ack(kChannel, message->delivery, true));
  }
}

void Groups::Heard(const std::string& name, const Statement& statement) {
  const std::lock_guard lock(mutex_);
  Topic& topic = topics_[name];
  for (const auto& [group, offsets] : statement.offsets) Merge(offsets, topic.offsets[group]);
  if (statement.from == self_) {
    topic.read = std::max(topic.read, statement.number);
    // History ends with the first statement that was made after the stream was opened.
    topic.live = topic.live || topic.read == topic.stated;
    read_.notify_all();
  } else if (topic.live) {
    const bool fresh = topic.others.emplace(statement.from, Other()).second;
    topic.others[statement.from] = {.running = statement.running, .heard = Now()};
    if (fresh) {  // is told who else is here
      topic.dirty = true;
      topic.stated_at = {};
    }
    std::erase_if(topic.others,
                  [](const auto& other) { return Now() - other.second.heard > 10 * kGone; });
  }
}

}  // namespace starling::messaging::rabbitmq
