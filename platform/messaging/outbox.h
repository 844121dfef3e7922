// Outbox: a change of state and its event are one transaction; the event reaches the log after the
// commit, surely.
//
//   Status status = co_await database.Write([&](sql::Transaction& transaction) -> Status {
//     STARLING_RETURN_IF_ERROR(transaction.Execute("UPDATE ..."));
//     return outbox.Add(transaction, "catalog", event);
//   });
//
// A relay moves rows to the log in order and deletes them once they are durable there: at least
// once, so that a crash in between repeats events, with their ids (inbox.h). While the log refuses,
// rows wait; beyond `backlog_limit` rows Add is refused with OVERLOADED and the change with it.
// Processes that share a database (PostgreSQL) take turns in relaying, by a lock of that database;
// events of transactions that depend on each other stay in order, those of others may not.
// Source: Richardson, Microservices Patterns (2018), 3.3.7.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string_view>

#include "platform/async/runtime.h"
#include "platform/messaging/event_log.h"
#include "platform/storage/sql/sql.h"

namespace starling::messaging {

class Outbox {
 public:
  struct Options {
    int64_t backlog_limit = 100'000;
    int64_t batch = 500;
  };
  // Makes its table in `database` when absent. All three must outlive it. Blocks.
  static StatusOr<std::unique_ptr<Outbox>> Open(sql::Database& database, EventLog& log,
                                                Runtime& runtime, Options options);
  ~Outbox();

  Status Add(sql::Transaction& transaction, std::string_view topic, const Event& event);

  // Starts the relay, with what a crash left.
  void Start();
  // Moves what waits, for at most 2 s, and ends the relay; the rest goes at the next start. Never
  // call it on an io thread.
  void Stop();
  // Rows that wait, as far as this process knows.
  int64_t backlog() const { return backlog_; }

 private:
  struct Relay;
  Outbox(sql::Database& database, EventLog& log, Runtime& runtime, Options options);
  const Options options_;
  std::atomic<int64_t> backlog_{0};
  std::shared_ptr<Relay> relay_;
};

}  // namespace starling::messaging
