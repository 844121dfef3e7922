#include "platform/host/process.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "platform/base/nearest.h"
#include "platform/host/admin_routes.h"
#include "platform/host/call_policies.h"
#include "platform/host/config_reloads.h"
#include "platform/host/event_logs.h"
#include "platform/host/gateway_admin.h"
#include "platform/host/http_front.h"
#include "platform/host/jwt_keys.h"
#include "platform/host/outside_identities.h"
#include "platform/host/peers.h"
#include "platform/host/self_digest.h"
#include "platform/host/signals.h"
#include "platform/host/span_export.h"
#include "platform/http/server.h"
#include "platform/rpc/grpc_server.h"
#include "platform/rpc/sql_idempotency_store.h"
#include "platform/saga/pages.h"
#include "platform/security/jwt.h"
#include "platform/security/key_store.h"
#include "platform/telemetry/log.h"

namespace starling::host {
namespace {

void ConfigureLog(const LogConfig& config) {
  log::Configure({.level = log::ParseLevel(config.level).value_or(log::Level::kInfo),
                  .format = config.format == "json" ? log::Format::kJson : log::Format::kHuman});
}

}  // namespace

// Members are destroyed in reverse: what stands on something comes after it.
class Process::Core final : private Readiness {
 public:
  Core(ProcessOptions options, config::Registry& registry, const ProcessConfig& config,
       DataFolder data)
      : options_(std::move(options)),
        config_registry_(registry),
        config_(config),
        data_(std::move(data)),
        telemetry_({.sampling_ratio = config.tracing.Get()->sampling_ratio}),
        concurrency_(config.resilience.Get()->concurrency.Options()),
        runtime_({.io_threads = config.runtime.Get()->io_threads,
                  .blocking_threads = config.runtime.Get()->blocking_threads}),
        environment_{} {}

  ~Core() override { (void)Stop(); }

  Status Start() {
    STARLING_RETURN_IF_ERROR(CheckNames());
    peers_ =
        std::make_unique<Peers>(config_, Zone(), options_.version, runtime_, telemetry_, answers_);
    STARLING_ASSIGN_OR_RETURN(events_, OpenEvents());
    environment_ =
        std::make_unique<Environment>(runtime_, telemetry_, *events_, services_, data_,
                                      config_registry_, SystemClock(), *config_.storage.Get());
    if (ServesOutsiders()) STARLING_RETURN_IF_ERROR(OpenKeys());
    STARLING_ASSIGN_OR_RETURN(idempotency_database_,
                              environment_->OpenDatabase(IdempotencyOwner(), {}));
    STARLING_ASSIGN_OR_RETURN(idempotency_, rpc::OpenSqlIdempotencyStore(
                                                *idempotency_database_, environment_->clock(), {}));
    Spawn(runtime_.NextExecutor(), idempotency_->Run());
    STARLING_RETURN_IF_ERROR(BuildServices());
    if (const std::string url = config_.tracing.Get()->otlp_url; !url.empty())
      spans_ = std::make_unique<SpanExport>(telemetry_, runtime_, url, options_.version);
    if (options_.serve) {
      if (config_.http.Get()->enabled) STARLING_RETURN_IF_ERROR(StartHttp());
      STARLING_RETURN_IF_ERROR(StartAdmin());
      STARLING_RETURN_IF_ERROR(StartGrpc());
    }
    STARLING_RETURN_IF_ERROR(JoinOnceReady());
    StartWatching();
    ready_ = true;
    return OkStatus();
  }

  Status Stop() {
    if (std::exchange(stopped_, true)) return OkStatus();
    ready_ = false;
    stopping_.Cancel();
    const Duration limit = config_.http.Get()->drain_limit;
    Status status;
    if (joining_.joinable()) joining_.join();
    if (peers_ != nullptr) peers_->Leave();
    for (auto service = hosted_.rbegin(); service != hosted_.rend(); ++service) (*service)->Drain();
    if (front_ != nullptr && http_port_ != 0) {
      if (const size_t cut = runtime_.Block(front_->Drain(limit)); cut > 0) {
        status = DeadlineExceeded("{} requests did not end within {} and were cut", cut,
                                  FormatDuration(limit));
      }
    }
    if (grpc_ != nullptr) grpc_->Drain(limit);
    for (auto service = hosted_.rbegin(); service != hosted_.rend(); ++service) (*service)->Stop();
    if (admin_ != nullptr && admin_port_ != 0)
      (void)runtime_.Block(admin_->Drain(std::chrono::seconds(1)));
    if (spans_ != nullptr) spans_->Stop(std::chrono::seconds(2));
    changes_.clear();
    reloads_.Stop();
    return status;
  }

