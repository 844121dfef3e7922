#include "services/features/user_events.h"

#include <cmath>
#include <limits>

#include "platform/base/hash.h"

namespace starling::features {
namespace {

constexpr size_t kMaxId = 1'024;
constexpr int64_t kLastSecond = std::numeric_limits<uint32_t>::max();  // in the year 2106

Status Check(const ingestion::v1::UserEvent& event) {
  for (const auto& [field, value] :
       {std::pair<const char*, std::string_view>{"user_id", event.user_id()},
        {"product_id", event.product_id()}}) {
    if (value.size() > kMaxId)
      return InvalidField(field, "has {} bytes; at most {} are taken", value.size(), kMaxId);
  }
  const int64_t seconds = event.occurred_at().seconds();
  if (seconds < 0 || seconds > kLastSecond) {
    return InvalidField("occurred_at", "{} s since 1970 is not within the years 1970 to 2105",
                        seconds);
  }
  for (const auto& [field, value] :
       {std::pair<const char*, double>{"quantity", event.quantity()}, {"price", event.price()}}) {
    if (!std::isfinite(value) || value < 0)
      return InvalidField(field, "{} is below 0 or no number", value);
  }
  return OkStatus();
}

}  // namespace

StatusOr<UserEvents> UserEvents::From(std::span<const messaging::Delivered> delivered) {
  UserEvents result;
  result.events_.reserve(delivered.size());  // so that views into them stay
  result.incoming_.reserve(delivered.size());
  for (const messaging::Delivered& one : delivered) {
    if (one.event.type != "starling.user.event.v1") continue;
    ingestion::v1::UserEvent& event = result.events_.emplace_back();
    if (!event.ParseFromString(one.event.data)) {
      return InvalidArgument("event '{}' is no UserEvent; its producer must write one",
                             one.event.id);
    }
    if (event.user_id().empty() || event.product_id().empty()) continue;
    const Status right = Check(event);
    if (!right.ok()) return Annotate(right, fmt::format("event '{}'", one.event.id));
    InteractionTable::Incoming& incoming = result.incoming_.emplace_back();
    incoming.user_id = event.user_id();
    incoming.product_id = event.product_id();
    incoming.row.id = Hash64(event.event_id().empty() ? one.event.id : event.event_id());
    incoming.row.time = static_cast<uint32_t>(event.occurred_at().seconds());
    incoming.row.quantity = event.quantity() == 0 ? 1 : static_cast<float>(event.quantity());
    incoming.row.price = static_cast<float>(event.price());
    incoming.row.kind = KindOf(event.type());
  }
  return result;
}

}  // namespace starling::features
