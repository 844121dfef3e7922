#include "platform/host/config_reloads.h"

#include <memory>
#include <set>

#include "platform/config/watch.h"
#include "platform/telemetry/log.h"

namespace starling::host {
namespace {

config::Subscription ReportReloads(config::Registry& registry, telemetry::Metrics& metrics) {
  constexpr char kReloads[] = "starling_config_reloads_total";
  constexpr char kReloadsHelp[] = "Changes of the configuration";
  telemetry::Counter& taken = metrics.AddCounter(kReloads, kReloadsHelp, {{"result", "taken"}});
  telemetry::Counter& refused = metrics.AddCounter(kReloads, kReloadsHelp, {{"result", "refused"}});
  telemetry::Gauge& wrong = metrics.AddGauge(
      "starling_config_problems", "Mistakes in the configuration, because of which an older holds");
  const auto keys = std::make_shared<std::set<std::string>>();  // those refused before
  return registry.OnReload([&, keys](const StatusOr<config::Report>& report) {
    (report.ok() ? taken : refused).Add();
    const std::vector<config::Problem> problems = registry.problems();
    wrong.Set(static_cast<double>(problems.size()));
    const auto mark = [&](const std::string& key, double value) {
      metrics
          .AddGauge("starling_config_refused", "1 while what a source says of the key is refused",
                    {{"key", key}})
          .Set(value);
    };
    for (const std::string& key : *keys) mark(key, 0);
    keys->clear();
    for (const config::Problem& problem : problems) keys->insert(problem.key);
    for (const std::string& key : *keys) mark(key, 1);
    if (!report.ok()) {
      log::Error("config", "the change was refused; the configuration stays as it was")
          .With(report.status());
      return;
    }
    for (const std::string& key : report->changed) log::Info("config", "{} has changed", key);
    for (const std::string& key : report->needs_restart)
      log::Warning("config", "{} changes with a restart", key);
  });
}

}  // namespace

void ConfigReloads::Start(CancellationToken until) {
  reports_ = ReportReloads(registry_, metrics_);
  Spawn(runtime_.NextExecutor(), config::Watch(registry_, runtime_.background(), std::move(until)));
}

void ConfigReloads::Soon() {
  if (waits_.exchange(true)) return;  // and will read what is there now
  const Status accepted = runtime_.background().Submit([this] {
    waits_ = false;
    (void)registry_.Reload();  // the report says how it went
  });
  if (accepted.ok()) return;
  waits_ = false;
  log::Warning("config", "not read again now; the next look will").With(accepted);
}

}  // namespace starling::host
