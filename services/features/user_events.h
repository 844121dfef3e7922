// Events of the topic "user-events", as interactions.
#pragma once

#include <vector>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "platform/messaging/event_log.h"
#include "services/features/interaction_table.h"

namespace starling::features {

// The interactions that some events tell of: those with a user and a product. Holds what they point
// to.
class UserEvents {
 public:
  // INVALID_ARGUMENT names the event, the field and the value that no interaction can have.
  static StatusOr<UserEvents> From(std::span<const messaging::Delivered> delivered);
  const std::vector<InteractionTable::Incoming>& incoming() const { return incoming_; }

 private:
  std::vector<ingestion::v1::UserEvent> events_;
  std::vector<InteractionTable::Incoming> incoming_;
};

}  // namespace starling::features
