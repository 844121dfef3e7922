#include "services/events/event_codec.h"

namespace starling::events {

v1::Delivered ToMessage(const messaging::Delivered& delivered) {
  v1::Delivered message;
  message.set_event(messaging::EncodeEvent(delivered.event));
  message.mutable_position()->set_partition(delivered.position.partition);
  message.mutable_position()->set_offset(delivered.position.offset);
  message.set_attempt(delivered.attempt);
  return message;
}

StatusOr<messaging::Delivered> FromMessage(const v1::Delivered& message) {
  STARLING_ASSIGN_OR_RETURN(messaging::Event event, messaging::DecodeEvent(message.event()));
  return messaging::Delivered{.event = std::move(event),
                              .position = {static_cast<uint16_t>(message.position().partition()),
                                           message.position().offset()},
                              .attempt = message.attempt()};
}

}  // namespace starling::events
