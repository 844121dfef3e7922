// What a service's test stands on: everything that a process gives its services, in a folder of its
// own that goes with it.
//
//   host::TestEnvironment environment;                       // it is 2026-01-02T03:04:05Z
//   auto service = *CatalogService::Create(environment.get());
//   auto product = environment.Block(service->GetProduct(context, request));
//   environment.clock().Advance(std::chrono::hours(1));
//
// For tests alone. The service must go before its environment. Block is called by the test's
// thread.
#pragma once

#include <filesystem>

#include "platform/base/id.h"
#include "platform/host/environment.h"
#include "platform/host/feeding_log.h"
#include "platform/messaging/embedded_event_log.h"

namespace starling::host {

class TestEnvironment {
 public:
  enum class Log { kEmbedded, kFeedsViews };  // feeding_log.h
  explicit TestEnvironment(Log log = Log::kEmbedded)
      : data_(*DataFolder::Open(folder_.path, "test")),
        events_(OpenLog(log)),
        environment_(runtime_, telemetry_, *events_, registry_, data_, config_, clock_, Storage()) {
  }
  TestEnvironment(const TestEnvironment&) = delete;

  // Where each environment's databases and stores are, when not in its folder: a test binary sets
  // it that runs the same tests on a server (see postgres_tests.cc, redis_tests.cc).
  inline static StorageConfig (*make_storage)() = nullptr;
  // The same for its blobs (see s3_tests.cc).
  inline static BlobStorageConfig (*make_blobs)() = nullptr;

  // The same for its vectors (see pgvector_tests.cc).
  inline static VectorStorageConfig (*make_vectors)() = nullptr;

  Environment& get() { return environment_; }
  FakeClock& clock() { return clock_; }
  // Settings of the service's section T, as {"catalog.limit", "7"}; before the service is made.
  template <typename T>
  Status Configure(config::Sources::Pairs overrides) {
    config_.Section<T>(T::kSection, T::kDoc);
    config::Sources sources;
    sources.overrides = std::move(overrides);
    return config_.Load(std::move(sources));
  }
  // Other services that the tested one finds: registry().AddLocal<Contract>(...).
  rpc::Registry& registry() { return registry_; }
  telemetry::Telemetry& telemetry() { return telemetry_; }
  Runtime& runtime() { return runtime_; }
  messaging::EventLog& events() { return *events_; }
  template <typename T>
  T Block(Task<T> task) {
    return runtime_.Block(std::move(task));
  }

  // A call by `caller`, with time enough.
  static rpc::CallContext Call(std::shared_ptr<const security::Identity> caller) {
    return rpc::CallContext(std::move(caller),
                            std::chrono::steady_clock::now() + std::chrono::seconds(20));
  }

 private:
  static StorageConfig Storage() {
    StorageConfig storage = make_storage != nullptr ? make_storage() : StorageConfig{};
    if (make_blobs != nullptr) storage.blob = make_blobs();
    if (make_vectors != nullptr) storage.vector = make_vectors();
    return storage;
  }
  std::unique_ptr<messaging::EventLog> OpenLog(Log log) {
    auto embedded =
        *messaging::OpenEmbeddedEventLog(folder_.path / "events", {}, runtime_, telemetry_);
    if (log == Log::kEmbedded) return embedded;
    return std::make_unique<FeedingLog>(std::move(embedded));
  }

  // Goes when no thread is left that could write to it.
  struct Folder {
    const std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("starling-" + NewId());
    Folder() = default;
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
  };

  const Folder folder_;
  FakeClock clock_{*ParseRfc3339("2026-01-02T03:04:05Z")};
  Runtime runtime_{{.io_threads = 2}};
  telemetry::Telemetry telemetry_;
  rpc::Registry registry_;
  config::Registry config_;
  const StopAtEnd stop_{runtime_};
  const DataFolder data_;
  const std::unique_ptr<messaging::EventLog> events_;
  Environment environment_;
};

}  // namespace starling::host
