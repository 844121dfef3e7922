// What users did, in the table `history`: the newest 500 of each user. Within services/profile
// only.
//
//   STARLING_ASSIGN_OR_RETURN(const auto taken, Taken(delivered));
//   STARLING_ASSIGN_OR_RETURN(const auto added, WriteHistory(transaction, taken));
//   STARLING_ASSIGN_OR_RETURN(const auto newest, ReadHistory(connection, "ada", nullptr, 50));
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "contracts/profile/v1/profile.pb.h"
#include "platform/messaging/event_log.h"
#include "platform/storage/sql/sql.h"

namespace starling::profile {

inline constexpr int kHistory = 500;

// The events of users with products, without impressions. INVALID_ARGUMENT names one that is none.
StatusOr<std::vector<ingestion::v1::UserEvent>> Taken(std::span<const messaging::Delivered> events);
v1::Interaction InteractionOf(const ingestion::v1::UserEvent& event);

// Those that are new and of no forgotten time; they point into `taken`.
StatusOr<std::vector<const ingestion::v1::UserEvent*>> WriteHistory(
    sql::Transaction& transaction, const std::vector<ingestion::v1::UserEvent>& taken);

// The newest `limit` of what the user did after `*after` (nullptr: ever), newest first.
StatusOr<v1::GetHistoryResponse> ReadHistory(sql::Connection& connection,
                                             const std::string& user_id,
                                             const google::protobuf::Timestamp* after, int limit);
// When the user was forgotten, in nanoseconds since 1970; 0: never.
StatusOr<int64_t> ForgottenAt(sql::Connection& connection, std::string_view user_id);

}  // namespace starling::profile
