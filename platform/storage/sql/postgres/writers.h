// The threads that write, and how writes share a commit:
//
//   take up to kGroup waiting writes
//   BEGIN SERIALIZABLE
//     for each: SAVEPOINT, its function, then RELEASE when it returned OK, else ROLLBACK TO
//   COMMIT                              one fsync of the server's log, one round trip
//   the hooks of OnCommit, in order (commit_order.h)
//   finish every call
//
// Several threads do this side by side. A group that clashed with another runs again, alone
// (session.h). One that COMMIT refuses for what is in it (a deferred foreign key) is written one by
// one, so that the error is its own write's. A lost connection refuses all that are in the group.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "platform/storage/sql/postgres/commit_order.h"
#include "platform/storage/sql/postgres/sessions.h"

namespace starling::sql {

class PostgresWriters {
 public:
  // `owner` marks the threads as the owner's (see owner_thread.h).
  PostgresWriters(Sessions& sessions, const Options& options, const void* owner);
  // Runs what was accepted, then joins.
  ~PostgresWriters();

  void Submit(std::unique_ptr<Call<Transaction>> call);
  void AddTo(Statistics& statistics) const;

 private:
  using WriteCall = std::unique_ptr<Call<Transaction>>;
  // A write that ran, between its savepoint and the commit.
  struct Ran {
    Call<Transaction>* call;
    Status status;
    std::vector<std::function<void()>> hooks;
  };
  enum class Outcome { kDone, kAgain, kOneByOne };

  void Work();
  void WriteGroup(std::span<const WriteCall> group);
  Outcome TryGroup(PostgresSession& session, std::span<const WriteCall> group,
                   PostgresSession::Mode mode);
  static Ran RunOne(PostgresSession& session, Call<Transaction>& call, bool in_group);
  void Refuse(std::span<Ran> ran, const Status& status);

  Sessions& sessions_;
  const Options options_;
  const void* const owner_;
  CommitOrder order_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<WriteCall> queue_;
  bool stopping_ = false;
  std::atomic<int64_t> commits_{0};
  std::atomic<int64_t> writes_{0};
  std::atomic<int64_t> refused_{0};
  std::vector<std::thread> threads_;
};

}  // namespace starling::sql
