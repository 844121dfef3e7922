#include "platform/storage/sql/migrations.h"

#include <algorithm>

#include "platform/base/clock.h"
#include "platform/base/hash.h"

namespace starling::sql {
namespace {

constexpr size_t kDigits = 4;
constexpr std::string_view kExtension = ".sql";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameCharacter(char c) { return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '_'; }

StatusOr<Migration> Parse(const EmbeddedFile& file) {
  std::string_view name = file.name;
  const bool well_formed =
      name.size() > kDigits + 1 + kExtension.size() && name.ends_with(kExtension) &&
      std::all_of(name.begin(), name.begin() + kDigits, IsDigit) && name[kDigits] == '_';
  if (well_formed) {
    name.remove_suffix(kExtension.size());
    int64_t version = 0;
    for (size_t i = 0; i < kDigits; ++i) version = version * 10 + (name[i] - '0');
    name.remove_prefix(kDigits + 1);
    if (std::all_of(name.begin(), name.end(), IsNameCharacter)) {
      return Migration{version, std::string(name), fmt::format("{:016x}", Hash64(file.content)),
                       file.content};
    }
  }
  return Internal(
      "migration file '{}' must be named <4 digits>_<lower_case_name>.sql, such as "
      "0001_products.sql",
      file.name);
}

}  // namespace

StatusOr<std::vector<Migration>> ParseMigrations(std::span<const EmbeddedFile> files) {
  std::vector<Migration> migrations;
  for (const EmbeddedFile& file : files) {
    STARLING_ASSIGN_OR_RETURN(Migration migration, Parse(file));
    const int64_t expected = static_cast<int64_t>(migrations.size()) + 1;
    if (migration.version != expected) {
      return Internal(
          "migration file '{}' has number {}, but number {:04} is next: number the files from 0001 "
          "without a gap and list them in order",
          file.name, migration.version, expected);
    }
    migrations.push_back(std::move(migration));
  }
  return migrations;
}

StatusOr<std::span<const Migration>> MissingMigrations(std::span<const Migration> known,
                                                       std::span<const AppliedMigration> applied,
                                                       std::string_view database) {
  for (size_t i = 0; i < applied.size(); ++i) {
    const AppliedMigration& was = applied[i];
    if (was.version != static_cast<int64_t>(i) + 1) {
      return FailedPrecondition(
          "database '{}' lacks migration {:04} although {:04}_{} is applied: its table "
          "schema_migrations was edited; restore the database from a backup",
          database, i + 1, was.version, was.name);
    }
    if (i >= known.size()) {
      return FailedPrecondition(
          "database '{}' is newer than this program: it has migration {:04}_{}, this program "
          "knows {} migrations; run the program's newer version, or restore the backup that "
          "was made before the upgrade",
          database, was.version, was.name, known.size());
    }
    if (was.checksum != known[i].checksum) {
      return FailedPrecondition(
          "migration {:04}_{} of database '{}' was changed after it was applied (checksum {} "
          "then, {} now): undo the change of the file and put it into a new migration",
          was.version, was.name, database, was.checksum, known[i].checksum);
    }
  }
  return known.subspan(applied.size());
}

StatusOr<std::vector<AppliedMigration>> Applied(Connection& connection) {
  return connection.QueryAll(
      "SELECT version, name, checksum FROM schema_migrations ORDER BY version", [](const Row& row) {
        return AppliedMigration{row.Int(0), std::string(row.Text(1)), std::string(row.Text(2))};
      });
}

Status Record(Connection& connection, const Migration& migration) {
  return connection.Execute(
      "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
      migration.version, migration.name, migration.checksum, FormatRfc3339(SystemClock().Now()));
}

}  // namespace starling::sql
