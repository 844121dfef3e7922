#include "platform/saga/store.h"

#include <algorithm>

#include "embedded/saga_migrations.h"
#include "platform/storage/sql/migrations.h"

namespace starling::saga::store {
namespace {

constexpr char kMigrationsTable[] =
    "CREATE TABLE IF NOT EXISTS saga_migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT "
    "NOT NULL, checksum TEXT NOT NULL)";

constexpr std::string_view kRunColumns =
    "id, saga, version, phase, step, trace, code, message, cancelled, stuck, started_at, "
    "updated_at, ended_at, due_at";

int64_t Ns(TimePoint time) { return time.time_since_epoch().count(); }
TimePoint At(int64_t ns) { return TimePoint(Duration(ns)); }
std::optional<int64_t> NsUnless(bool absent, TimePoint time) {
  return absent ? std::nullopt : std::optional(Ns(time));
}

Run RunOf(const sql::Row& row) {
  Run run{.id = std::string(row.Text(0)),
          .saga = std::string(row.Text(1)),
          .version = static_cast<int>(row.Int(2)),
          .phase = static_cast<Phase>(row.Int(3)),
          .step = static_cast<int>(row.Int(4)),
          .trace = std::string(row.Text(5))};
  run.failure = Status(static_cast<StatusCode>(row.Int(6)), std::string(row.Text(7)));
  run.cancelled = row.Int(8) != 0;
  run.stuck = row.Int(9) != 0;
  run.started_at = At(row.Int(10));
  run.updated_at = At(row.Int(11));
  run.ended_at = At(row.Int(12));
  run.due_at = At(row.Int(13));
  return run;
}

StepRecord StepOf(const sql::Row& row) {
  StepRecord record{.step = static_cast<int>(row.Int(0)),
                    .compensation = row.Int(1) != 0,
                    .name = std::string(row.Text(2)),
                    .phase = static_cast<StepPhase>(row.Int(3)),
                    .attempts = static_cast<int>(row.Int(4)),
                    .refusals = static_cast<int>(row.Int(5)),
                    .uncertain = row.Int(6) != 0};
  record.started_at = At(row.Int(7));
  record.ended_at = At(row.Int(8));
  record.last = Status(static_cast<StatusCode>(row.Int(9)), std::string(row.Text(10)));
  return record;
}

Status SaveStep(sql::Transaction& transaction, const Run& run, const StepRecord& record) {
  return transaction.Execute(
      "INSERT INTO saga_steps (run_id, step, compensation, name, phase, attempts, refusals, "
      "uncertain, started_at, ended_at, code, message) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
      "ON CONFLICT (run_id, step, compensation) DO UPDATE SET phase = excluded.phase, "
      "attempts = excluded.attempts, refusals = excluded.refusals, "
      "uncertain = excluded.uncertain, started_at = excluded.started_at, "
      "ended_at = excluded.ended_at, code = excluded.code, message = excluded.message",
      run.id, record.step, record.compensation ? 1 : 0, record.name, static_cast<int>(record.phase),
      record.attempts, record.refusals, record.uncertain ? 1 : 0, Ns(record.started_at),
      Ns(record.ended_at), static_cast<int>(record.last.code()),
      std::string(record.last.message()));
}

// One statement a call: those of a script end with a semicolon at a line's end.
Status RunScript(sql::Transaction& transaction, std::string_view script) {
  while (true) {
    const size_t end = script.find(";\n");
    if (end == std::string_view::npos) return OkStatus();
    STARLING_RETURN_IF_ERROR(transaction.Execute(script.substr(0, end)));
    script.remove_prefix(end + 2);
  }
}

Status MigrateIn(sql::Transaction& transaction) {
  STARLING_RETURN_IF_ERROR(transaction.Execute(kMigrationsTable));
  STARLING_ASSIGN_OR_RETURN(const auto known, sql::ParseMigrations(kMigrations));
  STARLING_ASSIGN_OR_RETURN(
      const auto applied,
      transaction.QueryAll("SELECT version, name, checksum FROM saga_migrations ORDER BY version",
                           [](const sql::Row& row) {
                             return sql::AppliedMigration{row.Int(0), std::string(row.Text(1)),
                                                          std::string(row.Text(2))};
                           }));
  STARLING_ASSIGN_OR_RETURN(const auto missing,
                            sql::MissingMigrations(known, applied, "saga_migrations"));
  for (const sql::Migration& migration : missing) {
    STARLING_RETURN_IF_ERROR(RunScript(transaction, migration.sql));
    STARLING_RETURN_IF_ERROR(transaction.Execute("INSERT INTO saga_migrations VALUES (?1, ?2, ?3)",
                                                 migration.version, migration.name,
                                                 migration.checksum));
  }
  return OkStatus();
}

}  // namespace

Status Migrate(sql::Database& database) {
  Status status = database.WriteSync(MigrateIn);
  // Another process that starts may have made the tables at the same time; then they are there now.
  if (!status.ok()) status = database.WriteSync(MigrateIn);
  return Annotate(status, "the tables of sagas");
}

StatusOr<bool> Insert(sql::Transaction& transaction, const Run& run) {
  STARLING_RETURN_IF_ERROR(transaction.Execute(
      "INSERT INTO saga_runs (id, saga, version, phase, step, state, trace, code, message, "
      "cancelled, stuck, started_at, updated_at, ended_at, due_at, lease_owner, lease_until) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, '', 0, 0, ?8, ?8, NULL, ?8, '', 0) "
      "ON CONFLICT (id) DO NOTHING",
      run.id, run.saga, run.version, static_cast<int>(run.phase), run.step,
      sql::BlobView{run.state.bytes}, run.trace, Ns(run.started_at)));
  return transaction.changes() == 1;
}

StatusOr<std::vector<std::string>> Due(sql::Connection& connection, std::string_view saga,
                                       int version, TimePoint now, int64_t limit) {
  return connection.QueryAll(
      "SELECT id FROM saga_runs WHERE saga = ?1 AND version = ?2 AND due_at <= ?3 "
      "AND lease_until <= ?3 ORDER BY due_at LIMIT ?4",
      [](const sql::Row& row) { return std::string(row.Text(0)); }, saga, version, Ns(now), limit);
}

StatusOr<std::optional<Run>> Claim(sql::Transaction& transaction, std::string_view id,
                                   std::string_view owner, TimePoint now, TimePoint until) {
  STARLING_RETURN_IF_ERROR(
      transaction.Execute("UPDATE saga_runs SET lease_owner = ?2, lease_until = ?4 "
                          "WHERE id = ?1 AND due_at <= ?3 AND lease_until <= ?3",
                          id, owner, Ns(now), Ns(until)));
  if (transaction.changes() != 1) return std::nullopt;
  return Load(transaction, id);
}

StatusOr<bool> Holds(sql::Transaction& transaction, Run& run, std::string_view owner) {
  STARLING_ASSIGN_OR_RETURN(
      const std::optional<int64_t> cancelled,
      transaction.QueryOne(
          "SELECT cancelled FROM saga_runs WHERE id = ?1 AND lease_owner = ?2",
          [](const sql::Row& row) { return row.Int(0); }, run.id, owner));
  if (cancelled.has_value()) run.cancelled = *cancelled != 0;
  return cancelled.has_value();
}

Status Save(sql::Transaction& transaction, const Run& run, std::string_view owner,
            std::optional<TimePoint> until) {
  const bool ended = Ended(run.phase);
  STARLING_RETURN_IF_ERROR(transaction.Execute(
      "UPDATE saga_runs SET phase = ?3, step = ?4, state = ?5, code = ?6, message = ?7, "
      "stuck = ?8, updated_at = ?9, ended_at = ?10, due_at = ?11, lease_owner = ?12, "
      "lease_until = ?13 WHERE id = ?1 AND lease_owner = ?2",
      run.id, owner, static_cast<int>(run.phase), run.step, sql::BlobView{run.state.bytes},
      static_cast<int>(run.failure.code()), std::string(run.failure.message()), run.stuck ? 1 : 0,
      Ns(run.updated_at), NsUnless(!ended, run.ended_at), NsUnless(ended, run.due_at),
      until.has_value() ? owner : std::string_view(), until.has_value() ? Ns(*until) : 0));
  if (transaction.changes() != 1) {
    return Aborted("another process has taken run '{}' over", run.id);
  }
  for (const StepRecord& record : run.steps) {
    STARLING_RETURN_IF_ERROR(SaveStep(transaction, run, record));
  }
  return OkStatus();
}

Status Renew(sql::Transaction& transaction, const std::vector<std::string>& ids,
             std::string_view owner, TimePoint until) {
  for (const std::string& id : ids) {
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "UPDATE saga_runs SET lease_until = ?3 WHERE id = ?1 AND lease_owner = ?2", id, owner,
        Ns(until)));
  }
  return OkStatus();
}

