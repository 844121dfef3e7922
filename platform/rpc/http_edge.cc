#include "platform/rpc/http_edge.h"

#include <boost/asio/steady_timer.hpp>

#include "platform/base/hash.h"
#include "platform/http/coding/gunzip.h"
#include "platform/http/problem.h"
#include "platform/rpc/idempotency_key.h"
#include "platform/telemetry/log.h"

namespace starling::rpc {
namespace {

struct Route {
  EdgeOptions options;
  const MethodDescriptor* method;
  const HttpRule* rule;
  void* service;
  const MethodRuntime* runtime;  // nullptr when another process serves it
  std::shared_ptr<HttpEdge::Method> state;

  // As configured, or as the contract says.
  Duration Deadline() const {
    return runtime == nullptr ? method->deadline : Duration(runtime->deadline_ns.load());
  }
};

// What a call works on. Shared by the handler and the call's coroutine, since at the deadline the
// handler ends first.
struct PendingCall {
  PendingCall(std::shared_ptr<const security::Identity> caller, Instant deadline)
      : context(std::move(caller), deadline) {}
  CallContext context;
  CancellationSource cancellation;
  std::string body;
  std::string if_match;
  http::QueryParameters query;
  std::vector<std::pair<std::string, std::string>> path;
  std::vector<JsonInput::Field> query_fields, path_fields;
  JsonOutput output;
  Status status;
  bool done = false;
  Completion<bool> waiter;

