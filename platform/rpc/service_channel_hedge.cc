// One attempt that may be asked of two endpoints: the first answer counts.
#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "platform/rpc/service_channel_parts.h"

namespace starling::rpc {

using service_channel_internal::AddEvent;
using service_channel_internal::Broken;

// The first answer of two lanes. Everything here runs on one io thread.
struct ServiceChannel::Race {
  std::shared_ptr<ServiceChannel> channel;
  const MethodDescriptor& method;
  std::string request;
  CallContext contexts[2];
  Try tries[2];
  CancellationSource cancel[2];
  Completion<StatusOr<std::string>> done;
  int running = 0;
  int winner = -1;

  Race(std::shared_ptr<ServiceChannel> to, const MethodDescriptor& which, std::string bytes,
       const CallContext& context, const Try& attempt)
      : channel(std::move(to)),
        method(which),
        request(std::move(bytes)),
        contexts{context, context},
        tries{attempt, attempt} {
    for (int lane = 0; lane < 2; ++lane) contexts[lane].cancellation = cancel[lane].token();
  }
};

Task<void> ServiceChannel::Run(std::shared_ptr<Race> race, int lane) {
  ++race->running;
  StatusOr<std::string> answer = co_await race->channel->CallOnce(
      race->method, race->contexts[lane], race->request, race->tries[lane]);
  --race->running;
  if (!race->done) co_return;
  // A failure waits for the other lane, which may yet do better.
  if (!answer.ok() && Broken(answer.status()) && race->running > 0) co_return;
  race->winner = lane;
  for (Try& attempt : race->tries) attempt.span = nullptr;  // the other lane may outlive it
  race->cancel[1 - lane].Cancel();
  Completion<StatusOr<std::string>> done = std::move(race->done);
  done(std::move(answer));
}

Task<StatusOr<std::string>> ServiceChannel::CallHedged(const MethodDescriptor& method,
                                                       CallContext& context,
                                                       const std::string& request,
                                                       Duration hedge_after, Try& attempt,
                                                       telemetry::Span& span) {
  const Executor here = co_await CurrentExecutor();
  const auto race = std::make_shared<Race>(shared_from_this(), method, request, context, attempt);
  const auto on_cancel = context.cancellation.OnCancel([race] {
    race->cancel[0].Cancel();
    race->cancel[1].Cancel();
  });
  const auto timer = std::make_shared<boost::asio::steady_timer>(here, hedge_after);
  StatusOr<std::string> answer =
      co_await Suspend<StatusOr<std::string>>([&](Completion<StatusOr<std::string>> completion) {
        race->done = std::move(completion);
        Spawn(here, Run(race, 0));
        timer->async_wait([race, timer, here](const boost::system::error_code& error) {
          if (error || !race->done) return;
          if (!race->channel->budget_.TakeRetry()) {
            race->channel->counters_->retries_refused.Add();
            AddEvent(race->tries[0].span, "hedge refused by the budget");
            return;
          }
          race->channel->counters_->hedges.Add();
          AddEvent(race->tries[0].span, "hedge");
          race->tries[1].tried = race->tries[0].tried;
          Spawn(here, Run(race, 1));
        });
      });
  timer->cancel();
  if (race->winner == 1) {
    race->channel->counters_->hedges_won.Add();
    span.AddEvent("hedge won");
  }
  attempt = race->tries[std::max(0, race->winner)];
  attempt.span = &span;
  context.degraded = race->contexts[std::max(0, race->winner)].degraded;
  attempt.sent = race->tries[0].sent || race->tries[1].sent;
  co_return answer;
}

}  // namespace starling::rpc
