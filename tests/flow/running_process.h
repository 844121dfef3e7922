// A whole process inside a test: every service, HTTP (and gRPC, when the settings ask for it) on
// free ports, in a folder of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "apps/starling/load_config.h"
#include "platform/base/id.h"
#include "platform/host/process.h"
#include "platform/http/client.h"

namespace starling::testing_support {

class RunningProcess {
 public:
  explicit RunningProcess(config::Sources::Pairs settings = {}, std::string config_file = "")
      : folder_(std::filesystem::temp_directory_path() / ("starling-" + NewId())) {
    settings.emplace_back("http.port", "0");
    settings.emplace_back("log.level", "warning");
    config::Sources sources;
    sources.overrides = std::move(settings);
    sources.file = std::move(config_file);
    status_ = config_.registry.Load(std::move(sources));
    if (!status_.ok()) return;
    auto process = host::Process::Start(
        {.known = Services(),
         .data = folder_,
         .command = "test",
         .sessions = MakeSessionAuthenticator,
         .session_store = MakeSessionStore,
         .remote_events = MakeRemoteEvents,
         .routes = StorefrontRoutes(*config_.storefront.Get(), *config_.process.http.Get()),
         .on_admin_key = [this](std::string_view token) { admin_key_ = token; }},
        config_.registry, config_.process);
    status_ = process.status();
    if (status_.ok()) process_ = *std::move(process);
    if (status_.ok())
      client_ = std::make_unique<http::Client>(process_->runtime(), http::Client::Options{});
  }
  ~RunningProcess() {
    if (process_ != nullptr) (void)process_->Stop();
    client_.reset();
    process_.reset();
    std::filesystem::remove_all(folder_);
  }

  const Status& status() const { return status_; }
  host::Process& process() { return *process_; }
  http::Client& client() { return *client_; }
  const std::string& admin_key() const { return admin_key_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(process_->http_port()); }
  config::Registry& registry() { return config_.registry; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  const std::filesystem::path folder_;
  Configuration config_;
  Status status_;
  std::string admin_key_;
  std::unique_ptr<host::Process> process_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace starling::testing_support
