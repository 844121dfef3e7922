#include "platform/storage/vector/pgvector/extension.h"

#include <charconv>

namespace starling::vector {
namespace {

struct Installed {
  std::string version;
  std::string schema;
};

StatusOr<std::optional<Installed>> FindInstalled(sql::Connection& connection) {
  return connection.QueryOne(
      "SELECT e.extversion::text, quote_ident(n.nspname) FROM pg_extension e"
      " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'",
      [](const sql::Row& row) {
        return Installed{std::string(row.Text(0)), std::string(row.Text(1))};
      });
}

std::string_view Sign(Metric metric) {
  switch (metric) {
    case Metric::kInnerProduct:
      return "<#>";
    case Metric::kCosine:
      return "<=>";
    case Metric::kL2:
      break;
  }
  return "<->";
}

std::string_view Operators(Metric metric) {
  switch (metric) {
    case Metric::kInnerProduct:
      return "vector_ip_ops";
    case Metric::kCosine:
      return "vector_cosine_ops";
    case Metric::kL2:
      break;
  }
  return "vector_l2_ops";
}

// Several processes may start at once: who comes second finds it there.
Status Make(sql::Database& database) {
  STARLING_ASSIGN_OR_RETURN(
      const std::optional<std::string> available,
      database.ReadSync([](sql::Connection& connection) {
        return connection.QueryOne(
            "SELECT default_version::text FROM pg_available_extensions WHERE name = 'vector'",
            [](const sql::Row& row) { return std::string(row.Text(0)); });
      }));
  if (!available.has_value()) {
    return FailedPrecondition(
        "the PostgreSQL server has no pgvector: install it there (Debian: "
        "postgresql-<version>-pgvector), or set storage.vector.engine to embedded");
  }
  if (!IsNewEnough(*available)) {
    return FailedPrecondition(
        "the PostgreSQL server has pgvector {}, and HNSW came with 0.5.0: install a newer one "
        "there, or set storage.vector.engine to embedded",
        *available);
  }
  const Status made = database.WriteSync([](sql::Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "SELECT pg_advisory_xact_lock(hashtext('starling extension vector'))::text"));
    return transaction.Execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public");
  });
  if (made.ok() || made.code() == StatusCode::kUnavailable) return made;
  return FailedPrecondition(
      "the database has not the extension vector, and this user may not make it: run "
      "CREATE EXTENSION vector; there as an administrator (the server says: {})",
      std::string(made.message()));
}

}  // namespace

std::string Extension::Type(size_t dimension) const {
  return fmt::format("{}.vector({})", schema, dimension);
}
std::string Extension::Operator(Metric metric) const {
  return fmt::format("OPERATOR({}.{})", schema, Sign(metric));
}
std::string Extension::OperatorClass(Metric metric) const {
  return fmt::format("{}.{}", schema, Operators(metric));
}

bool IsNewEnough(std::string_view version) {
  int parts[2] = {0, 0};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (int& part : parts) {
    at = std::from_chars(at, end, part).ptr;
    if (at != end) ++at;  // the dot
  }
  return parts[0] > 0 || parts[1] >= 5;
}

StatusOr<Extension> PrepareExtension(sql::Database& database) {
  const auto find = [&] {
    return database.ReadSync([](sql::Connection& connection) { return FindInstalled(connection); });
  };
  STARLING_ASSIGN_OR_RETURN(std::optional<Installed> installed, find());
  if (!installed.has_value()) {
    STARLING_RETURN_IF_ERROR(Make(database));
    STARLING_ASSIGN_OR_RETURN(installed, find());
    if (!installed.has_value()) return Internal("the extension vector was made and is not there");
  }
  if (!IsNewEnough(installed->version)) {
    return FailedPrecondition(
        "the database has pgvector {}, and HNSW came with 0.5.0: install a newer one on the server "
        "and run ALTER EXTENSION vector UPDATE; there",
        installed->version);
  }
  return Extension{installed->schema};
}

}  // namespace starling::vector
