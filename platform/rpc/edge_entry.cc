#include "platform/rpc/edge_entry.h"

#include "platform/base/id.h"
#include "platform/http/problem.h"

namespace starling::rpc {
namespace {

telemetry::TraceContext ParentOf(const http::Request& request) {
  std::optional<std::string_view> header;
  for (const auto& [name, value] : request.headers) {
    if (name.size() != 11 || !http::EqualsIgnoreCase(name, "traceparent")) continue;
    if (header) return {};  // two are none
    header = value;
  }
  if (!header) return {};
  return telemetry::TraceContext::Parse(*header).value_or(telemetry::TraceContext());
}

Task<StatusOr<std::shared_ptr<const security::Identity>>> CallerOf(const EdgeOptions& options,
                                                                   http::Request& request) {
  if (options.credentials != nullptr) {
    StatusOr<std::shared_ptr<const security::Identity>> caller =
        co_await options.credentials->CallerOf(request);
    co_return caller;
  }
  const identity::EdgeCredentials tokens(options.authenticator);
  StatusOr<std::shared_ptr<const security::Identity>> caller = co_await tokens.CallerOf(request);
  co_return caller;
}

}  // namespace

std::string EdgeEntry::Customer() const {
  const http::Request& request = exchange_.request;
  return ToHex(options_.limits == nullptr ? CustomerOf(request.remote_address)
                                          : options_.limits->CustomerOfRequest(request));
}

EdgeEntry::EdgeEntry(const EdgeOptions& options, http::Exchange& exchange, std::string_view name)
    : options_(options),
      exchange_(exchange),
      span_(options.telemetry->tracer().Start(name, telemetry::Span::kServer,
                                              ParentOf(exchange.request))),
      start_(std::chrono::steady_clock::now()) {
  // What others say of a trace that is not this one (W3C Trace Context, 4.3).
  http::Headers& headers = exchange.request.headers;
  if (headers.Has("tracestate") && !ParentOf(exchange.request).valid())
    headers.Remove("tracestate");
}

Status EdgeEntry::LetIn(EdgeGate& gate, bool streaming) {
  gate_ = &gate;
  if (options_.concurrency == nullptr) return OkStatus();
  place_ = options_.concurrency->Admit(priority());
  if (!place_) {
    gate.shed->Add();
    span_.AddEvent("shed");
    return Overloaded("the gateway has too many requests in flight", std::chrono::seconds(1));
  }
  if (streaming) place_ = {};
  return OkStatus();
}

bool EdgeEntry::IdentifyNow(Status& status) {
  if (options_.limits != nullptr && options_.limits->shared()) return false;
  std::shared_ptr<const security::Identity> caller =
      options_.credentials != nullptr
          ? options_.credentials->KnownCaller(exchange_.request)
          : identity::EdgeCredentials(options_.authenticator).KnownCaller(exchange_.request);
  if (caller == nullptr) return false;
  if (options_.limits != nullptr) {
    verdict_ = options_.limits->AdmitHere(exchange_.request, *caller);
    if (!verdict_.allowed()) {
      status = verdict_.status();
      return true;
    }
  }
  caller_ = std::move(caller);
  return true;
}

Task<Status> EdgeEntry::Identify() {
  StatusOr<std::shared_ptr<const security::Identity>> caller =
      co_await CallerOf(options_, exchange_.request);
  if (options_.limits != nullptr) {
    verdict_ = co_await options_.limits->Admit(exchange_.request, caller);
    if (!verdict_.allowed()) co_return verdict_.status();
  }
  if (!caller.ok()) co_return caller.status();
  caller_ = *std::move(caller);
  co_return OkStatus();
}

void EdgeEntry::AddTrace() {
  http::Headers& headers = exchange_.response.headers;
  headers.Set("traceparent", trace().ToTraceparent());
  const auto id = exchange_.request.headers.Find("x-request-id");
  if (id && id->size() <= 128) headers.Set("x-request-id", *id);
}

void EdgeEntry::Decorate() {
  Announce();
  AddTrace();
  decorated_ = true;
}

void EdgeEntry::Leave(const Status& status) {
  if (exchange_.streaming()) FreePlace();
  if (gate_ != nullptr) place_.Finish(std::chrono::steady_clock::now() - start_, gate_->usual);
  http::Response& response = exchange_.response;
  if (!exchange_.streaming()) {
    if (!status.ok()) {
      response = http::ProblemResponse(status, exchange_.request.path, trace().TraceIdHex(),
                                       verdict_.allowed() ? "" : verdict_.policy());
      verdict_.Announce(response.headers);
      decorated_ = false;
    }
    if (!decorated_) AddTrace();
  }
  span_.End(status);
}

}  // namespace starling::rpc
