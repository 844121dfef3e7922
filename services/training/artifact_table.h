// Artefacts in the database that all instances share: who has no file of a version takes it from
// here. Within services/training only.
//
//   STARLING_RETURN_IF_ERROR(StoreArtifact(transaction, "recommender", 7, bytes));
//   STARLING_ASSIGN_OR_RETURN(const auto bytes, FindArtifact(connection, "recommender", 7));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/storage/sql/sql.h"

namespace starling::training {

Status StoreArtifact(sql::Transaction& transaction, std::string_view model, int64_t version,
                     std::string_view bytes);
// nullopt when it was never stored.
StatusOr<std::optional<std::string>> FindArtifact(sql::Connection& connection,
                                                  std::string_view model, int64_t version);
StatusOr<bool> HasArtifact(sql::Connection& connection, std::string_view model, int64_t version);
Status RemoveArtifact(sql::Transaction& transaction, std::string_view model, int64_t version);

}  // namespace starling::training