  JsonInput Input() {
    query_fields.clear();
    path_fields.clear();
    for (const auto& [name, value] : query) query_fields.push_back({name, value});
    for (const auto& [name, value] : path) path_fields.push_back({name, value});
    return {path_fields, query_fields, body, if_match};
  }
};

// The entity tag inside `"..."` or `W/"..."`.
std::string_view Untagged(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"')
    tag = tag.substr(1, tag.size() - 2);
  return tag;
}

bool NamesTag(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view one = list.substr(0, comma);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    if (one == "*" || Untagged(one) == etag) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

StatusOr<Instant> DeadlineOf(const http::Request& request) {
  const auto header = request.headers.Find("x-request-timeout");
  if (!header) return Instant::max();
  const auto timeout = ParseDuration(*header);
  if (!timeout || *timeout <= Duration(0)) {
    return InvalidField("X-Request-Timeout", "'{}' is no duration above 0; write it as 250ms or 2s",
                        *header);
  }
  return std::chrono::steady_clock::now() + *timeout;
}

Status CheckContentType(const http::Request& request) {
  if (request.body.empty()) return OkStatus();
  const auto header = request.headers.Find("content-type");
  if (!header) return OkStatus();
  std::string_view type = header->substr(0, header->find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  if (http::EqualsIgnoreCase(type, "application/json") ||
      http::EqualsIgnoreCase(type, "application/merge-patch+json")) {
    return OkStatus();
  }
  return WithReason(InvalidField("Content-Type", "'{}' is not taken; send application/json", type),
                    reason::kUnsupportedMediaType);
}

// Once it is known who calls: a bomb costs its sender's limit.
Status Unpack(http::Request& request, uint64_t most) {
  if (request.body.empty() || !request.headers.Has("content-encoding")) return OkStatus();
  const std::string coding = request.headers.Joined("content-encoding");
  if (http::EqualsIgnoreCase(coding, "identity")) return OkStatus();
  const bool gzip =
      http::EqualsIgnoreCase(coding, "gzip") || http::EqualsIgnoreCase(coding, "x-gzip");
  if (!gzip || most == 0) {
    return WithReason(InvalidField("Content-Encoding", "'{}' is not taken; send {}", coding,
                                   most == 0 ? "the body as it is" : "gzip, or the body as it is"),
                      reason::kUnsupportedMediaType);
  }
  STARLING_ASSIGN_OR_RETURN(request.body, http::Gunzip(request.body, {.max_bytes = most}));
  return OkStatus();
}

Task<void> RunCall(const Route& route, std::shared_ptr<PendingCall> call) {
  const JsonInput input = call->Input();
  call->status = co_await route.method->call_json(route.service, call->context, *route.rule, input,
                                                  call->output);
  call->done = true;
  if (call->waiter) call->waiter(true);
}

// Waits for the call or its deadline; whether it is done.
Task<bool> WaitForCall(PendingCall& call, http::Exchange& exchange, Instant deadline,
                       std::shared_ptr<PendingCall> shared) {
  const auto gone = exchange.cancellation().OnCancel([shared] { shared->cancellation.Cancel(); });
  const Executor executor = co_await CurrentExecutor();
  const auto timer = std::make_shared<boost::asio::steady_timer>(executor, deadline);
  const bool done = co_await Suspend<bool>([&](Completion<bool> completion) {
    call.waiter = std::move(completion);
    timer->async_wait([shared](const boost::system::error_code& error) {
      if (!error && shared->waiter) shared->waiter(false);
    });
  });
  timer->cancel();
  co_return done;
}

void WriteAnswer(const Route& route, PendingCall& call, http::Exchange& exchange) {
  http::Response& response = exchange.response;
  response.status = route.method->http_status;
  const bool reads = route.method->idempotency == Idempotency::kNoSideEffects;
  if (!call.context.degraded.empty()) response.headers.Add("x-degraded", call.context.degraded);
  if (call.output.empty) return;
  if (call.output.etag.empty() && reads)
    call.output.etag = fmt::format("{:016x}", Hash64(call.output.body));
  if (!call.output.etag.empty()) {
    const auto none_match = exchange.request.headers.Find("if-none-match");
    if (reads && none_match && NamesTag(*none_match, call.output.etag)) response.status = 304;
    std::string quoted;
    quoted.reserve(call.output.etag.size() + 2);
    quoted += '"';
    quoted += call.output.etag;
    quoted += '"';
    response.headers.Add("etag", quoted);
  }
  if (reads) {
    if (route.method->cache_for > Duration(0) && call.context.degraded.empty()) {
      response.headers.Add(
          "cache-control",
          fmt::format("private, max-age={}", route.method->cache_for / std::chrono::seconds(1)));
    } else {
      response.headers.Add("cache-control", "no-cache");
    }
  }
  if (response.status == 304) return;
  response.headers.Add("content-type", "application/json");
  response.body = std::move(call.output.body);
}

class LineSink final : public ByteSink {
 public:
  LineSink(http::Exchange& exchange, const CallContext& context)
      : exchange_(exchange), context_(context) {}
  Task<Status> Write(std::string line) override {
    if (context_.Remaining() == Duration(0))
      co_return DeadlineExceeded("the stream took longer than its deadline");
    if (!exchange_.streaming())
      exchange_.response.headers.Set("content-type", "application/x-ndjson");
    co_return co_await exchange_.StartStream().Write(line);
  }

 private:
  http::Exchange& exchange_;
  const CallContext& context_;
};

Task<Status> Prepare(const Route& route, EdgeEntry& entry, http::Exchange& exchange,
                     PendingCall& call) {
  http::Request& request = exchange.request;
  Status known;
  if (!entry.IdentifyNow(known)) known = co_await entry.Identify();
  CO_RETURN_IF_ERROR(known);
  call.context.caller = entry.caller();
  CO_ASSIGN_OR_RETURN(call.context.deadline, DeadlineOf(request));
  CO_RETURN_IF_ERROR(CheckContentType(request));
  CO_RETURN_IF_ERROR(Unpack(request, entry.max_unpacked_bytes()));
  if (!request.query.empty()) {
    CO_ASSIGN_OR_RETURN(call.query, http::ParseQuery(request.query));
  }
  for (const auto& [name, value] : exchange.parameters) call.path.emplace_back(name, value);
  call.body = std::move(request.body);
  if (const auto tag = request.headers.Find("if-match")) call.if_match = Untagged(*tag);
  if (route.method->idempotency != Idempotency::kNoSideEffects) {
    CO_ASSIGN_OR_RETURN(call.context.idempotency_key, IdempotencyKeyOf(request.headers));
    // Whose key it is, wherever the method runs.
    if (!call.context.idempotency_key.empty() &&
        entry.caller()->kind == security::Identity::kAnonymous) {
      call.context.caller = security::AnonymousAt(entry.Customer());
    }
  }
  call.context.cancellation = call.cancellation.token();
  co_return OkStatus();
}

Task<Status> Stream(const Route& route, http::Exchange& exchange, PendingCall& call) {
  const auto gone = exchange.cancellation().OnCancel([&call] { call.cancellation.Cancel(); });
  call.context.deadline =
      std::min(call.context.deadline, std::chrono::steady_clock::now() + route.Deadline());
  LineSink sink(exchange, call.context);
  const JsonInput input = call.Input();
  const Status status =
      co_await route.method->stream_json(route.service, call.context, *route.rule, input, sink);
  if (status.ok() && !exchange.streaming()) {
    exchange.response.headers.Set("content-type", "application/x-ndjson");  // of nothing
  } else if (!status.ok() && exchange.streaming()) {
    exchange.StartStream().Abort();
  }
  co_return status;
}

Task<Status> CallUnary(const Route& route, http::Exchange& exchange,
                       const std::shared_ptr<PendingCall>& call) {
  const Instant deadline =
      std::min(call->context.deadline, std::chrono::steady_clock::now() + route.Deadline());
  call->context.deadline = deadline;
  const Executor executor = co_await CurrentExecutor();
  // Runs at once on this thread: a call that never waits is done when Spawn returns.
  Spawn(executor, RunCall(route, call));
  if (!call->done) {
    const bool done = co_await WaitForCall(*call, exchange, deadline, call);
    if (!done && !call->done) {
      call->cancellation.Cancel();
      co_return DeadlineExceeded(
          "{} did not answer within {}", route.method->name,
          FormatDuration(std::chrono::duration_cast<std::chrono::milliseconds>(
              deadline - exchange.request.received)));
    }
  }
  if (call->status.ok()) WriteAnswer(route, *call, exchange);
  co_return call->status;
}

// Whether a password may have been tried in vain. A call that was given up may have been.
bool MayBeWrongPassword(const Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

// A failure is counted before the password is looked at, so that many tries at once are no more
// than one after the other, and given back when there was none.
Task<Status> CallWithPassword(const Route& route, http::Exchange& exchange,
                              const std::shared_ptr<PendingCall>& call,
                              GatewayLimits::Verdict& verdict) {
  GatewayLimits& limits = *route.options.limits;
  const GatewayLimits::Verdict attempt =
      co_await limits.TryPassword(exchange.request, *call->context.caller);
  if (!attempt.allowed()) {
    verdict.Add(attempt);
    co_return attempt.status();
  }
  const Status status = co_await CallUnary(route, exchange, call);
  if (MayBeWrongPassword(status)) {
    verdict.Add(attempt);
  } else {
    co_await limits.GiveBack(attempt);
  }
  co_return status;
}

Task<void> Handle(const Route& route, http::Exchange& exchange) {
  EdgeEntry entry(route.options, exchange, route.rule->path);
  const auto call = std::make_shared<PendingCall>(security::Anonymous(), Instant::max());
  call->context.trace = entry.trace();
  Status status = entry.LetIn(route.state->gate, route.method->server_streaming);
  if (route.options.concurrency != nullptr) call->context.priority = entry.priority();
  if (status.ok()) status = co_await Prepare(route, entry, exchange, *call);
  if (status.ok()) {
    entry.Announce();
    if (route.method->server_streaming) {
      status = co_await Stream(route, exchange, *call);
    } else if (route.method->tries_password && route.options.limits != nullptr) {
      status = co_await CallWithPassword(route, exchange, call, entry.verdict());
    } else {
      status = co_await CallUnary(route, exchange, call);
    }
  }
  if (IsInternalFailure(status)) {
    log::Error(route.method->full_name, "call failed").With(status).In(entry.trace());
  }
  entry.Leave(status);
  if (!status.ok()) LinkHelp(status, "/openapi.json", exchange.response.headers);
  if (exchange.response.status == 415 && exchange.request.headers.Has("content-encoding")) {
    exchange.response.headers.Set("Accept-Encoding", route.options.max_unpacked_bytes > 0
                                                         ? "gzip"
                                                         : "identity");  // RFC 9110, 15.5.16
  }
}

StatusOr<http::Verb> VerbOf(const HttpRule& rule) {
  const http::Verb verb = http::ParseVerb(rule.verb);
  if (verb == http::Verb::kOther)
    return Internal("{} {} has an unknown verb", rule.verb, rule.path);
  return verb;
}

}  // namespace

Status HttpEdge::AddRoutes(const Registry& registry, http::Router& router) {
  for (const Binding& binding : registry.bindings()) {
    for (size_t i = 0; i < binding.descriptor->methods.size(); ++i) {
      const MethodDescriptor& method = binding.descriptor->methods[i];
      const MethodRuntime* runtime =
          binding.local() ? &binding.runtime->method(static_cast<int>(i)) : nullptr;
      if (method.http.empty()) continue;
      const std::string name = fmt::format("{}.{}", binding.descriptor->name, method.name);
      std::shared_ptr<Method>& state = methods_[name];
      if (state == nullptr) {
        state = std::make_shared<Method>();
        state->usual_priority = state->gate.priority = method.priority;
        state->gate.shed = &options_.telemetry->metrics().AddCounter(
            "starling_gateway_shed_total", "Requests refused since too many were in flight",
            {{"service", std::string(binding.descriptor->name)},
             {"method", std::string(method.name)}});
      }
      for (const HttpRule& rule : method.http) {
        STARLING_ASSIGN_OR_RETURN(const http::Verb verb, VerbOf(rule));
        const Route route{options_, &method, &rule, binding.service.get(), runtime, state};
        STARLING_RETURN_IF_ERROR(Annotate(
            router.Add(verb, rule.path,
                       [route = std::make_shared<const Route>(route)](http::Exchange& exchange) {
                         return Handle(*route, exchange);
                       }),
            method.full_name));
      }
    }
  }
  return OkStatus();
}

void HttpEdge::SetPriorities(const std::map<std::string, resilience::Priority>& priorities) {
  for (const auto& [name, method] : methods_) {
    const auto own = priorities.find(name);
    method->gate.priority = own == priorities.end() ? method->usual_priority : own->second;
  }
}

}  // namespace starling::rpc
