#include "platform/host/call_policies.h"

#include <algorithm>

#include "platform/base/nearest.h"

namespace starling::host {
namespace {

using PriorityName = MethodPolicyConfig::Priority;

std::optional<resilience::Priority> PriorityOf(const MethodPolicyConfig& policy) {
  switch (policy.priority) {
    case PriorityName::kContract:
      return std::nullopt;
    case PriorityName::kSheddable:
      return resilience::Priority::kSheddable;
    case PriorityName::kNormal:
      return resilience::Priority::kNormal;
    case PriorityName::kCritical:
      return resilience::Priority::kCritical;
  }
  return std::nullopt;
}

struct Found {
  const rpc::Binding* binding;
  const rpc::MethodDescriptor* method;
};

StatusOr<Found> Find(const rpc::Registry& services, std::string_view name) {
  const size_t dot = name.find('.');
  for (const rpc::Binding& binding : services.bindings()) {
    if (dot == std::string::npos || binding.descriptor->name != name.substr(0, dot)) continue;
    std::vector<std::string> names;
    for (const rpc::MethodDescriptor& method : binding.descriptor->methods) {
      if (method.name == name.substr(dot + 1)) return Found{&binding, &method};
      names.emplace_back(method.name);
    }
    return NotFound("service {} has no method '{}'{}", binding.descriptor->name,
                    name.substr(dot + 1), DidYouMean(name.substr(dot + 1), names));
  }
  return NotFound("there is no service of that name here; write it as catalog.GetProduct");
}

Status ApplyDeadline(const rpc::Registry& services, std::string_view name, Duration deadline) {
  STARLING_ASSIGN_OR_RETURN(const Found found, Find(services, name));
  if (!found.binding->local()) return OkStatus();
  return found.binding->runtime->SetDeadline(found.method->name, deadline);
}

Status CheckPolicy(const rpc::Registry& services, std::string_view name,
                   const MethodPolicyConfig& policy) {
  STARLING_ASSIGN_OR_RETURN(const Found found, Find(services, name));
  return policy.fallback == rpc::Fallback::kNone ? OkStatus() : rpc::CheckFallback(*found.method);
}

}  // namespace

Status ApplyMethods(const MethodsConfig& methods, const rpc::Registry& services,
                    rpc::LastGoodAnswers& answers) {
  Status first;
  for (const auto& [name, deadline] : methods.deadlines) {
    const Status status = ApplyDeadline(services, name, deadline);
    if (first.ok()) first = Annotate(status, "methods.deadlines." + name);
  }
  for (const auto& [name, policy] : methods.policies) {
    const Status status = CheckPolicy(services, name, policy);
    if (first.ok()) first = Annotate(status, "methods.policies." + name);
  }
  answers.SetLimit(methods.fallback_bytes.count());
  for (const rpc::Binding& binding : services.bindings()) {
    if (!binding.local()) continue;
    for (const rpc::MethodDescriptor& method : binding.descriptor->methods) {
      const auto at =
          methods.policies.find(fmt::format("{}.{}", binding.descriptor->name, method.name));
      const MethodPolicyConfig policy =
          at == methods.policies.end() ? MethodPolicyConfig() : at->second;
      (void)binding.runtime->SetPriority(method.name, PriorityOf(policy));
      (void)binding.runtime->SetFallback(  // what has none was told of above
          method.name, {.kind = policy.fallback, .age = policy.fallback_age}, answers);
    }
  }
  return first;
}

std::map<std::string, resilience::Priority> PrioritiesOf(const MethodsConfig& methods) {
  std::map<std::string, resilience::Priority> priorities;
  for (const auto& [name, policy] : methods.policies) {
    if (const auto priority = PriorityOf(policy)) priorities[name] = *priority;
  }
  return priorities;
}

void ApplyConcurrency(const ConcurrencyConfig& concurrency, const rpc::Registry& services) {
  for (const rpc::Binding& binding : services.bindings()) {
    if (binding.local()) binding.runtime->SetConcurrency(concurrency.Options());
  }
}

}  // namespace starling::host
