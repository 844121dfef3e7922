#include "platform/host/https.h"

#include "platform/telemetry/log.h"

namespace starling::host {
namespace {

void Report(const StatusOr<bool>& taken, std::string& last_error) {
  if (!taken.ok()) {
    // Said once, not each second.
    if (last_error != taken.status().message()) {
      last_error = std::string(taken.status().message());
      log::Warning("tls", "new certificates are not taken, the old ones stay").With(taken.status());
    }
    return;
  }
  last_error.clear();
  if (*taken) log::Info("tls", "new certificates are taken");
}

Task<void> WatchFiles(std::shared_ptr<http::Tls> tls, BlockingPool& pool, Duration interval,
                      CancellationToken until) {
  std::string last_error;
  while (!until.IsCancelled()) {
    co_await SleepFor(interval);
    const StatusOr<bool> taken = co_await pool.Run([&] { return tls->ReloadIfChanged(); });
    if (taken.status().code() != StatusCode::kResourceExhausted) Report(taken, last_error);
  }
}

}  // namespace

StatusOr<std::unique_ptr<Https>> Https::Start(Runtime& runtime, const TlsConfig& config,
                                              http::ServerOptions options,
                                              std::shared_ptr<const http::Router> router,
                                              CancellationToken until, Duration look_every) {
  if (config.certificates.empty()) return nullptr;
  STARLING_ASSIGN_OR_RETURN(std::shared_ptr<http::Tls> tls, http::Tls::Load(config.Options()));
  std::unique_ptr<Https> https(new Https(tls));
  if (!config.address.empty()) options.address = config.address;
  options.port = static_cast<uint16_t>(config.port);
  options.tls = tls;
  https->server_ = std::make_unique<http::Server>(runtime, std::move(options), std::move(router));
  STARLING_ASSIGN_OR_RETURN(https->port_, https->server_->Start());
  Spawn(runtime.NextExecutor(),
        WatchFiles(std::move(tls), runtime.background(), look_every, std::move(until)));
  return https;
}

void Https::Set(const TlsConfig& config) {
  const Status taken = tls_->Reload(config.Options());
  if (!taken.ok())
    log::Warning("tls", "gateway.tls is not applied, the old certificates stay").With(taken);
}

}  // namespace starling::host
