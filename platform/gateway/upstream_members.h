// Which endpoints of an upstream get requests: those that are well and that nobody has drained.
//
//   UpstreamMembers members(endpoints, balancer);
//   members.SetHealthy(0, false);                     // its health check says so
//   members.SetDrained("10.0.0.7:9001", true);        // an operator says so
//
// A drained endpoint gets no new request, whatever its health; those under way end as they began.
// When no other is well, all that are not drained get requests, since then the check is more likely
// wrong than all of them. When all are drained nobody gets any.
//
// Thread-safe. A change costs O(endpoints).
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/discovery/balancer.h"

namespace starling::gateway {

class UpstreamMembers {
 public:
  struct Member {
    discovery::Endpoint endpoint;
    bool healthy = true;
    bool drained = false;
  };

  // Tells the balancer of all of them.
  UpstreamMembers(std::vector<discovery::Endpoint> endpoints,
                  std::shared_ptr<discovery::Balancer> balancer);

  void SetHealthy(size_t index, bool healthy);
  // NOT_FOUND when there is no such address.
  Status SetDrained(std::string_view address, bool drained);

  std::vector<Member> List() const;

 private:
  void Tell() const;  // under the mutex

  mutable std::mutex mutex_;
  std::vector<Member> members_;
  const std::shared_ptr<discovery::Balancer> balancer_;
};

}  // namespace starling::gateway
