// How changes of a process' configuration went, and what holds now, as metrics and in the log.
#pragma once

#include <memory>
#include <string>

#include "platform/config/registry.h"
#include "platform/telemetry/metrics.h"

namespace starling::host {

// starling_config_reloads_total{result}, starling_config_problems, and
// starling_config_refused{key}, which is 1 while what a source says of the key is refused.
// `metrics` and `registry` outlive the subscription.
config::Subscription ReportReloads(config::Registry& registry, telemetry::Metrics& metrics);

}  // namespace starling::host
