#include "platform/rpc/route_limits.h"

namespace starling::rpc {

RouteLimits::RouteLimits(Options options, GatewayLimits* limits)
    : options_(std::move(options)),
      limits_(limits),
      requests_(limits_ == nullptr || !options_.requests
                    ? nullptr
                    : limits_->MakePolicy({.key = options_.key,
                                           .name = options_.name,
                                           .limit = *options_.requests,
                                           .per = options_.per})),
      concurrent_(options_.max_concurrent == 0
                      ? nullptr
                      : GatewayLimits::MakeConcurrency(options_.name + " at once",
                                                       options_.max_concurrent)) {}

Task<GatewayLimits::Verdict> RouteLimits::Admit(const http::Request& request,
                                                const security::Identity& caller, Place& place) {
  GatewayLimits::Verdict verdict;
  if (concurrent_ != nullptr) {
    Place taken(running_);
    const int before = running_.fetch_add(1, std::memory_order_relaxed);
    verdict = GatewayLimits::OfPlaces(concurrent_, options_.max_concurrent - before);
    if (!verdict.allowed()) co_return verdict;
    place = std::move(taken);
  }
  if (requests_ == nullptr) co_return verdict;
  GatewayLimits::Verdict of_requests = co_await limits_->AdmitTo(requests_, request, caller);
  if (!of_requests.allowed()) place = {};
  verdict.Add(std::move(of_requests));
  co_return verdict;
}

}  // namespace starling::rpc
