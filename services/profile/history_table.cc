#include "services/profile/history_table.h"

#include <limits>
#include <unordered_set>

#include "platform/base/id.h"

namespace starling::profile {
namespace {

constexpr uint64_t kTrimEvery = 32;
constexpr int kMostTrimmed = 1'000'000;

int64_t Nanoseconds(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000'000 + time.nanos();
}

}  // namespace

StatusOr<v1::GetHistoryResponse> ReadHistory(sql::Connection& connection,
                                             const std::string& user_id,
                                             const google::protobuf::Timestamp* after, int limit) {
  v1::GetHistoryResponse response;
  STARLING_RETURN_IF_ERROR(connection.Query(
      "SELECT event_id, type, product_id, occurred_at, quantity FROM history WHERE user_id = ?1 "
      "AND occurred_at > ?3 ORDER BY occurred_at DESC, event_id DESC LIMIT ?2",
      [&](const sql::Row& row) {
        v1::Interaction& interaction = *response.add_interactions();
        interaction.set_event_id(std::string(row.Text(0)));
        interaction.set_type(std::string(row.Text(1)));
        interaction.set_product_id(std::string(row.Text(2)));
        interaction.mutable_occurred_at()->set_seconds(row.Int(3) / 1'000'000'000);
        interaction.mutable_occurred_at()->set_nanos(
            static_cast<int32_t>(row.Int(3) % 1'000'000'000));
        interaction.set_quantity(row.Real(4));
      },
      user_id, limit,
      after == nullptr ? std::numeric_limits<int64_t>::min() : Nanoseconds(*after)));
  return response;
}

StatusOr<int64_t> ForgottenAt(sql::Connection& connection, std::string_view user_id) {
  STARLING_ASSIGN_OR_RETURN(const std::optional<int64_t> when,
                            connection.QueryOne(
                                "SELECT forgotten_at FROM forgotten WHERE user_id = ?1",
                                [](const sql::Row& row) { return row.Int(0); }, user_id));
  return when.value_or(0);
}

StatusOr<std::vector<ingestion::v1::UserEvent>> Taken(
    std::span<const messaging::Delivered> events) {
  std::vector<ingestion::v1::UserEvent> taken;
  taken.reserve(events.size());
  for (const messaging::Delivered& delivered : events) {
    if (delivered.event.type != "starling.user.event.v1") continue;
    ingestion::v1::UserEvent& event = taken.emplace_back();
    if (!event.ParseFromString(delivered.event.data))
      return InvalidArgument("event '{}' is no UserEvent", delivered.event.id);
    if (event.user_id().empty() || event.type() == "impression") taken.pop_back();
  }
  return taken;
}

v1::Interaction InteractionOf(const ingestion::v1::UserEvent& event) {
  v1::Interaction interaction;
  interaction.set_event_id(event.event_id());
  interaction.set_type(event.type());
  interaction.set_product_id(event.product_id());
  *interaction.mutable_occurred_at() = event.occurred_at();
  interaction.set_quantity(event.quantity());
  return interaction;
}

StatusOr<std::vector<const ingestion::v1::UserEvent*>> WriteHistory(
    sql::Transaction& transaction, const std::vector<ingestion::v1::UserEvent>& taken) {
  std::vector<int64_t> written(taken.size());
  for (size_t i = 0; i < taken.size(); ++i) {
    const ingestion::v1::UserEvent& event = taken[i];
    STARLING_RETURN_IF_ERROR(transaction.PostCounted(
        written[i],
        "INSERT INTO history (user_id, event_id, type, product_id, occurred_at, quantity) "
        "SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE user_id = "
        "?1 AND forgotten_at >= ?5) ON CONFLICT (event_id) DO NOTHING",
        event.user_id(), event.event_id(), event.type(), event.product_id(),
        Nanoseconds(event.occurred_at()), event.quantity()));
  }
  STARLING_RETURN_IF_ERROR(transaction.Settle());
  std::vector<const ingestion::v1::UserEvent*> added;
  for (size_t i = 0; i < taken.size(); ++i) {
    if (written[i] > 0) added.push_back(&taken[i]);
  }
  // Finding what is too old walks over what is kept, so it is done after one event in kTrimEvery:
  // a few more than kHistory stay for a while. Drawn, since what a sender can foresee it can
  // avoid.
  std::unordered_set<std::string_view> trimmed;
  for (const ingestion::v1::UserEvent* event : added) {
    if (FastRandom() % kTrimEvery != 0 || !trimmed.insert(event->user_id()).second) continue;
    STARLING_RETURN_IF_ERROR(transaction.Post(
        "DELETE FROM history WHERE sequence IN (SELECT sequence FROM history WHERE user_id = ?1 "
        "ORDER BY occurred_at DESC, event_id DESC LIMIT ?3 OFFSET ?2)",
        event->user_id(), kHistory, kMostTrimmed));
  }
  return added;
}

}  // namespace starling::profile
