#include "platform/storage/sql/sqlite/writer.h"

#include <pthread.h>

#include <algorithm>

#include "platform/storage/sql/owner_thread.h"
#include "platform/storage/sql/sqlite/status.h"

namespace starling::sql {
namespace {

constexpr size_t kWaitingCheckpoints = 16;
// Passive moves of the log never wait for readers, and may so never finish; at this many times the
// limit one waits.
constexpr int64_t kWaitForReadersAt = 8;
constexpr std::chrono::milliseconds kRetryAfterOverload(100);

// What the others of a group hear when the engine has rolled the group back during one's write: the
// storage's own trouble, but not that one's mistake.
Status CauseForOthers(const Status& cause) {
  switch (cause.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kResourceExhausted:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kDataLoss:
      return cause;
    default:
      return WithRetryAfter(
          Unavailable(
              "another write of the same commit was stopped; nothing was acknowledged, retry"),
          kRetryAfterOverload);
  }
}

}  // namespace

SqliteWriter::SqliteWriter(std::unique_ptr<SqliteSession> session, const Options& options,
                           const void* owner)
    : options_(options),
      owner_(owner),
      session_(std::move(session)),
      wait_for_readers_at_(kWaitForReadersAt * options.log_limit_pages),
      thread_([this] { Work(); }) {
  pthread_setname_np(thread_.native_handle(), "sql-write");
}

SqliteWriter::~SqliteWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_one();
  thread_.join();
}

void SqliteWriter::Submit(WriteCall call) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < options_.write_queue_limit) {
      queue_.push_back(std::move(call));
    }
  }
  if (call == nullptr) {
    ready_.notify_one();
    return;
  }
  ++refused_;
  call->Finish(
      Overloaded(fmt::format("'{}' has {} writes waiting, its limit",
                             options_.path.filename().string(), options_.write_queue_limit),
                 kRetryAfterOverload));
}

void SqliteWriter::SubmitCheckpoint(std::function<void(Status)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (checkpoints_.size() < kWaitingCheckpoints) {
      checkpoints_.push_back(std::move(done));
      done = nullptr;
    }
  }
  if (done == nullptr) {
    ready_.notify_one();
    return;
  }
  done(Overloaded(fmt::format("'{}' has {} checkpoints waiting, its limit", options_.path.string(),
                              kWaitingCheckpoints),
                  kRetryAfterOverload));
}

void SqliteWriter::AddTo(Statistics& statistics) const {
  statistics.commits = commits_;
  statistics.writes = writes_;
  statistics.refused_writes = refused_;
  const std::lock_guard lock(mutex_);
  statistics.queued_writes = static_cast<int64_t>(queue_.size());
}

void SqliteWriter::Work() {
  const OwnerThread mark(owner_);
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !queue_.empty() || !checkpoints_.empty(); });
    if (queue_.empty() && checkpoints_.empty()) return;
    std::vector<WriteCall> group;
    while (!queue_.empty() && group.size() < std::max<size_t>(options_.write_group_limit, 1)) {
      group.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    const std::vector<std::function<void(Status)>> checkpoints = std::exchange(checkpoints_, {});
    lock.unlock();
    WriteGroup(group);
    group.clear();
    for (const auto& done : checkpoints)
      done(session_->Checkpoint(SqliteSession::CheckpointMode::kTruncate));
    MoveLog();
    lock.lock();
  }
}

void SqliteWriter::WriteGroup(std::span<const WriteCall> group) {
  while (!group.empty()) group = group.subspan(WriteTransaction(group));
}

size_t SqliteWriter::WriteTransaction(std::span<const WriteCall> group) {
  if (const Status begun = session_->Control("BEGIN IMMEDIATE"); !begun.ok()) {
    for (const WriteCall& call : group) call->Finish(Unshared(begun));
    refused_ += static_cast<int64_t>(group.size());
    return group.size();
  }
  std::vector<Ran> ran;
  ran.reserve(group.size());
  for (const WriteCall& call : group) {
    ran.push_back(RunOne(*call));
    if (session_->InTransaction()) continue;
    Refuse(ran, CauseForOthers(session_->last_error()));
    return ran.size();
  }
  if (const Status committed = session_->Control("COMMIT"); !committed.ok()) {
    // The engine has rolled back by itself after most errors; a transaction that is still open
    // would refuse BEGIN.
    if (session_->InTransaction()) static_cast<void>(session_->Control("ROLLBACK"));
    Refuse(ran, committed);
    return ran.size();
  }
  int64_t written = 0;
  for (const Ran& one : ran) {
    if (!one.status.ok()) continue;
    ++written;
    for (const auto& hook : one.hooks) hook();
  }
  if (written > 0) ++commits_;
  writes_ += written;
  for (Ran& one : ran) one.call->Finish(std::move(one.status));
  return ran.size();
}

SqliteWriter::Ran SqliteWriter::RunOne(Call<Transaction>& call) {
  Ran ran{&call, session_->Control("SAVEPOINT write"), {}};
  if (!ran.status.ok()) return ran;
  Transaction transaction(*session_);
  ran.status = call.Run(transaction);
  if (!session_->InTransaction()) {
    // The function may have gone on after the error; its work is gone all the same.
    if (ran.status.ok()) ran.status = Unshared(session_->last_error());
    return ran;
  }
  if (ran.status.ok() && !session_->ForeignKeysHold()) {
    // Checked here and not by COMMIT, so that it is this write's error and not its group's.
    ran.status = FailedPrecondition(
        "a deferred foreign key does not hold: the row referred to does not exist");
  }
  if (ran.status.ok()) {
    ran.status = session_->Control("RELEASE write");
    if (ran.status.ok()) {
      ran.hooks = transaction.TakeHooks();
      return ran;
    }
  }
  // Both or neither: a savepoint that stays open would swallow the next write.
  for (const std::string_view undo : {"ROLLBACK TO write", "RELEASE write"}) {
    if (const Status undone = session_->Control(undo); !undone.ok()) {
      if (session_->InTransaction()) static_cast<void>(session_->Control("ROLLBACK"));
      break;
    }
  }
  return ran;
}

void SqliteWriter::Refuse(std::span<Ran> ran, const Status& status) {
  for (Ran& one : ran) {
    if (one.status.ok()) ++refused_;
    one.call->Finish(one.status.ok() ? Unshared(status) : std::move(one.status));
  }
}

void SqliteWriter::MoveLog() {
  const int64_t pages = session_->log_pages();
  if (pages < options_.log_limit_pages) return;
  // A failure is not the writers': what they wrote is durable in the log. The next move tries
  // again, and a log that cannot be moved shows in the file's size and in Checkpoint().
  if (pages < wait_for_readers_at_) {
    static_cast<void>(session_->Checkpoint(SqliteSession::CheckpointMode::kPassive));
    return;
  }
  const Status moved = session_->Checkpoint(SqliteSession::CheckpointMode::kTruncate);
  // A reader that stays is waited for once in so many pages, not after every commit.
  const int64_t step = kWaitForReadersAt * options_.log_limit_pages;
  wait_for_readers_at_ = moved.ok() ? step : pages + step;
}

}  // namespace starling::sql
