#include "services/ingestion/ingestion_service.h"

#include <algorithm>
#include <cmath>

#include "platform/base/id.h"
#include "platform/base/nearest.h"

namespace starling::ingestion {
namespace {

constexpr int kMaxEvents = 1'000;
constexpr size_t kMaxId = 128;
constexpr size_t kMaxProperties = 32;
constexpr Duration kMaxAhead = std::chrono::minutes(1);
const std::vector<std::string> kTypes = {"view", "click",      "cart",  "purchase",
                                         "rate", "impression", "custom"};

// Every rule that event `i` breaks.
void Check(const v1::UserEvent& event, int i, TimePoint now,
           std::vector<FieldViolation>& violations) {
  const auto add = [&](std::string_view field, std::string description) {
    violations.push_back({fmt::format("events[{}].{}", i, field), std::move(description)});
  };
  for (const auto& [field, value] :
       {std::pair<std::string_view, const std::string&>{"event_id", event.event_id()},
        {"user_id", event.user_id()},
        {"product_id", event.product_id()},
        {"recommendation_id", event.recommendation_id()}}) {
    if (value.size() > kMaxId)
      add(field, fmt::format("has {} bytes; at most {} are taken", value.size(), kMaxId));
  }
  if (std::find(kTypes.begin(), kTypes.end(), event.type()) == kTypes.end()) {
    add("type", event.type().empty()
                    ? "is missing"
                    : fmt::format("'{}' is unknown{}; there are view, click, cart, purchase, rate, "
                                  "impression and custom",
                                  event.type(), DidYouMean(event.type(), kTypes)));
  }
  if (event.product_id().empty() && event.type() != "custom") add("product_id", "is missing");
  if (!std::isfinite(event.quantity()) || event.quantity() < 0)
    add("quantity", fmt::format("{} is below 0 or no number", event.quantity()));
  if (!std::isfinite(event.price()) || event.price() < 0)
    add("price", fmt::format("{} is below 0 or no number", event.price()));
  if (event.properties().size() > kMaxProperties) {
    add("properties", fmt::format("has {} entries; at most {} are taken", event.properties().size(),
                                  kMaxProperties));
  }
  if (event.has_occurred_at()) {
    const int64_t seconds = event.occurred_at().seconds();
    if (seconds > (now + kMaxAhead).time_since_epoch() / std::chrono::seconds(1)) {
      add("occurred_at", "is more than a minute ahead of this machine's clock");
    } else if (seconds < 0) {
      add("occurred_at", "is before 1970");
    } else if (event.occurred_at().nanos() < 0 || event.occurred_at().nanos() > 999'999'999) {
      add("occurred_at",
          fmt::format("has {} nanos; 0 to 999999999 are taken", event.occurred_at().nanos()));
    }
  }
}

}  // namespace

StatusOr<std::shared_ptr<IngestionService>> IngestionService::Create(
    host::Environment& environment) {
  return std::make_shared<IngestionService>(environment);
}

Task<StatusOr<v1::WriteEventsResponse>> IngestionService::WriteEvents(
    CallContext& context, const v1::WriteEventsRequest& request) {
  if (request.events_size() == 0) co_return InvalidField("events", "is empty");
  if (request.events_size() > kMaxEvents) {
    co_return InvalidField("events", "has {} events; at most {} are taken", request.events_size(),
                           kMaxEvents);
  }
  const TimePoint now = environment_.clock().Now();
  // The access rule lets in a user, or a key made for one, that may not write for others.
  const security::Identity& caller = *context.caller;
  const bool own_only = !caller.user().empty() && !caller.scopes.Holds("events.write");
  std::vector<FieldViolation> violations;
  v1::WriteEventsResponse response;
  std::vector<messaging::Event> events;
  for (int i = 0; i < request.events_size(); ++i) {
    Check(request.events(i), i, now, violations);
    v1::UserEvent event = request.events(i);
    if (own_only && event.user_id().empty()) event.set_user_id(caller.user());
    if (own_only && event.user_id() != caller.user()) {
      co_return PermissionDenied("events[{}].user_id: a user may write only its own events", i);
    }
    if (event.event_id().empty()) event.set_event_id(NewId());
    if (event.quantity() == 0) event.set_quantity(1);
    if (!event.has_occurred_at()) {
      event.mutable_occurred_at()->set_seconds(now.time_since_epoch() / std::chrono::seconds(1));
      event.mutable_occurred_at()->set_nanos(
          static_cast<int32_t>(now.time_since_epoch().count() % 1'000'000'000));
    }
    response.add_event_ids(event.event_id());
    messaging::Event& out = events.emplace_back();
    out.id = event.event_id();
    out.source = "/ingestion";
    out.type = "starling.user.event.v1";
    out.subject = event.product_id();
    out.time = now;
    out.datacontenttype = "application/protobuf";
    out.partitionkey = event.user_id();
    out.traceparent = context.trace.ToTraceparent();
    out.data = event.SerializeAsString();
  }
  if (!violations.empty()) co_return InvalidFields(std::move(violations));
  const auto appended =
      co_await environment_.events().AppendBatch("user-events", std::move(events));
  if (!appended.ok()) co_return appended.status();
  response.set_accepted(response.event_ids_size());
  co_return response;
}

}  // namespace starling::ingestion
