// Runs in the service's own database: tables saga_runs, saga_steps and saga_migrations. The SQL is
// what SQLite and PostgreSQL share.
//
// Who works on a run holds its lease: `owner` until a time, in one row with the run. Every write
// about the run asks for it, so one whose lease went to another changes nothing.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "platform/saga/run.h"
#include "platform/storage/sql/sql.h"

namespace starling::saga::store {

// Brings the tables up to date. Blocks.
Status Migrate(sql::Database& database);

// False when the id is taken.
StatusOr<bool> Insert(sql::Transaction& transaction, const Run& run);

// Ids of runs that are due and that nobody holds, the longest due first.
StatusOr<std::vector<std::string>> Due(sql::Connection& connection, std::string_view saga,
                                       int version, TimePoint now, int64_t limit);
// Takes the lease and gives the run; nullopt when it is not to be had.
StatusOr<std::optional<Run>> Claim(sql::Transaction& transaction, std::string_view id,
                                   std::string_view owner, TimePoint now, TimePoint until);
// Whether `owner` holds the run still; then also whether its cancellation was asked for.
StatusOr<bool> Holds(sql::Transaction& transaction, Run& run, std::string_view owner);
// Writes the run, of which `owner` must hold the lease, and either keeps it until then or, with
// nullopt, gives it back.
Status Save(sql::Transaction& transaction, const Run& run, std::string_view owner,
            std::optional<TimePoint> until);
// Keeps those of `ids` that `owner` still holds.
Status Renew(sql::Transaction& transaction, const std::vector<std::string>& ids,
             std::string_view owner, TimePoint until);
// Asks an open run to turn back.
Status RequestCancel(sql::Transaction& transaction, std::string_view id, TimePoint now);

// With its steps; nullopt when there is none.
StatusOr<std::optional<Run>> Load(sql::Connection& connection, std::string_view id);

struct Filter {
  std::string saga;            // "" for all
  std::optional<Phase> phase;  // none for all
  bool stuck = false;          // those alone
  int64_t limit = 100;
};
// Newest first, without steps and state.
StatusOr<std::vector<Run>> List(sql::Connection& connection, const Filter& filter);

struct OpenRuns {
  std::string saga;
  int version = 0;
  int64_t open = 0;
  int64_t stuck = 0;
};
StatusOr<std::vector<OpenRuns>> CountOpen(sql::Connection& connection);

// Forgets runs that ended before `before`, and the oldest beyond `most`, at most `batch` of them;
// how many it were.
StatusOr<int64_t> Prune(sql::Transaction& transaction, TimePoint before, int64_t most,
                        int64_t batch);

}  // namespace starling::saga::store
