#include "platform/gateway/upstream_members.h"

namespace starling::gateway {

UpstreamMembers::UpstreamMembers(std::vector<discovery::Endpoint> endpoints,
                                 std::shared_ptr<discovery::Balancer> balancer)
    : balancer_(std::move(balancer)) {
  for (discovery::Endpoint& endpoint : endpoints)
    members_.push_back({.endpoint = std::move(endpoint)});
  Tell();
}

void UpstreamMembers::SetHealthy(size_t index, bool healthy) {
  const std::lock_guard lock(mutex_);
  members_[index].healthy = healthy;
  Tell();
}

Status UpstreamMembers::SetDrained(std::string_view address, bool drained) {
  const std::lock_guard lock(mutex_);
  bool found = false;
  for (Member& member : members_) {
    if (member.endpoint.address != address) continue;
    member.drained = drained;
    found = true;
  }
  if (!found) return NotFound("there is no endpoint '{}'", address);
  Tell();
  return OkStatus();
}

std::vector<UpstreamMembers::Member> UpstreamMembers::List() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

void UpstreamMembers::Tell() const {
  std::vector<discovery::Endpoint> well, open;
  for (const Member& member : members_) {
    if (member.drained) continue;
    open.push_back(member.endpoint);
    if (member.healthy) well.push_back(member.endpoint);
  }
  balancer_->SetEndpoints(well.empty() ? std::move(open) : std::move(well));
}

}  // namespace starling::gateway
