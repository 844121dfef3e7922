#include "apps/starling/import/writer.h"

namespace starling::import {
namespace {

constexpr size_t kMostInFlight = 16;
constexpr size_t kUsersAtOnce = 64;
constexpr Duration kCallLimit = std::chrono::minutes(2);
constexpr Duration kRefusedLimit = std::chrono::minutes(5);  // of one batch, over all its tries

rpc::CallContext Call() { return rpc::CallContext::ForService("import", kCallLimit); }

}  // namespace

Writer::Writer(host::Process& process)
    : runtime_(process.runtime()),
      catalog_(process.services().Get<catalog::v1::Catalog>()),
      profile_(process.services().Get<profile::v1::Profile>()),
      ingestion_(process.services().Get<ingestion::v1::Ingestion>()) {}

Writer::~Writer() { (void)Flush(); }

Status Writer::Write(Batch batch) {
  InFlight* place = nullptr;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return in_flight_.size() < kMostInFlight; });
    if (!failure_.ok()) return failure_;
    place = &in_flight_.emplace_back(
        InFlight{.after = std::move(batch.after), .told = std::move(batch.told)});
  }
  Spawn(runtime_.NextExecutor(), Send(std::move(batch), place));
  return OkStatus();
}

Status Writer::Flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return in_flight_.empty(); });
  durable_.after.clear();
  return failure_;
}

Durable Writer::durable() {
  const std::lock_guard lock(mutex_);
  return durable_;
}

Task<void> Writer::Send(Batch batch, InFlight* place) {
  Status status;
  const Instant limit = std::chrono::steady_clock::now() + kRefusedLimit;
  while (true) {
    status = co_await SendBatch(batch, &place->written);
    const auto pause = RetryAfter(status);
    if (status.code() != StatusCode::kUnavailable || !pause) break;
    if (std::chrono::steady_clock::now() > limit) break;
    co_await SleepFor(*pause);
  }
  const std::lock_guard lock(mutex_);
  if (!status.ok() && failure_.ok()) failure_ = status;
  place->done = true;
  while (!in_flight_.empty() && in_flight_.front().done) {
    InFlight& first = in_flight_.front();
    if (failure_.ok()) {
      durable_.written.Add(first.written);
      if (!first.after.empty()) {
        durable_.after = std::move(first.after);
        durable_.told = std::move(first.told);
      }
    }
    in_flight_.pop_front();
  }
  changed_.notify_all();
}

Task<Status> Writer::SendBatch(const Batch& batch, Written* written) {
  *written = {};
  if (!batch.products.empty()) {
    catalog::v1::BatchUpsertProductsRequest request;
    for (const auto& product : batch.products) *request.add_products() = product;
    auto context = Call();
    const auto answer = co_await catalog_->BatchUpsertProducts(context, request);
    if (!answer.ok()) co_return answer.status();
    written->products_created += answer->created();
    written->products_updated += answer->updated();
    written->products_unchanged += answer->unchanged();
  }
  // Users have no batch call: those that are sent together share the commit.
  for (size_t from = 0; from < batch.users.size(); from += kUsersAtOnce) {
    const size_t to = std::min(from + kUsersAtOnce, batch.users.size());
    struct Shared {
      explicit Shared(size_t count) : left(count) {}
      std::atomic<size_t> left;
      std::mutex mutex;
      Status failure;
      Completion<bool> done;
    };
    const auto shared = std::make_shared<Shared>(to - from);
    const Executor here = co_await CurrentExecutor();
    (void)co_await Suspend<bool>([&](Completion<bool> completion) {
      shared->done = std::move(completion);
      for (size_t i = from; i < to; ++i) {
        profile::v1::UpdateUserRequest request;
        *request.mutable_user() = batch.users[i];
        // Preferences that a user has said stay.
        for (const char* field : {"display_name", "attributes"})
          request.mutable_update_mask()->add_paths(field);
        Spawn(here,
              [](std::shared_ptr<profile::v1::Profile> profile,
                 profile::v1::UpdateUserRequest request,
                 std::shared_ptr<Shared> shared) -> Task<void> {
                auto context = Call();
                const auto answer = co_await profile->UpdateUser(context, request);
                if (!answer.ok()) {
                  const std::lock_guard lock(shared->mutex);
                  shared->failure = answer.status();
                }
                if (--shared->left == 0) shared->done(true);
              }(profile_, std::move(request), shared));
      }
    });
    if (!shared->failure.ok()) co_return shared->failure;
    written->users += static_cast<int64_t>(to - from);
  }
  if (!batch.events.empty()) {
    ingestion::v1::WriteEventsRequest request;
    for (const auto& event : batch.events) *request.add_events() = event;
    auto context = Call();
    const auto answer = co_await ingestion_->WriteEvents(context, request);
    if (!answer.ok()) co_return answer.status();
    written->events += answer->accepted();
  }
  co_return OkStatus();
}

}  // namespace starling::import
