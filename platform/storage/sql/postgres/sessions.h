// The connections of one database: as many as threads use at once, opened when needed, kept after.
//
//   STARLING_ASSIGN_OR_RETURN(Sessions::Lease lease, sessions.Take());
//   lease->Begin(...);                     // goes back, or is closed when lost, with the lease
//
// While the server cannot be reached one call in a while tries, after 50 ms, then twice as long up
// to 2 s; the others hear at once what that one heard. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "platform/storage/sql/postgres/session.h"

namespace starling::sql {

class Sessions {
 public:
  class Lease {
   public:
    Lease(Sessions& from, std::unique_ptr<PostgresSession> session)
        : from_(&from), session_(std::move(session)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (session_ != nullptr) from_->Give(std::move(session_));
    }
    PostgresSession* operator->() const { return session_.get(); }
    PostgresSession& operator*() const { return *session_; }

   private:
    Sessions* from_;
    std::unique_ptr<PostgresSession> session_;
  };

  Sessions(Target target, const Options& options) : target_(std::move(target)), options_(options) {}
  // Blocks where a connection has to be made. UNAVAILABLE names host and port.
  StatusOr<Lease> Take();
  const Target& target() const { return target_; }

 private:
  void Give(std::unique_ptr<PostgresSession> session);
  std::unique_ptr<PostgresSession> TakeIdle();
  StatusOr<std::unique_ptr<PostgresSession>> Connect();

  const Target target_;
  const Options options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PostgresSession>> idle_;
  Duration pause_{0};  // after the last attempt, which failed
  Instant next_try_{};
  Status last_error_;
};

}  // namespace starling::sql