  int http_port_ = 0;
  int admin_port_ = 0;
  int grpc_port_ = 0;

 private:
  friend class Process;

  // Readiness
  bool ready() const override { return ready_ && !draining_; }
  std::vector<std::pair<std::string, Status>> parts() const override {
    std::vector<std::pair<std::string, Status>> parts;
    for (size_t i = 0; i < hosted_.size(); ++i)
      parts.emplace_back(hosted_names_[i], hosted_[i]->Health());
    return parts;
  }

  Status CheckNames() {
    std::vector<std::string> names;
    names.reserve(options_.known.size());
    for (const ServiceEntry& entry : options_.known) names.emplace_back(entry.name);
    for (const std::string& name : options_.services) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        return InvalidArgument("there is no service '{}'{}; there are {}", name,
                               DidYouMean(name, names), fmt::format("{}", fmt::join(names, ", ")));
      }
    }
    for (const auto& [name, peer] : config_.peers.Get()->services) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        return InvalidArgument("peers.services.{}: there is no such service{}", name,
                               DidYouMean(name, names));
      }
    }
    return OkStatus();
  }

  // This process' own event log, or that of the process which serves `events`.
  StatusOr<std::unique_ptr<messaging::EventLog>> OpenEvents() {
    const rpc::ServiceDescriptor* events = nullptr;
    for (const ServiceEntry& entry : options_.known) {
      if (entry.name == "events") events = entry.descriptor;
    }
    const bool elsewhere = !options_.process.empty() && !Runs("events");
    return OpenEventLog({.config = config_,
                         .folder = data_.root() / "events",
                         .service = events,
                         .serves = Runs("events"),
                         .elsewhere = elsewhere,
                         .connect = options_.remote_events},
                        *peers_, runtime_, telemetry_);
  }

  bool PartsAreReady() const {
    return std::all_of(hosted_.begin(), hosted_.end(),
                       [](const auto& service) { return service->Health().ok(); });
  }

  // Others hear of this process when its services can answer, which may take longer than its start.
  Status JoinOnceReady() {
    if (PartsAreReady()) return Join();
    joining_ = std::thread([this] {
      while (!PartsAreReady()) {
        if (stopping_.token().IsCancelled()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      if (const Status joined = Join(); !joined.ok())
        log::Error("host", "the others do not hear of this process").With(joined);
    });
    return OkStatus();
  }

  // Tells the others where this process' services are.
  Status Join() {
    if (grpc_port_ == 0 || hosted_.empty()) return OkStatus();
    std::map<std::string, std::string> contracts;
    for (const rpc::Binding& binding : services_.bindings()) {
      if (binding.local())
        contracts.emplace(binding.descriptor->name,
                          digest_->ContractDigest(binding.descriptor->full_name));
    }
    return peers_->Join(fmt::format("{}:{}", config_.grpc.Get()->address, grpc_port_),
                        fmt::format("{}:{}", config_.admin.Get()->address, admin_port_),
                        std::move(contracts));
  }

  Status OpenKeys() {
    STARLING_ASSIGN_OR_RETURN(keys_database_,
                              environment_->OpenDatabase("keys", security::KeyStoreMigrations()));
    STARLING_ASSIGN_OR_RETURN(keys_, RunSync(security::KeyStore::Open(*keys_database_)));
    STARLING_ASSIGN_OR_RETURN(const auto admin, RunSync(keys_->CreateFirstAdminKey()));
    if (admin && options_.on_admin_key) options_.on_admin_key(admin->token);
    Spawn(runtime_.NextExecutor(), keys_->KeepFresh(stopping_.token()));
    return OkStatus();
  }

  std::string Zone() const {
    if (options_.process.empty()) return "";
    return config_.topology.Get()->processes.at(options_.process).zone;
  }
  bool ServesOutsiders() const { return config_.http.Get()->enabled; }
  // A key is looked for where its method runs. Processes of a topology share the data folder, but
  // each has its own file of keys; on a server there is one table, so that instances of a service
  // know each other's.
  std::string IdempotencyOwner() const {
    return options_.process.empty() || !config_.storage.Get()->sql.UrlOf("idempotency").empty()
               ? "idempotency"
               : "idempotency-" + options_.process;
  }

  bool Runs(std::string_view name) const {
    if (!options_.process.empty()) {
      const auto topology = config_.topology.Get();
      const auto& services = topology->processes.at(options_.process).services;
      return std::find(services.begin(), services.end(), name) != services.end();
    }
    if (options_.services.empty())
      return !config_.peers.Get()->services.contains(std::string(name));
    return std::find(options_.services.begin(), options_.services.end(), name) !=
           options_.services.end();
  }

  Status BuildServices() {
    for (const ServiceEntry& entry : options_.known) {
      if (Runs(entry.name)) {
        STARLING_ASSIGN_OR_RETURN(auto service,
                                  entry.create(*environment_, services_, idempotency_.get()));
        hosted_.push_back(std::move(service));
        hosted_names_.emplace_back(entry.name);
      } else {
        STARLING_ASSIGN_OR_RETURN(std::shared_ptr<rpc::Channel> channel,
                                  peers_->ChannelTo(*entry.descriptor));
        if (channel != nullptr) entry.connect(services_, std::move(channel));
      }
    }
    peers_->SetPolicies(*config_.methods.Get());
    STARLING_RETURN_IF_ERROR(ApplyMethods(*config_.methods.Get(), services_, answers_));
    ApplyConcurrency(config_.resilience.Get()->concurrency, services_);
    for (const auto& service : hosted_) STARLING_RETURN_IF_ERROR(service->Start());
    if (options_.sessions) sessions_ = options_.sessions(services_);
    STARLING_ASSIGN_OR_RETURN(jwt_, MakeJwtVerifier(*config_.jwt.Get(), environment_->clock()));
    std::vector<security::Authenticator*> authenticators;
    if (keys_ != nullptr) authenticators.push_back(keys_.get());
    STARLING_RETURN_IF_ERROR(StartOutsideIdentities());
    if (outside_ != nullptr && outside_->tokens() != nullptr)
      authenticators.push_back(outside_->tokens());
    if (jwt_ != nullptr) authenticators.push_back(jwt_.get());
    if (sessions_ != nullptr) authenticators.push_back(sessions_.get());
    authenticator_ = std::make_unique<security::AuthenticatorChain>(authenticators);
    return OkStatus();
  }

  // Where outsiders are served: elsewhere a token of theirs does not come.
  Status StartOutsideIdentities() {
    if (!ServesOutsiders()) return OkStatus();
    outside_ = std::make_unique<OutsideIdentities>(*config_.security.Get(), runtime_,
                                                   telemetry_.metrics(), environment_->clock());
    return outside_->Start(jwt_.get(),
                           options_.session_store ? options_.session_store(services_) : nullptr);
  }

  Status StartHttp() {
    front_ = std::make_unique<HttpFront>(
        HttpFront::Options{.runtime = &runtime_,
                           .telemetry = &telemetry_,
                           .authenticator = authenticator_.get(),
                           .oidc = outside_ == nullptr ? nullptr : outside_->oidc(),
                           .concurrency = &concurrency_,
                           .clock = &environment_->clock(),
                           .services = &services_,
                           .idempotency = idempotency_.get(),
                           .routes =
                               [this](http::Router& router) {
                                 STARLING_RETURN_IF_ERROR(
                                     AddPublicRoutes(router, *this, services_, options_.version));
                                 return options_.routes ? options_.routes(router, services_)
                                                        : OkStatus();
                               },
                           .stopping = stopping_.token()},
        config_);
    STARLING_ASSIGN_OR_RETURN(http_port_, front_->Start());
    return OkStatus();
  }

  Status StartAdmin() {
    const auto config = config_.admin.Get();
    std::vector<std::string_view> contracts;
    contracts.reserve(options_.known.size());
    for (const ServiceEntry& entry : options_.known)
      contracts.push_back(entry.descriptor->full_name);
    digest_ =
        std::make_unique<SelfDigest>(config_registry_, config_, contracts,
                                     SelfDigest::About{.process = options_.process,
                                                       .version = options_.version,
                                                       .readiness = *this,
                                                       .models = [this] { return Models(); }});
    digest_->AddMetrics(telemetry_.metrics());
    auto admin = std::make_shared<http::Router>();
    STARLING_RETURN_IF_ERROR(AddAdminRoutes(*admin, *this, telemetry_, config_registry_,
                                            [this] { return WriteDigest(digest_->Now()); }));
    STARLING_RETURN_IF_ERROR(saga::AddSagaRoutes(*admin, environment_->sagas()));
    if (front_ != nullptr) {
      STARLING_RETURN_IF_ERROR(AddGatewayAdminRoutes(
          *admin, front_->Parts([this](Duration grace) { DrainFront(grace); })));
    }
    const bool beside_http = config->port == 0 && http_port_ != 0 && config_.http.Get()->port != 0;
    const int port = beside_http ? http_port_ + 1 : config->port;
    admin_ = std::make_unique<http::Server>(
        runtime_,
        http::ServerOptions{.address = config->address, .port = static_cast<uint16_t>(port)},
        admin);
    STARLING_ASSIGN_OR_RETURN(admin_port_, admin_->Start());
    return OkStatus();
  }

  // As Stop begins, but the process goes on: who asks /readyz hears that it is not ready, and after
  // `grace` no connection is taken any more.
  void DrainFront(Duration grace) {
    if (draining_.exchange(true)) return;
    Spawn(runtime_.NextExecutor(),
          DrainLater(*front_, grace, config_.http.Get()->drain_limit, stopping_.token()));
  }
  static Task<void> DrainLater(HttpFront& front, Duration grace, Duration limit,
                               CancellationToken stopping) {
    if (grace > Duration(0)) co_await SleepFor(grace);
    if (stopping.IsCancelled()) co_return;  // Stop drains, and the front may be gone
    const size_t cut = co_await front.Drain(limit);
    log::Info("host", "drained").With("cut", cut);
  }

  std::map<std::string, std::string> Models() const {
    std::map<std::string, std::string> models;
    for (size_t i = 0; i < hosted_.size(); ++i) {
      if (const auto versions = hosted_[i]->Models(); !versions.empty())
        models[hosted_names_[i]] = versions.front();
    }
    return models;
  }

  Status StartGrpc() {
    const auto config = config_.grpc.Get();
    if (!options_.grpc && !config->enabled) return OkStatus();
    const bool beside_http = config->port == 0 && http_port_ != 0 && config_.http.Get()->port != 0;
    const int port = beside_http ? http_port_ + 2 : config->port;
    grpc_ = std::make_unique<rpc::GrpcServer>(
        runtime_, services_,
        rpc::GrpcServer::Options{.address = fmt::format("{}:{}", config->address, port),
                                 .version = options_.version,
                                 .cluster_key = config->cluster_key.Reveal(),
                                 .authenticator = authenticator_.get()});
    STARLING_ASSIGN_OR_RETURN(grpc_port_, grpc_->Start());
    return OkStatus();
  }

  void StartWatching() {
    changes_.push_back(config_.log.OnChange([](const LogConfig& now) { ConfigureLog(now); }));
    changes_.push_back(config_.tracing.OnChange([this](const TracingConfig& now) {
      telemetry_.tracer().SetSamplingRatio(now.sampling_ratio);
    }));
    changes_.push_back(
        config_.jwt.OnChange([this](const JwtConfig& now) { TakeJwtKeys(now, jwt_.get()); }));
    changes_.push_back(config_.security.OnChange([this](const identity::SecurityConfig& now) {
      if (front_ != nullptr) front_->Set(now);
    }));
    changes_.push_back(config_.gateway.OnChange([this](const GatewayConfig& now) {
      if (front_ != nullptr) front_->Set(now);
    }));
    changes_.push_back(config_.methods.OnChange([this](const MethodsConfig& now) {
      peers_->SetPolicies(now);
      if (front_ != nullptr) front_->Set(now);
      if (const Status status = ApplyMethods(now, services_, answers_); !status.ok())
        log::Warning("config", "not applied").With(status);
    }));
    changes_.push_back(config_.resilience.OnChange([this](const ResilienceConfig& now) {
      ApplyConcurrency(now.concurrency, services_);
      concurrency_.Set(now.concurrency.Options());
    }));
    reloads_.Start(stopping_.token());
  }

  const ProcessOptions options_;
  config::Registry& config_registry_;
  const ProcessConfig config_;
  const DataFolder data_;
  CancellationSource stopping_;
  telemetry::Telemetry telemetry_;
  resilience::ConcurrencyLimiter concurrency_;  // of the gateway
  Runtime runtime_;
  ConfigReloads reloads_{config_registry_, runtime_, telemetry_.metrics()};
  rpc::LastGoodAnswers answers_{0};  // `methods` says how much
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<messaging::EventLog> events_;
  std::unique_ptr<sql::Database> keys_database_;
  std::unique_ptr<security::KeyStore> keys_;
  std::unique_ptr<sql::Database> idempotency_database_;
  std::unique_ptr<rpc::IdempotencyStore> idempotency_;
  std::unique_ptr<Environment> environment_;
  rpc::Registry services_;
  std::unique_ptr<OutsideIdentities> outside_;
  const StopAtEnd stop_{runtime_};
  std::vector<std::string> hosted_names_;
  std::vector<std::shared_ptr<HostedService>> hosted_;
  std::unique_ptr<security::JwtVerifier> jwt_;
  std::unique_ptr<security::Authenticator> sessions_;
  std::unique_ptr<security::AuthenticatorChain> authenticator_;
  std::unique_ptr<SpanExport> spans_;
  std::unique_ptr<HttpFront> front_;
  std::unique_ptr<SelfDigest> digest_;
  std::unique_ptr<http::Server> admin_;
  std::unique_ptr<rpc::GrpcServer> grpc_;
  std::vector<config::Subscription> changes_;
  std::thread joining_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};
  bool stopped_ = false;
};

