#include "platform/saga/saga.h"

#include <algorithm>
#include <set>

namespace starling::saga {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxName = 48;
constexpr size_t kMaxRunId = 128;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

Status ValidateStep(const Step& step) {
  if (!IsName(step.name)) {
    return Internal("step '{}': a name has 1 to {} of a-z, 0-9, '_' and '-'", step.name, kMaxName);
  }
  if (!step.action) return Internal("step '{}' has no action", step.name);
  if (step.timeout <= Duration(0)) return Internal("step '{}' has no timeout", step.name);
  const RetryPolicy& retry = step.retry;
  if (retry.max_attempts < 1 || retry.first_pause <= Duration(0) ||
      retry.max_pause < retry.first_pause) {
    return Internal("step '{}': attempts and pauses must be above 0, and max_pause the longest",
                    step.name);
  }
  return OkStatus();
}

}  // namespace

rpc::CallContext StepContext::Call() const {
  rpc::CallContext call = rpc::CallContext::ForService(service_, Duration(0));
  call.deadline = deadline_;
  call.idempotency_key = key_;
  call.trace = trace_;
  call.cancellation = cancellation_;
  return call;
}

Status Validate(const Definition& definition) {
  const auto fail = [&](const Status& status) {
    return Annotate(status, fmt::format("saga '{}'", definition.name));
  };
  if (!IsName(definition.name)) {
    return fail(Internal("a name has 1 to {} of a-z, 0-9, '_' and '-'", kMaxName));
  }
  if (definition.version < 1) return fail(Internal("versions count from 1"));
  if (definition.steps.empty() || definition.steps.size() > kMaxSteps) {
    return fail(Internal("a saga has 1 to {} steps", kMaxSteps));
  }
  std::set<std::string_view> names;
  int pivots = 0;
  for (const Step& step : definition.steps) {
    if (const Status status = ValidateStep(step); !status.ok()) return fail(status);
    if (!names.insert(step.name).second) return fail(Internal("two steps are '{}'", step.name));
    pivots += step.pivot ? 1 : 0;
  }
  if (pivots > 1) return fail(Internal("{} steps are pivots; at most one can be", pivots));
  return OkStatus();
}

int PivotOf(const Definition& definition) {
  const auto pivot = std::find_if(definition.steps.begin(), definition.steps.end(),
                                  [](const Step& step) { return step.pivot; });
  return static_cast<int>(pivot - definition.steps.begin());
}

Status CheckRunId(std::string_view id) {
  if (id.empty() || id.size() > kMaxRunId) {
    return InvalidArgument("a saga's run id has 1 to {} characters, not {}", kMaxRunId, id.size());
  }
  for (const char c : id) {
    if (c < 0x21 || c > 0x7e || c == '/') {
      return InvalidArgument("run id '{}': only printable ASCII without spaces and '/' is taken",
                             id);
    }
  }
  return OkStatus();
}

}  // namespace starling::saga
