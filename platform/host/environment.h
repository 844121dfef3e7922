// What a process gives its services to stand on. Everything here outlives them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>

#include "platform/async/runtime.h"
#include "platform/base/clock.h"
#include "platform/base/embedded_file.h"
#include "platform/config/registry.h"
#include "platform/host/data_folder.h"
#include "platform/host/storage_config.h"
#include "platform/messaging/event_log.h"
#include "platform/messaging/outbox.h"
#include "platform/rpc/registry.h"
#include "platform/saga/engine.h"
#include "platform/storage/blob/store.h"
#include "platform/storage/sql/sql.h"
#include "platform/storage/vector/index.h"
#include "platform/storage/vector/store.h"
#include "platform/telemetry/telemetry.h"

namespace starling::host {

class Environment {
 public:
  Environment(Runtime& runtime, telemetry::Telemetry& telemetry, messaging::EventLog& events,
              const rpc::Registry& registry, const DataFolder& data, config::Registry& config,
              const Clock& clock = SystemClock(), StorageConfig storage = {})
      : runtime_(runtime),
        telemetry_(telemetry),
        events_(events),
        registry_(registry),
        data_(data),
        config_(config),
        clock_(clock),
        storage_(std::move(storage)) {}

  Runtime& runtime() { return runtime_; }
  telemetry::Telemetry& telemetry() { return telemetry_; }
  messaging::EventLog& events() { return events_; }
  const Clock& clock() const { return clock_; }

  // Another service, here or elsewhere; nullptr when this process cannot reach it. Ask in Start,
  // not in Create.
  template <typename Service>
  std::shared_ptr<Service> Find() const {
    return registry_.Get<Service>();
  }

  // The service's section of the configuration: a struct with Describe, and with kSection and kDoc
  // for its name and what it is about. A service that has one says `using Config = T;`.
  template <typename T>
  config::Handle<T> Config() {
    return config_.Section<T>(T::kSection, T::kDoc);
  }

  // The service's own folder, DATA/<service>, made when absent. Blocks.
  StatusOr<std::filesystem::path> Folder(std::string_view service) { return data_.Path(service); }
  // The service's own database, up to date: DATA/<service>/<service>.sqlite, or the schema of its
  // name on the server that storage.sql names. Blocks.
  StatusOr<std::unique_ptr<sql::Database>> OpenDatabase(std::string_view service,
                                                        std::span<const EmbeddedFile> migrations) {
    std::string url = storage_.sql.UrlOf(service);
    if (!url.empty()) {
      std::string schema(service);  // "idempotency-front" is no plain name
      std::replace(schema.begin(), schema.end(), '-', '_');
      return sql::Database::Open({.url = std::move(url), .schema = std::move(schema)}, migrations);
    }
    STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, data_.Path(service));
    return sql::Database::Open({.path = folder / (std::string(service) + ".sqlite")}, migrations);
  }
  // A key-value store of the service's own: the folder DATA/<service>/<name>, or keys of these
  // names on the server that storage.kv names. `sizes` are RocksDB's. Blocks.
  StatusOr<std::unique_ptr<kv::Store>> OpenStore(std::string_view service, std::string_view name,
                                                 kv::Options sizes = {}) {
    const KvStorageConfig& kv = storage_.kv;
    if (kv.engine == KvStorageConfig::Engine::kRedis) {
      STARLING_RETURN_IF_ERROR(ConnectRedis());
      return kv::OpenRedis(
          redis_, {.name = fmt::format("{}/{}/{}", kv.prefix, service, name), .keeps = kv.keeps});
    }
    STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, data_.Path(service));
    sizes.path = folder / name;
    return kv::Store::Open(std::move(sizes), runtime_.blocking());
  }
  // Whole files of the service's own: the folder DATA/<service>/<name>, or keys of these names in
  // the bucket that storage.blob names. Blocks.
  StatusOr<std::unique_ptr<blob::Store>> OpenBlobs(std::string_view service, std::string_view name);
  // Collections of vectors of the service's own: the file DATA/<service>/<name>.sqlite, or the
  // schema <service>_<name> on the server that storage.vector names. `make_index` is for the
  // former. Blocks.
  StatusOr<std::unique_ptr<vector::Store>> OpenVectors(std::string_view service,
                                                       std::string_view name,
                                                       vector::MakeIndex make_index = nullptr);
  // The outbox in that database. Blocks.
  StatusOr<std::unique_ptr<messaging::Outbox>> OpenOutbox(sql::Database& database) {
    return messaging::Outbox::Open(database, events_, runtime_, {});
  }
  // What an instance of a service keeps in memory it hears by itself, also where there are several
  // (docs/topology.md); on an event log that cannot feed views there is one, and the group is the
  // service's.
  //
  // Every event of a topic from now on, for a view that is read from elsewhere after this returned,
  // or that may begin empty. Blocks.
  StatusOr<std::unique_ptr<messaging::Subscription>> Follow(std::string_view topic,
                                                            std::string_view service,
                                                            messaging::ConsumerOptions options,
                                                            messaging::EventLog::Handler handler) {
    return events_.FeedsViews() ? events_.Follow(topic, service, options, std::move(handler))
                                : events_.Subscribe(topic, service, options, std::move(handler));
  }
  // The group of this instance, for what it keeps in the service's folder beside the memory: it
  // goes with the folder, "features.<id in DATA/features/instance>", so that a new folder is given
  // all events that are kept. Blocks.
  StatusOr<std::string> OwnGroup(std::string_view service);

  // The service's saga engine in that database; the pages of the admin port show its runs. Blocks.
  StatusOr<std::unique_ptr<saga::Engine>> OpenSagas(std::string_view service,
                                                    sql::Database& database,
                                                    saga::EngineOptions options = {}) {
    options.directory = &sagas_;
    return saga::Engine::Open(std::string(service), database, runtime_, telemetry_, clock_,
                              std::move(options));
  }
  const saga::Directory& sagas() const { return sagas_; }

 private:
  Status ConnectRedis() {
    if (redis_ != nullptr) return OkStatus();
    StatusOr<redis::Url> url = redis::ParseUrl(storage_.kv.url.Reveal());
    if (!url.ok()) return Annotate(url.status(), "storage.kv.url");
    redis_ = std::make_shared<redis::Client>(redis::Options{.url = *std::move(url)}, runtime_);
    return OkStatus();
  }

  Runtime& runtime_;
  telemetry::Telemetry& telemetry_;
  messaging::EventLog& events_;
  const rpc::Registry& registry_;
  const DataFolder& data_;
  config::Registry& config_;
  const Clock& clock_;
  const StorageConfig storage_;
  std::shared_ptr<redis::Client> redis_;  // of all stores, once one was opened
  saga::Directory sagas_;
  std::mutex own_group_;  // held while the id of an instance is read or made
};

}  // namespace starling::host
