// What the configuration says of calls, given to whom it is about: deadlines, priorities and
// fallbacks of methods, the limits of the services in this process. Called at start and whenever
// the sections `methods` or `resilience` have changed.
#pragma once

#include <map>
#include <string>

#include "platform/host/call_config.h"
#include "platform/rpc/registry.h"

namespace starling::host {

// The first that is wrong, with its key; what is not wrong is applied all the same. `answers`
// outlives the services.
Status ApplyMethods(const MethodsConfig& methods, const rpc::Registry& services,
                    rpc::LastGoodAnswers& answers);
// By service.Method, those that are not as in the contract.
std::map<std::string, resilience::Priority> PrioritiesOf(const MethodsConfig& methods);
void ApplyConcurrency(const ConcurrencyConfig& concurrency, const rpc::Registry& services);

}  // namespace starling::host
