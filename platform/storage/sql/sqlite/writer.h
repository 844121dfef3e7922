// The one thread that writes, and how writes share a commit:
//
//   take up to write_group_limit waiting writes
//   BEGIN IMMEDIATE
//     for each: SAVEPOINT, its function, then RELEASE when it returned OK, else ROLLBACK TO
//   COMMIT                              one fsync of the log: from here on the writes are durable
//   the hooks of OnCommit, in order
//   finish every call
//   when the log is long: move it into the file
//
// An error of the storage (full disk, I/O) makes the engine roll the whole transaction back: then
// every write since BEGIN is refused with that error, and those not yet begun go into the next
// transaction. A failed COMMIT refuses all.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "platform/storage/sql/sqlite/session.h"

namespace starling::sql {

class SqliteWriter {
 public:
  // `owner` marks the thread as one of the owner's (see owner_thread.h).
  SqliteWriter(std::unique_ptr<SqliteSession> session, const Options& options, const void* owner);
  // Runs what was accepted, then joins.
  ~SqliteWriter();

  void Submit(std::unique_ptr<Call<Transaction>> call);
  void SubmitCheckpoint(std::function<void(Status)> done);
  void AddTo(Statistics& statistics) const;

 private:
  using WriteCall = std::unique_ptr<Call<Transaction>>;
  // A write that ran, between its savepoint and the commit.
  struct Ran {
    Call<Transaction>* call;
    Status status;
    std::vector<std::function<void()>> hooks;
  };

  void Work();
  void WriteGroup(std::span<const WriteCall> group);
  // Writes a prefix of the group in one transaction and gives its length.
  size_t WriteTransaction(std::span<const WriteCall> group);
  Ran RunOne(Call<Transaction>& call);
  // Refuses the writes that had succeeded; those that had failed keep their own error.
  void Refuse(std::span<Ran> ran, const Status& status);
  void MoveLog();

  const Options options_;
  const void* const owner_;
  const std::unique_ptr<SqliteSession> session_;
  int64_t wait_for_readers_at_;  // pages of the log; the writer thread's alone
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<WriteCall> queue_;
  std::vector<std::function<void(Status)>> checkpoints_;
  bool stopping_ = false;
  std::atomic<int64_t> commits_{0};
  std::atomic<int64_t> writes_{0};
  std::atomic<int64_t> refused_{0};
  std::thread thread_;
};

}  // namespace starling::sql
