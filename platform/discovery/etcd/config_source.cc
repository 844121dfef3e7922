#include "platform/discovery/etcd/config_source.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "platform/config/registry.h"
#include "platform/discovery/etcd/prefix_watch.h"
#include "platform/telemetry/log.h"

namespace starling::discovery {
namespace {

class EtcdConfigSource final : public config::Source {
 public:
  explicit EtcdConfigSource(const EtcdConfigOptions& options)
      : options_(options),
        runtime_({.io_threads = 1, .blocking_threads = 1}),
        watch_(std::make_unique<etcd::PrefixWatch>(
            std::make_shared<etcd::Client>(runtime_, etcd::ClientOptions{.urls = options.urls}),
            runtime_.executor(0), options.prefix,
            [this](const etcd::Values& values) { Take(values); })) {}
  ~EtcdConfigSource() override {
    watch_.reset();
    runtime_.Stop();
  }
  EtcdConfigSource(const EtcdConfigSource&) = delete;
  EtcdConfigSource& operator=(const EtcdConfigSource&) = delete;

  StatusOr<std::vector<Document>> Read() override {
    std::unique_lock lock(mutex_);
    // Who has waited once does not again: a reload must not hang because etcd does.
    const Duration wait = waited_ ? Duration(0) : options_.wait;
    waited_ = true;
    known_.wait_for(lock, wait, [&] { return version_ > 0; });
    if (version_ > 0 || !options_.required) return documents_;
    return Unavailable(
        "etcd ({}) did not answer within {}; start it, or set config.etcd.required to false",
        fmt::join(options_.urls, ", "), FormatDuration(options_.wait));
  }
  uint64_t version() const override {
    const std::lock_guard lock(mutex_);
    return version_;
  }

 private:
  void Take(const etcd::Values& values) {
    std::vector<Document> documents;
    for (const auto& [path, value] : values) {
      const std::string key = path.substr(options_.prefix.size());
      const bool is_yaml = key.ends_with(".yaml") || key.ends_with(".yml");
      documents.push_back({.name = "etcd:" + path, .key = is_yaml ? "" : key, .content = value});
    }
    const std::lock_guard lock(mutex_);
    documents_ = std::move(documents);
    ++version_;
    known_.notify_all();
  }

  const EtcdConfigOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable known_;
  std::vector<Document> documents_;
  uint64_t version_ = 0;
  bool waited_ = false;
  Runtime runtime_;
  std::unique_ptr<etcd::PrefixWatch> watch_;
};

}  // namespace

void EtcdConfigOptions::Describe(config::Fields<EtcdConfigOptions>& fields) {
  fields
      .Add("urls", &EtcdConfigOptions::urls,
           "where etcd is: [http://127.0.0.1:2379]; empty: it has no part of the configuration")
      .Check([](const std::vector<std::string>& urls) {
        return urls.empty() ? "" : std::string(etcd::CheckUrls(urls).message());
      })
      .NeedsRestart();
  fields.Add("prefix", &EtcdConfigOptions::prefix, "the keys that are read").NeedsRestart();
  fields.Add("wait", &EtcdConfigOptions::wait, "how long a start waits for etcd").NeedsRestart();
  fields
      .Add("required", &EtcdConfigOptions::required,
           "whether a process does not start when etcd does not answer")
      .NeedsRestart();
}

StatusOr<std::shared_ptr<config::Source>> OpenEtcdConfigSource(const EtcdConfigOptions& options) {
  STARLING_RETURN_IF_ERROR(etcd::CheckUrls(options.urls));
  if (options.prefix.empty() || options.prefix.back() != '/')
    return InvalidArgument("config.etcd.prefix '{}' should end with /", options.prefix);
  return std::make_shared<EtcdConfigSource>(options);
}

Status AddEtcd(config::Sources& sources) {
  // Where etcd is cannot stand in etcd: first only that is read.
  config::Registry first;
  const auto options =
      first.Section<EtcdConfigOptions>(EtcdConfigOptions::kSection, EtcdConfigOptions::kDoc);
  first.AllowUnread("");
  // Anything wrong in the sources is told by the registry that knows all keys.
  if (!first.Load(sources).ok() || options.Get()->urls.empty()) return OkStatus();
  STARLING_ASSIGN_OR_RETURN(sources.cluster, OpenEtcdConfigSource(*options.Get()));
  return OkStatus();
}

Status LoadWithEtcd(config::Sources sources, config::Registry& registry) {
  STARLING_RETURN_IF_ERROR(AddEtcd(sources));
  return registry.Load(std::move(sources));
}

}  // namespace starling::discovery
