#include "platform/messaging/embedded_consumer.h"

#include "platform/telemetry/log.h"

namespace starling::messaging {
void EmbeddedConsumer::Start() {
  group_->running = true;
  Spawn(runtime_.NextExecutor(), [](std::shared_ptr<EmbeddedConsumer> self) -> Task<void> {
    co_await self->Run();
    self->group_->running = false;
    self->ended_.set_value();
  }(shared_from_this()));
}

void EmbeddedConsumer::Stop() {
  stopping_ = true;
  topic_->Wake();
  end_.wait();
}

Task<void> EmbeddedConsumer::Run() {
  TopicFiles::Cursor cursor{.sequence = group_->offset->offset()};
  std::atomic<size_t> done{0};
  while (!stopping_) {
    const bool more = co_await topic_->WaitFor(cursor.sequence, stopping_);
    if (!more) co_return;
    StatusOr<std::vector<Delivered>> batch = co_await runtime_.blocking().Run(
        [&] { return topic_->files().Read(cursor, delivery_.options().max_batch); });
    if (!batch.ok()) {
      log::Error("messaging", "group {} cannot read topic {}", group_->name, topic_->name())
          .With(batch.status());
      co_await delivery_.Pause(10, stopping_);
      continue;
    }
    const Status delivered = co_await delivery_.Deliver(std::span(*batch), stopping_, done);
    if (!delivered.ok()) co_return;
    const Status committed =
        co_await runtime_.blocking().Run([&] { return group_->offset->Commit(cursor.sequence); });
    if (!committed.ok()) log::Warning("messaging", "a batch will come again").With(committed);
    group_->committed = cursor.sequence;
  }
}

}  // namespace starling::messaging
