// How an Upstream sends a request over HTTP/2.
#include "platform/gateway/request_head.h"
#include "platform/gateway/streamed_body.h"
#include "platform/gateway/upstream_pool.h"
#include "platform/http/syntax.h"

namespace starling::gateway {
namespace {

bool TakesTrailers(const http::Request& request) {
  if (!request.headers.Has("te")) return false;
  bool takes = false;
  const std::string te = request.headers.Joined("te");
  http::ForEachInList(
      te, [&](std::string_view one) { takes |= http::EqualsIgnoreCase(one, "trailers"); });
  return takes;
}

}  // namespace

Task<Status> Upstream::ForwardBody(const http::Request& request, http::Exchange& exchange,
                                   Forwarding how) {
  StreamedBody body(exchange, how.policy.timeout, how.call_deadline);
  Status status = co_await ForwardTries(request, exchange, how, &body);
  co_await body.Finish();
  co_return status;
}

Task<Upstream::Attempt> Upstream::TryH2(const http::Request& request, http::Exchange& exchange,
                                        const Forwarding& how, discovery::Pick& pick,
                                        Instant deadline, bool last, StreamedBody* body) {
  constexpr int kSameEndpoint = 8;  // tries that cost none
  Pool& pool = pick.connection<Pool>();
  const UnderWay under_way(pool.in_flight);
  H2Upstream& upstream = pool.h2[static_cast<size_t>(request.thread_index)];
  const bool idempotent = IsIdempotent(request.verb);
  if (how.policy.try_timeout > Duration(0))
    deadline = std::min(deadline, std::chrono::steady_clock::now() + how.policy.try_timeout);
  for (int again = 0;; ++again) {
    H2Request sent(upstream.Take(), &exchange, request.received, deadline);
    Status ready = co_await sent.Ready();
    if (!ready.ok()) co_return Attempt{.status = std::move(ready), .may_repeat = true};
    thread_local std::string head;
    head.clear();
    AppendRequestHead(request, how, pick.endpoint().address, head, body != nullptr);
    const bool has_body = body != nullptr || !request.body.empty();
    const H2Request::Kind kind{.has_body = has_body,
                               .to_head = request.verb == http::Verb::kHead,
                               .takes_trailers = how.grpc || TakesTrailers(request)};
    if (sent.full() || !sent.Send(head, kind)) {
      if (again < kSameEndpoint) continue;
      co_return Attempt{.status = Unavailable("it takes too few streams"), .may_repeat = true};
    }
    if (body != nullptr) {
      const Executor executor = co_await CurrentExecutor();
      body->SendTo(sent, executor);
    } else if (has_body) {
      sent.Append(request.body);
      sent.EndBody();
    }
    Attempt attempt = co_await Read(request, exchange, how, sent, last);
    if (body != nullptr) co_await body->LetGo();
    attempt.may_repeat = false;
    attempt.clients = !attempt.status.ok() && body != nullptr && !body->error().ok();
    if (attempt.status.ok() || attempt.clients || exchange.streaming() || attempt.answer != 0)
      co_return attempt;
    // What the server has not looked at may go again; also what may go twice and met a connection
    // that was just being closed.
    const bool replayable = body == nullptr || body->replayable();
    const bool unlucky = again == 0 && idempotent && sent.connection_left() &&
                         absl::IsUnavailable(attempt.status) && !sent.begun();
    if (replayable && again < kSameEndpoint && sent.connection_left() &&
        (sent.unprocessed() || unlucky)) {
      exchange.response.Clear();
      continue;
    }
    attempt.may_repeat = sent.unprocessed();
    co_return attempt;
  }
}

}  // namespace starling::gateway
