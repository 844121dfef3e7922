#include "platform/messaging/catch_up.h"

#include <optional>

#include "platform/async/runtime.h"

namespace starling::messaging {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(10);
constexpr int kAskEvery = 10;  // looks

}  // namespace

Task<Status> CatchUp::Wait(BlockingPool& pool, const std::atomic<bool>& stopping) const {
  std::optional<uint64_t> enough;
  for (int look = 0;; ++look) {
    if (stopping) co_return Cancelled("it stops");
    if (enough.has_value() && accepted_ >= *enough) co_return OkStatus();
    if (look % kAskEvery == 0) {
      const StatusOr<uint64_t> lag = co_await pool.Run([this] { return log_.Lag(topic_, group_); });
      if (lag.ok() && *lag == 0) co_return OkStatus();
      // What was accepted until now may not be in the lag any more, or be in it: so it is enough.
      if (lag.ok() && !enough.has_value()) enough = accepted_ + *lag;
    }
    co_await SleepFor(kLook);
  }
}

}  // namespace starling::messaging
