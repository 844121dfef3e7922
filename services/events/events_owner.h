// The process that serves events, inside a test: an embedded log on a folder, the service over it,
// and gRPC on a free port. Its parts are built and stopped as a process does.
//
//   EventsOwner owner(folder, {}, runtime, telemetry);
//   auto log = owner.Connect({});          // as another process sees it
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "platform/messaging/embedded_event_log.h"
#include "platform/rpc/grpc_channel.h"
#include "platform/rpc/grpc_server.h"
#include "services/events/events_service.h"
#include "services/events/remote_event_log.h"

namespace starling::events {

class EventsOwner {
 public:
  static constexpr char kClusterKey[] = "test-cluster";

  // `port` 0: a free one.
  EventsOwner(const std::filesystem::path& folder, messaging::EmbeddedEventLogOptions options,
              Runtime& runtime, telemetry::Telemetry& telemetry, int port = 0,
              EventsService::Options service = {})
      : runtime_(runtime),
        data_(*host::DataFolder::Open(folder, "test")),
        log_(*messaging::OpenEmbeddedEventLog(folder / "events", options, runtime, telemetry)),
        environment_(runtime, telemetry, *log_, registry_, data_, config_),
        service_(std::make_shared<EventsService>(environment_, service)) {
    registry_.AddLocal<v1::Events>(service_, telemetry, nullptr, {});
    server_ = std::make_unique<rpc::GrpcServer>(
        runtime, registry_,
        rpc::GrpcServer::Options{.address = "127.0.0.1:" + std::to_string(port),
                                 .cluster_key = kClusterKey});
    const auto started = server_->Start();
    EXPECT_TRUE(started.ok()) << started.status();
    port_ = started.value_or(0);
  }
  ~EventsOwner() {
    service_->Drain();
    server_->Drain(std::chrono::seconds(10));
    service_->Stop();
  }
  EventsOwner(const EventsOwner&) = delete;

  int port() const { return port_; }
  messaging::EventLog& log() { return *log_; }
  EventsService& service() { return *service_; }
  std::shared_ptr<v1::Events> bound() const { return registry_.Get<v1::Events>(); }
  std::shared_ptr<v1::Events> Client(const std::string& cluster_key = kClusterKey) const {
    return v1::Events::Connect(rpc::MakeGrpcChannel(
        {.target = "127.0.0.1:" + std::to_string(port_), .cluster_key = cluster_key}));
  }
  std::unique_ptr<messaging::EventLog> Connect(RemoteEventLogOptions options = {}) const {
    return MakeRemoteEventLog(Client(), runtime_, options);
  }

 private:
  Runtime& runtime_;
  const host::DataFolder data_;
  const std::unique_ptr<messaging::EventLog> log_;
  rpc::Registry registry_;
  config::Registry config_;
  host::Environment environment_;
  const std::shared_ptr<EventsService> service_;
  std::unique_ptr<rpc::GrpcServer> server_;
  int port_ = 0;
};

}  // namespace starling::events
