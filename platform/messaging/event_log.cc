#include "platform/messaging/event_log.h"

#include <algorithm>

#include "platform/messaging/checks.h"

namespace starling::messaging {
namespace {

constexpr size_t kMaxBatch = 1'000;

bool GoodName(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

Task<StatusOr<Position>> EventLog::Append(std::string topic, Event event) {
  std::vector<Event> events;
  events.push_back(std::move(event));
  StatusOr<std::vector<Position>> positions =
      co_await AppendBatch(std::move(topic), std::move(events));
  if (!positions.ok()) co_return positions.status();
  co_return positions->front();
}

StatusOr<std::unique_ptr<Subscription>> EventLog::Follow(std::string_view, std::string_view,
                                                         ConsumerOptions, Handler) {
  return Unimplemented("this event log has consumer groups alone");
}

bool IsOwnGroup(std::string_view group) { return group.find('.') != std::string_view::npos; }

Status CheckTopic(std::string_view name) {
  if (GoodName(name)) return OkStatus();
  return InvalidArgument("'{}' is no name for a topic: letters, digits, '-', '_' and '.'", name);
}

Status CheckGroup(std::string_view name) {
  if (GoodName(name)) return OkStatus();
  return InvalidArgument("'{}' is no name for a consumer group: letters, digits, '-', '_' and '.'",
                         name);
}

Status CheckBatch(std::span<const Event> events) {
  if (events.size() > kMaxBatch) {
    return InvalidArgument("a batch has {} events; at most {} are taken", events.size(), kMaxBatch);
  }
  for (const Event& event : events) STARLING_RETURN_IF_ERROR(Validate(event));
  return OkStatus();
}

Status AlreadySubscribed(std::string_view topic, std::string_view group) {
  return AlreadyExists("group '{}' reads topic '{}' already in this process", group, topic);
}

Status GroupIsBehind(std::string_view topic, std::string_view group, uint64_t lag, uint64_t limit) {
  return Overloaded(fmt::format("topic '{}': group '{}' is {} events behind, its limit is {}",
                                topic, group, lag, limit),
                    std::chrono::seconds(1));
}

}  // namespace starling::messaging
