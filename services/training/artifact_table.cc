#include "services/training/artifact_table.h"

namespace starling::training {
namespace {

constexpr size_t kPart = 1 << 20;

}  // namespace

Status StoreArtifact(sql::Transaction& transaction, std::string_view model, int64_t version,
                     std::string_view bytes) {
  STARLING_RETURN_IF_ERROR(RemoveArtifact(transaction, model, version));
  int64_t part = 0;
  for (size_t at = 0; at < bytes.size(); at += kPart) {
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO artifacts (model, version, part, data) VALUES (?1, ?2, ?3, ?4)", model,
        version, part++, sql::BlobView{bytes.substr(at, kPart)}));
  }
  return OkStatus();
}

StatusOr<std::optional<std::string>> FindArtifact(sql::Connection& connection,
                                                  std::string_view model, int64_t version) {
  std::optional<std::string> bytes;
  STARLING_RETURN_IF_ERROR(connection.Query(
      "SELECT data FROM artifacts WHERE model = ?1 AND version = ?2 ORDER BY part",
      [&](const sql::Row& row) {
        if (!bytes) bytes.emplace();
        *bytes += row.Bytes(0);
      },
      model, version));
  return bytes;
}

StatusOr<bool> HasArtifact(sql::Connection& connection, std::string_view model, int64_t version) {
  STARLING_ASSIGN_OR_RETURN(
      const std::optional<int64_t> part,
      connection.QueryOne(
          "SELECT part FROM artifacts WHERE model = ?1 AND version = ?2 LIMIT 1",
          [](const sql::Row& row) { return row.Int(0); }, model, version));
  return part.has_value();
}

Status RemoveArtifact(sql::Transaction& transaction, std::string_view model, int64_t version) {
  return transaction.Execute("DELETE FROM artifacts WHERE model = ?1 AND version = ?2", model,
                             version);
}

}  // namespace starling::training
