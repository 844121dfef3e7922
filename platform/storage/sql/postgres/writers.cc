#include "platform/storage/sql/postgres/writers.h"

#include <pthread.h>

#include <algorithm>

#include "platform/storage/sql/owner_thread.h"

namespace starling::sql {
namespace {

using Mode = PostgresSession::Mode;

// The server remembers 64 subtransactions of a transaction at hand; more make others look them up.
constexpr size_t kGroup = 60;
// The second attempt runs alone. More are for what comes from outside of Starling's own writes.
constexpr int kAttempts = 5;
constexpr std::chrono::milliseconds kRetryAfterOverload(100);

}  // namespace

PostgresWriters::PostgresWriters(Sessions& sessions, const Options& options, const void* owner)
    : sessions_(sessions), options_(options), owner_(owner) {
  for (int i = 0; i < std::max(options.writer_threads, 1); ++i) {
    threads_.emplace_back([this] { Work(); });
    pthread_setname_np(threads_.back().native_handle(), "sql-write");
  }
}

PostgresWriters::~PostgresWriters() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PostgresWriters::Submit(WriteCall call) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < options_.write_queue_limit) queue_.push_back(std::move(call));
  }
  if (call == nullptr) {
    ready_.notify_one();
    return;
  }
  ++refused_;
  call->Finish(Overloaded(fmt::format("{} has {} writes waiting, its limit",
                                      sessions_.target().shown, options_.write_queue_limit),
                          kRetryAfterOverload));
}

void PostgresWriters::AddTo(Statistics& statistics) const {
  statistics.commits = commits_;
  statistics.writes = writes_;
  statistics.refused_writes = refused_;
  const std::lock_guard lock(mutex_);
  statistics.queued_writes = static_cast<int64_t>(queue_.size());
}

void PostgresWriters::Work() {
  const OwnerThread mark(owner_);
  const size_t limit = std::clamp<size_t>(options_.write_group_limit, 1, kGroup);
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::vector<WriteCall> group;
    while (!queue_.empty() && group.size() < limit) {
      group.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    lock.unlock();
    WriteGroup(group);
    group.clear();
    lock.lock();
  }
}

void PostgresWriters::WriteGroup(std::span<const WriteCall> group) {
  auto lease = sessions_.Take();
  if (!lease.ok()) {
    refused_ += static_cast<int64_t>(group.size());
    for (const WriteCall& call : group) call->Finish(lease.status());
    return;
  }
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const Mode mode = attempt == 1 ? Mode::kWrite : Mode::kWriteAlone;
    switch (TryGroup(**lease, group, mode)) {
      case Outcome::kDone:
        return;
      case Outcome::kAgain:
        break;
      case Outcome::kOneByOne: {
        {
          const Sessions::Lease given_back = *std::move(lease);
        }
        for (size_t i = 0; i < group.size(); ++i) WriteGroup(group.subspan(i, 1));
        return;
      }
    }
  }
  refused_ += static_cast<int64_t>(group.size());
  for (const WriteCall& call : group) {
    call->Finish(WithRetryAfter(
        Aborted("other transactions on {} were in the way; retry", sessions_.target().shown),
        kRetryAfterOverload));
  }
}

PostgresWriters::Outcome PostgresWriters::TryGroup(PostgresSession& session,
                                                   std::span<const WriteCall> group, Mode mode) {
  session.Begin(mode);
  std::vector<Ran> ran;
  ran.reserve(group.size());
  for (const WriteCall& call : group) {
    ran.push_back(RunOne(session, *call, group.size() > 1));
    if (session.failed().ok()) continue;
    if (session.conflict()) {
      session.Rollback();
      return Outcome::kAgain;
    }
    // It could not be undone alone: the whole is lost, with those that have not begun.
    const Status failed = session.failed();
    session.Rollback();
    for (const WriteCall& rest : group.subspan(ran.size())) ran.push_back({rest.get(), {}, {}});
    Refuse(ran, failed);
    return Outcome::kDone;
  }
  const bool any =
      std::any_of(ran.begin(), ran.end(), [](const Ran& one) { return one.status.ok(); });
  if (!any) {
    session.Rollback();
    Refuse(ran, OkStatus());
    return Outcome::kDone;
  }
  CommitOrder::Ticket ticket(order_);
  const Status committed = session.Commit();
  if (!committed.ok() && session.conflict()) return Outcome::kAgain;
  if (!committed.ok() && group.size() > 1 && session.Alive()) return Outcome::kOneByOne;
  ticket.WaitForTurn();
  if (!committed.ok()) {
    Refuse(ran, committed);
    return Outcome::kDone;
  }
  ++commits_;
  for (const Ran& one : ran) {
    if (!one.status.ok()) continue;
    ++writes_;
    for (const auto& hook : one.hooks) hook();
  }
  for (Ran& one : ran) one.call->Finish(std::move(one.status));
  return Outcome::kDone;
}

PostgresWriters::Ran PostgresWriters::RunOne(PostgresSession& session, Call<Transaction>& call,
                                             bool in_group) {
  if (in_group) session.Savepoint();
  Transaction transaction(session);
  Ran ran{&call, call.Run(transaction), {}};
  if (ran.status.ok()) ran.status = session.Settle();
  if (ran.status.ok() && session.failed().ok()) {
    if (in_group) session.ReleaseSavepoint();
    ran.hooks = transaction.TakeHooks();
    return ran;
  }
  if (ran.status.ok()) ran.status = session.failed();
  if (in_group && !session.conflict()) session.RollbackToSavepoint();
  return ran;
}

void PostgresWriters::Refuse(std::span<Ran> ran, const Status& status) {
  for (Ran& one : ran) {
    if (one.status.ok()) ++refused_;
    one.call->Finish(one.status.ok() ? status : std::move(one.status));
  }
}

}  // namespace starling::sql
