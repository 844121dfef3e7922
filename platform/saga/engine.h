// The saga engine of one service: starts runs in its database, works on them, resumes them after a
// crash.
//
//   STARLING_ASSIGN_OR_RETURN(sagas_, environment.OpenSagas("orders", *database_));   // in Create
//   STARLING_RETURN_IF_ERROR(sagas_->Add(PlaceOrder()));
//   sagas_->Work();                                                                    // in Start
//
//   co_await database.Write([&](sql::Transaction& transaction) -> Status {
//     STARLING_RETURN_IF_ERROR(transaction.Execute("INSERT INTO orders ..."));
//     return sagas.Start(transaction, "place_order", order_id, input);   // both, or neither
//   });
//   StatusOr<saga::Run> run = co_await sagas.Wait(order_id, std::chrono::seconds(2));
//
// Before an attempt its intent is durable, after it its outcome, in one write with the next
// intent: a saga of n steps costs n + 1 writes beside its start. A crash in between repeats the
// attempt with its idempotency key.
//
// Several processes may work on one database. Who works on a run holds its lease, which is renewed
// while it works; when it runs out, another takes over. Clocks must agree to a part of the lease;
// where they do not, an attempt may run twice at once, with one key.
//
// Errors are those of sql.h, and what the functions say. Thread-safe, but for Add and Work, which
// are for the start.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/saga/directory.h"
#include "platform/saga/machine.h"
#include "platform/saga/store.h"
#include "platform/storage/sql/sql.h"
#include "platform/telemetry/telemetry.h"

namespace starling::saga {

class Worker;

// Where a test may end the process.
enum class Point { kBeforeCall, kAfterCall, kAfterSave };

struct EngineOptions {
  size_t max_running = 64;     // attempts at once
  int64_t max_open = 100'000;  // runs that have not ended; beyond, Start is refused
  Duration lease = std::chrono::seconds(10);
  Duration poll = std::chrono::milliseconds(500);  // how often runs of others are looked for
  Duration keep = std::chrono::hours(24 * 7);      // of runs that have ended
  int64_t max_ended = 100'000;                     // of them
  int stuck_after = 20;  // attempts, after which a step that cannot turn back is an alarm
  uint64_t (*random)() = FastRandom;
  Directory* directory = nullptr;  // where it is listed, for pages; outlives it
  // For tests alone: called where a crash would be of interest.
  std::function<void(Point, std::string_view run_id)> at = {};
};

class Engine {
 public:
  using Options = EngineOptions;

  // `service` names itself to those it calls. Makes the tables when absent; all that it is given
  // must outlive it. Blocks.
  static StatusOr<std::unique_ptr<Engine>> Open(std::string service, sql::Database& database,
                                                Runtime& runtime, telemetry::Telemetry& telemetry,
                                                const Clock& clock, Options options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // INTERNAL when the definition is wrong or there twice.
  Status Add(Definition definition);

  // Starts working on runs, with what a crash left.
  void Work();
  // Ends the attempts: those that do not end within a second of being cancelled are given up, and
  // repeated at the next start. Takes 5 s at most. Never call it on an io thread.
  void Stop();

  // Starts a run in the caller's transaction, of the newest version that was added. `trace` is that
  // of the call it follows from.
  //   ALREADY_EXISTS   there is a run of this id, of whatever saga
  //   NOT_FOUND        no such saga was added
  //   INVALID_ARGUMENT the id or the input is none
  //   UNAVAILABLE      OVERLOADED: `max_open` runs are open
  Status Start(sql::Transaction& transaction, std::string_view saga, std::string_view id,
               State input, const telemetry::TraceContext& trace = {});

  // Turns a run back as soon as its attempt has ended. FAILED_PRECONDITION when it cannot turn back
  // any more; a pivot that is being tried may still succeed, and then the run goes on.
  Task<Status> Cancel(std::string id);

  // The run with its steps; NOT_FOUND when there is none, or when it is forgotten.
  Task<StatusOr<saga::Run>> Get(std::string id);
  // The same once it has ended, or after `limit` as it is then.
  Task<StatusOr<saga::Run>> Wait(std::string id, Duration limit);
  // Newest first, without steps and state.
  Task<StatusOr<std::vector<saga::Run>>> List(store::Filter filter);

  const std::string& service() const;
  // Names of the steps; empty when this process does not know the version.
  std::vector<std::string> StepsOf(std::string_view saga, int version) const;

 private:
  explicit Engine(std::shared_ptr<Worker> worker);
  const std::shared_ptr<Worker> worker_;
};

}  // namespace starling::saga
