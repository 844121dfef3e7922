// The way in for what users do: checks events and appends them to the topic "user-events" of the
// event log, keyed by user (by event for nobody's). Keeps no state: an event that comes again is
// told apart by its consumers (inbox).
#pragma once

#include <memory>

#include "contracts/ingestion/v1/ingestion.service.h"
#include "platform/host/hosted_service.h"

namespace starling::ingestion {

class IngestionService final : public v1::Ingestion, public host::HostedService {
 public:
  using Contract = v1::Ingestion;
  static constexpr host::Keeps kKeeps = host::Keeps::kNothing;
  static StatusOr<std::shared_ptr<IngestionService>> Create(host::Environment& environment);
  explicit IngestionService(host::Environment& environment) : environment_(environment) {}

  Task<StatusOr<v1::WriteEventsResponse>> WriteEvents(
      CallContext& context, const v1::WriteEventsRequest& request) override;

 private:
  host::Environment& environment_;
};

}  // namespace starling::ingestion