Status RequestCancel(sql::Transaction& transaction, std::string_view id, TimePoint now) {
  return transaction.Execute(
      "UPDATE saga_runs SET cancelled = 1, due_at = ?2 WHERE id = ?1 AND due_at IS NOT NULL", id,
      Ns(now));
}

StatusOr<std::optional<Run>> Load(sql::Connection& connection, std::string_view id) {
  STARLING_ASSIGN_OR_RETURN(
      std::optional<Run> run,
      connection.QueryOne(
          fmt::format("SELECT {}, state FROM saga_runs WHERE id = ?1", kRunColumns),
          [](const sql::Row& row) {
            Run run = RunOf(row);
            run.state.bytes = std::string(row.Bytes(14));
            return run;
          },
          id));
  if (!run.has_value()) return run;
  STARLING_ASSIGN_OR_RETURN(
      run->steps, connection.QueryAll(
                      "SELECT step, compensation, name, phase, attempts, refusals, uncertain, "
                      "started_at, ended_at, code, message FROM saga_steps WHERE run_id = ?1 "
                      "ORDER BY compensation, CASE WHEN compensation = 1 THEN -step ELSE step END",
                      StepOf, id));
  return run;
}

StatusOr<std::vector<Run>> List(sql::Connection& connection, const Filter& filter) {
  const int phase = filter.phase.has_value() ? static_cast<int>(*filter.phase) : -1;
  return connection.QueryAll(
      fmt::format(
          "SELECT {} FROM saga_runs WHERE (?1 = '' OR saga = ?1) AND (?2 < 0 OR phase = ?2) "
          "AND stuck >= ?3 ORDER BY started_at DESC LIMIT ?4",
          kRunColumns),
      RunOf, filter.saga, phase, filter.stuck ? 1 : 0, filter.limit);
}

