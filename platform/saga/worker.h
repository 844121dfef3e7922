// Works on runs: finds those that are due, takes their leases, drives each in a coroutine of its
// own. What engine.h promises is kept here.
//
// One loop renews leases, does the upkeep and claims; it sleeps until a run is due, is started or
// has ended, and at most `poll`. Drives and the loop share the worker, which outlives the engine
// until they have ended.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "platform/saga/attempt.h"
#include "platform/saga/engine.h"
#include "platform/saga/saga_metrics.h"

namespace starling::saga {

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  Worker(std::string service, sql::Database& database, Runtime& runtime,
         telemetry::Telemetry& telemetry, const Clock& clock, EngineOptions options);

  Status Add(Definition definition);
  // nullptr when there is none.
  std::shared_ptr<const Definition> Newest(std::string_view saga) const;
  std::shared_ptr<const Definition> Find(std::string_view saga, int version) const;

  void Start();
  void Stop();
  void Wake();
  // A run was started, once its transaction is durable.
  void Started(std::string_view saga);

  const std::string& service() const { return service_; }
  sql::Database& database() { return database_; }
  const Clock& clock() const { return clock_; }
  const EngineOptions& options() const { return options_; }
  int64_t open() const { return open_; }

 private:
  struct Work {
    Run run;
    std::shared_ptr<const Definition> definition;
    Next next = Next::kEnd;
    Phase was = Phase::kForward;  // before the last step of it
    bool was_stuck = false;
  };

  Machine MachineOf(const Definition& definition, Run& run) const {
    return Machine(definition, run,
                   {.stuck_after = options_.stuck_after, .random = options_.random});
  }
  void At(Point point, const Run& run) const {
    if (options_.at) options_.at(point, run.id);
  }

  Task<void> Loop();
  Task<void> Renew();
  Task<void> Upkeep();
  // Whether there may be more.
  Task<bool> ClaimDue();
  Task<void> Sleep();

  StatusOr<std::vector<std::string>> Due(sql::Connection& connection, size_t limit);
  StatusOr<std::vector<Work>> Claim(sql::Transaction& transaction,
                                    const std::vector<std::string>& ids);
  Task<void> Drive(Work work);
  Task<Status> Try(const Work& work, State& state);
  // Writes the outcome and the intent of what comes next.
  StatusOr<Work> Record(sql::Transaction& transaction, const Work& before, const Status& outcome,
                        const State& state);
  // Stores what was decided; the lease is kept when an attempt follows.
  Status Store(sql::Transaction& transaction, Work& work);
  // After the commit: metrics, log, alarm.
  void Tell(const Work& work);
  void Release(const std::string& id);
  bool stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  const std::string service_;
  const std::string owner_;  // names this worker in leases
  sql::Database& database_;
  Runtime& runtime_;
  telemetry::Telemetry& telemetry_;
  const Clock& clock_;
  const EngineOptions options_;
  SagaMetrics metrics_;
  std::map<std::pair<std::string, int>, std::shared_ptr<const Definition>, std::less<>>
      definitions_;
  std::atomic<int64_t> open_{0};

  const Executor executor_;  // the loop's
  boost::asio::steady_timer timer_;
  std::atomic<bool> woken_{true};
  Instant renew_at_{}, upkeep_at_{};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false;
  bool stopping_ = false;
  bool loop_ended_ = false;
  std::map<std::string, std::shared_ptr<Attempt>> held_;  // by run; nullptr between attempts
  std::multiset<TimePoint> due_;                          // of runs that wait
};

}  // namespace starling::saga
