#include "apps/starling/import/ledger.h"

#include "apps/starling/import/plain_files.h"
#include "embedded/import_migrations.h"
#include "platform/base/hash.h"
#include "platform/config/sources.h"

namespace starling::import {
namespace {

using tabular::Fault;

constexpr std::pair<std::string_view, int64_t Written::*> kWritten[] = {
    {"products created", &Written::products_created},
    {"products updated", &Written::products_updated},
    {"products unchanged", &Written::products_unchanged},
    {"users", &Written::users},
    {"events", &Written::events}};

Fault FaultOf(std::string_view name) {
  for (size_t i = 0; i < tabular::kFaultCount; ++i) {
    if (FaultName(static_cast<Fault>(i)) == name) return static_cast<Fault>(i);
  }
  return Fault::kValue;  // of another version, which called it otherwise
}

}  // namespace

StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return FailedPrecondition("{} cannot be made: {}; choose another with --data", folder.string(),
                              error.message());
  STARLING_ASSIGN_OR_RETURN(auto database,
                            sql::Database::Open({.path = folder / "import.sqlite"}, kMigrations));
  return std::unique_ptr<Ledger>(new Ledger(std::move(database)));
}

StatusOr<Ledger::Entry> Ledger::Find(const std::string& key) {
  Entry entry;
  const auto imports = [&](const sql::Row& row) {
    entry.stage = row.Text(0);
    entry.position = row.Text(1);
    entry.done = row.Int(2) != 0;
    entry.told.rejects.bytes = row.Int(3);
    entry.told.rejects.rows = row.Int(4);
    entry.told.rejects.checksum = static_cast<uint32_t>(row.Int(5));
  };
  const auto faults = [&](const sql::Row& row) {
    entry.told.rejects.summary.Add({.source = std::string(row.Text(2)),
                                    .number = row.Int(3),
                                    .line = row.Int(4),
                                    .column = std::string(row.Text(5)),
                                    .byte = row.Int(6),
                                    .value = std::string(row.Text(7)),
                                    .fault = FaultOf(row.Text(0)),
                                    .reason = std::string(row.Text(8))},
                                   row.Int(1));
  };
  const auto counts = [&](const sql::Row& row) {
    if (row.Text(0) == "found") entry.told.findings[std::string(row.Text(1))] = row.Int(2);
    if (row.Text(0) != "written") return;
    for (const auto& [what, field] : kWritten)
      if (row.Text(1) == what) entry.written.*field = row.Int(2);
  };
  STARLING_RETURN_IF_ERROR(database_->ReadSync([&](sql::Connection& connection) -> Status {
    STARLING_RETURN_IF_ERROR(connection.Query(
        "SELECT stage, position, done, reject_bytes, reject_rows, reject_checksum FROM imports "
        "WHERE key = ?1",
        imports, key));
    STARLING_RETURN_IF_ERROR(connection.Query(
        "SELECT fault, count, source, number, line, column_name, byte, value, reason "
        "FROM import_faults WHERE key = ?1",
        faults, key));
    return connection.Query("SELECT kind, what, count FROM import_counts WHERE key = ?1", counts,
                            key);
  }));
  return entry;
}

Status Ledger::Put(const std::string& key, const Entry& entry) {
  const tabular::RejectMark& rejects = entry.told.rejects;
  return database_->WriteSync([&](sql::Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO imports (key, stage, position, done, reject_bytes, reject_rows, "
        "reject_checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE SET "
        "stage = excluded.stage, position = excluded.position, done = excluded.done, "
        "reject_bytes = excluded.reject_bytes, reject_rows = excluded.reject_rows, "
        "reject_checksum = excluded.reject_checksum",
        key, entry.stage, entry.position, entry.done ? 1 : 0, rejects.bytes, rejects.rows,
        static_cast<int64_t>(rejects.checksum)));
    STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM import_faults WHERE key = ?1", key));
    STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM import_counts WHERE key = ?1", key));
    for (size_t i = 0; i < tabular::kFaultCount; ++i) {
      const auto fault = static_cast<Fault>(i);
      const tabular::BadRow& first = rejects.summary.first(fault);
      if (rejects.summary.count(fault) == 0) continue;
      STARLING_RETURN_IF_ERROR(transaction.Execute(
          "INSERT INTO import_faults (key, fault, count, source, number, line, column_name, byte, "
          "value, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
          key, FaultName(fault), rejects.summary.count(fault), first.source, first.number,
          first.line, first.column, first.byte, first.value, first.reason));
    }
    const auto count = [&](std::string_view kind, std::string_view what, int64_t number) {
      return transaction.Execute(
          "INSERT INTO import_counts (key, kind, what, count) VALUES (?1, ?2, ?3, ?4)", key, kind,
          what, number);
    };
    for (const auto& [what, number] : entry.told.findings)
      STARLING_RETURN_IF_ERROR(count("found", what, number));
    for (const auto& [what, field] : kWritten)
      STARLING_RETURN_IF_ERROR(count("written", what, entry.written.*field));
    return OkStatus();
  });
}

StatusOr<std::string> Ledger::KeyOf(const std::string& kind, const std::string& location,
                                    const std::string& mapping_file) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(location, error);
  if (error) return NotFound("{} cannot be read: {}", location, error.message());
  std::string key = kind + " " + path.filename().string();
  if (!mapping_file.empty()) {
    // By what it says and not by its time: a mapping that is fetched anew is the same one.
    STARLING_ASSIGN_OR_RETURN(const std::string mapping,
                              config::ReadSmallFile(mapping_file, kMaxMappingFile));
    key += fmt::format(" mapping {}/{:016x}", mapping.size(), Hash64(mapping));
  }
  const auto add = [&](const std::filesystem::path& file) {
    key += fmt::format(" {}/{}", std::filesystem::file_size(file, error),
                       std::filesystem::last_write_time(file, error).time_since_epoch().count());
  };
  if (!std::filesystem::is_directory(path, error)) {
    add(path);
    return key;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.is_regular_file(error)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) add(file);
  return key;
}

}  // namespace starling::import