StatusOr<std::vector<OpenRuns>> CountOpen(sql::Connection& connection) {
  return connection.QueryAll(
      "SELECT saga, version, COUNT(*), CAST(SUM(stuck) AS BIGINT) FROM saga_runs WHERE due_at IS "
      "NOT NULL "
      "GROUP BY saga, version ORDER BY saga, version",
      [](const sql::Row& row) {
        return OpenRuns{std::string(row.Text(0)), static_cast<int>(row.Int(1)), row.Int(2),
                        row.Int(3)};
      });
}

StatusOr<int64_t> Prune(sql::Transaction& transaction, TimePoint before, int64_t most,
                        int64_t batch) {
  // What is at place `most`, counted from the newest, and all older ones.
  STARLING_ASSIGN_OR_RETURN(const std::optional<int64_t> beyond,
                            transaction.QueryOne(
                                "SELECT ended_at FROM saga_runs WHERE ended_at IS NOT NULL "
                                "ORDER BY ended_at DESC LIMIT 1 OFFSET ?1",
                                [](const sql::Row& row) { return row.Int(0); }, most));
  const int64_t until = std::max(Ns(before), beyond.value_or(0));
  STARLING_ASSIGN_OR_RETURN(
      const std::vector<std::string> ids,
      transaction.QueryAll(
          "SELECT id FROM saga_runs WHERE ended_at <= ?1 ORDER BY ended_at "
          "LIMIT ?2",
          [](const sql::Row& row) { return std::string(row.Text(0)); }, until, batch));
  for (const std::string& id : ids) {
    STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM saga_steps WHERE run_id = ?1", id));
    STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM saga_runs WHERE id = ?1", id));
  }
  return static_cast<int64_t>(ids.size());
}

}  // namespace starling::saga::store
