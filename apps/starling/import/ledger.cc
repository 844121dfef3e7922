#include "apps/starling/import/ledger.h"

#include "embedded/import_migrations.h"

namespace starling::import {

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
  STARLING_RETURN_IF_ERROR(database_->ReadSync([&](sql::Connection& connection) {
    return connection.Query(
        "SELECT stage, position, done FROM imports WHERE key = ?1",
        [&](const sql::Row& row) {
          entry = {std::string(row.Text(0)), std::string(row.Text(1)), row.Int(2) != 0};
        },
        key);
  }));
  return entry;
}

Status Ledger::Put(const std::string& key, const Entry& entry) {
  return database_->WriteSync([&](sql::Transaction& transaction) {
    return transaction.Execute(
        "INSERT INTO imports (key, stage, position, done) VALUES (?1, ?2, ?3, ?4) ON CONFLICT "
        "(key) "
        "DO UPDATE SET stage = excluded.stage, position = excluded.position, done = excluded.done",
        key, entry.stage, entry.position, entry.done ? 1 : 0);
  });
}

StatusOr<std::string> Ledger::KeyOf(const std::string& kind, const std::string& location) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(location, error);
  if (error) return NotFound("{} cannot be read: {}", location, error.message());
  std::string key = kind + " " + path.filename().string();
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