std::vector<TopologyService> TopologyServices(std::span<const ServiceEntry> known) {
  std::vector<TopologyService> services;
  services.reserve(known.size());
  for (const ServiceEntry& entry : known)
    services.push_back({entry.name, entry.descriptor->full_name, entry.keeps});
  return services;
}

TopologyEngines EnginesOf(const ProcessConfig& config) {
  return {.shared_database = !config.storage.Get()->sql.url.Reveal().empty(),
          .shared_events = config.messaging.Get()->OnBroker(),
          .feeds_views = config.messaging.Get()->engine == "kafka"};
}

Process::Process(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Process::~Process() = default;

StatusOr<std::unique_ptr<Process>> Process::Start(ProcessOptions options,
                                                  config::Registry& registry,
                                                  const ProcessConfig& config) {
  ConfigureLog(*config.log.Get());
  if (!options.process.empty()) {
    STARLING_RETURN_IF_ERROR(SettingsOf(*config.topology.Get(), options.process).status());
    STARLING_RETURN_IF_ERROR(
        CheckTopology(*config.topology.Get(), TopologyServices(options.known), EnginesOf(config)));
  }
  STARLING_ASSIGN_OR_RETURN(
      DataFolder data, DataFolder::Open(options.data, options.command,
                                        options.process.empty() ? DataFolder::Sharing::kAlone
                                                                : DataFolder::Sharing::kShared));
  auto core = std::make_unique<Core>(std::move(options), registry, config, std::move(data));
  STARLING_RETURN_IF_ERROR(core->Start());
  return std::unique_ptr<Process>(new Process(std::move(core)));
}

int Process::http_port() const { return core_->http_port_; }
int Process::https_port() const {
  return core_->front_ == nullptr ? 0 : core_->front_->https_port();
}
int Process::admin_port() const { return core_->admin_port_; }
int Process::grpc_port() const { return core_->grpc_port_; }
const rpc::Registry& Process::services() const { return core_->services_; }
messaging::EventLog& Process::events() { return *core_->events_; }
Runtime& Process::runtime() { return core_->runtime_; }
Status Process::Stop() { return core_->Stop(); }

void Process::WaitForSignal() {
  WaitForEnd([this] { core_->reloads_.Soon(); });
}

}  // namespace starling::host
