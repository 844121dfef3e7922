#include "platform/rpc/gateway_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <random>

#include "platform/base/hash.h"
#include "platform/base/id.h"
#include "platform/telemetry/log.h"

namespace starling::rpc {
namespace {

using security::Identity;

constexpr size_t kFailingAddresses = 16'384;
constexpr size_t kCallersOfARoute = 16'384;
constexpr std::chrono::seconds kPlaceSoon(1);  // when a place may be free again

// What a bucket is of: part of the seed, so that a user and a key of the same name have two.
enum Kind : uint64_t { kKey = 1, kUser, kAddress, kToken, kPassword, kEverybody };

uint64_t RandomSeed() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

// The name of a shared bucket: who it is of cannot be read from it.
std::string SharedName(std::string_view policy, Kind kind, std::string_view who) {
  std::string text(1, static_cast<char>('0' + kind));
  text += who;
  char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest), &size,
             EVP_sha256(), nullptr);
  return fmt::format("{}:{}", policy, ToHex({digest, 16}));
}

// A String of RFC 9651, 4.1.6. What it cannot hold is percent-encoded.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) {
      quoted += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '"';
}

int64_t Seconds(Duration duration) {
  return std::chrono::ceil<std::chrono::seconds>(duration).count();
}

void AppendParameter(std::string_view name, int64_t value, std::string& out) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
  out.append(name).append(digits, end);
}

// Who an owner is, for operators.
std::string NameOf(Kind kind, std::string_view who) {
  if (kind == kKey) return fmt::format("key:{}", who);
  if (kind == kUser) return fmt::format("user:{}", who);
  if (kind == kEverybody) return "everybody";
  char text[INET6_ADDRSTRLEN] = "";
  if (who.size() == 4) {
    inet_ntop(AF_INET, who.data(), text, sizeof(text));
    return fmt::format("address:{}", text);
  }
  if (who.size() != 8) return fmt::format("address:{}", who);
  in6_addr v6{};
  std::copy(who.begin(), who.end(), v6.s6_addr);
  inet_ntop(AF_INET6, &v6, text, sizeof(text));
  return fmt::format("address:{}/64", text);
}

// The bytes of an address, 4 or 16; "" for what is none. IPv4 inside IPv6 is IPv4.
std::string Bytes(std::string_view address) {
  const std::string text(address);
  char bytes[16];
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return {bytes, 4};
  if (inet_pton(AF_INET6, text.c_str(), bytes) != 1) return "";
  in6_addr v6{};
  std::copy(bytes, bytes + 16, v6.s6_addr);
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return {bytes + 12, 4};
  return {bytes, 16};
}

}  // namespace

struct GatewayLimits::Policy {
  Policy(std::string policy_name, std::string its_key, RateLimiter::Limit its_limit,
         size_t capacity, const Clock& clock)
      : name(std::move(policy_name)),
        key(std::move(its_key)),
        limit(its_limit),
        limiter(std::in_place, its_limit, capacity, clock),
        quoted(Quoted(name)),
        // The time in which a whole bucket comes back.
        field(fmt::format(
            "{};q={};w={}", quoted, limit.burst,
            std::max(1.0, std::ceil(static_cast<double>(limit.burst) / limit.per_second)))) {}
  // Of places: there is no time in which they come back.
  Policy(std::string policy_name, int most)
      : name(std::move(policy_name)),
        limit{.burst = most},
        quoted(Quoted(name)),
        field(fmt::format(R"({};q={};qu="concurrent-requests")", quoted, most)) {}
  const std::string name;
  const std::string key;  // of its buckets in Redis
  const RateLimiter::Limit limit;
  std::optional<RateLimiter> limiter;  // none: places
  const std::string quoted;            // the name in the fields
  const std::string field;             // RateLimit-Policy
  Per per = Per::kCaller;              // of a route's
};

struct GatewayLimits::Owner {
  Kind kind;
  std::string_view who;    // lives as long as the call
  std::string_view whose;  // as a refusal says it
  telemetry::Counter& refused;
};

struct GatewayLimits::State {
  std::shared_ptr<Policy> callers, addresses, failures;  // nullptr: off
  std::vector<std::string> trusted_proxies;              // bytes

  // Whose request it is, when no credential says so.
  std::string AddressOf(const http::Request& request) const {
    if (!Trusts(request.remote_address)) return request.remote_address;
    // Each proxy adds at the end whom it heard; what is before the last stranger is hearsay.
    const std::string forwarded = request.headers.Joined("x-forwarded-for");
    std::string_view rest = forwarded, address = request.remote_address;
    while (!rest.empty() && Trusts(address)) {
      const size_t comma = rest.rfind(',');
      std::string_view last = comma == std::string_view::npos ? rest : rest.substr(comma + 1);
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
      while (!last.empty() && last.front() == ' ') last.remove_prefix(1);
      while (!last.empty() && last.back() == ' ') last.remove_suffix(1);
      if (!last.empty()) address = last;
    }
    return std::string(address);
  }

  bool Trusts(std::string_view address) const {
    return !trusted_proxies.empty() && std::find(trusted_proxies.begin(), trusted_proxies.end(),
                                                 Bytes(address)) != trusted_proxies.end();
  }
};

GatewayLimits::Verdict GatewayLimits::Verdict::Of(Part part) {
  Verdict verdict;
  if (!part.decision.allowed) verdict.refused_ = 0;
  verdict.parts_.push_back(std::move(part));
  return verdict;
}

void GatewayLimits::Verdict::Add(Verdict other) {
  if (allowed() && !other.allowed()) refused_ = static_cast<int>(parts_.size()) + other.refused_;
  for (Part& part : other.parts_) parts_.push_back(std::move(part));
}

Status GatewayLimits::Verdict::status() const {
  if (allowed()) return OkStatus();
  const Part& part = parts_[static_cast<size_t>(refused_)];
  const RateLimiter::Limit& limit = part.policy->limit;
  if (!part.policy->limiter) {
    return Overloaded(fmt::format("as many requests run here as may, {}", limit.burst), kPlaceSoon);
  }
  const std::string rate = limit.per_second < 1
                               ? fmt::format("{:.4g} a minute", limit.per_second * 60)
                               : fmt::format("{:.4g} a second", limit.per_second);
  return WithRetryAfter(
      WithReason(
          ResourceExhausted("{} are above the limit of {}, {} at once; try again in {} s",
                            part.whose, rate, limit.burst, Seconds(part.decision.retry_after)),
          reason::kQuotaExceeded),
      std::chrono::ceil<std::chrono::milliseconds>(part.decision.retry_after));
}

std::string_view GatewayLimits::Verdict::policy() const {
  if (parts_.empty()) return {};
  return parts_[static_cast<size_t>(std::max(refused_, 0))].policy->name;
}

void GatewayLimits::Verdict::Announce(http::Headers& headers) const {
  if (parts_.empty()) return;
  std::string policies, now;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    const Policy& policy = *part.policy;
    const RateLimiter::Decision& decision = part.decision;
    if (!now.empty()) {
      policies += ", ";
      now += ", ";
    }
    policies += policy.field;
    now += policy.quoted;
    AppendParameter(";r=", decision.remaining, now);
    // A refusal's Retry-After is of the policy that refuses: no other may name a later time (6).
    if (!policy.limiter || (!allowed() && static_cast<int>(i) != refused_)) continue;
    const Duration until = decision.remaining == 0 ? decision.retry_after : decision.until_full;
    AppendParameter(";t=", Seconds(until), now);
  }
  // An upstream may have said its own, which stay (7.2: nobody is told less).
  headers.Add("RateLimit-Policy", policies);
  headers.Add("RateLimit", now);
}

GatewayLimits::GatewayLimits(const Options& options, telemetry::Metrics& metrics,
                             const Clock& clock, SharedRateLimiter* shared)
    : clock_(clock),
      shared_(shared),
      seed_(RandomSeed()),
#define STARLING_REFUSED(kind)                                                                  \
  metrics.AddCounter("starling_gateway_refused_total", "Requests answered 429, by whose limit", \
                     {{"kind", kind}})
      refused_key_(STARLING_REFUSED("key")),
      refused_user_(STARLING_REFUSED("user")),
      refused_address_(STARLING_REFUSED("address")),
      refused_token_(STARLING_REFUSED("failed_token")),
      refused_password_(STARLING_REFUSED("failed_password")),
      refused_route_(STARLING_REFUSED("route")),
#undef STARLING_REFUSED
      crowded_(metrics.AddCounter("starling_gateway_crowded_total",
                                  "Requests limited together with another caller's, since every "
                                  "bucket was in use")),
      degraded_total_(
          metrics.AddCounter("starling_gateway_limits_degraded_total",
                             "Requests limited by this gateway alone, since Redis did not answer")),
      degraded_gauge_(metrics.AddGauge("starling_gateway_limits_degraded",
                                       "1 while limits are this gateway's alone, since Redis does "
                                       "not answer")),
      near_(clock),
      state_(MakeState(options, nullptr)) {
}

std::shared_ptr<const GatewayLimits::State> GatewayLimits::MakeState(const Options& options,
                                                                     const State* before) const {
  const auto make = [&](const std::string& name, const std::optional<RateLimiter::Limit>& limit,
                        size_t capacity, std::shared_ptr<Policy> State::*old) {
    if (!limit) return std::shared_ptr<Policy>();
    if (before != nullptr && before->*old != nullptr && (before->*old)->limit == *limit)
      return before->*old;
    return std::make_shared<Policy>(name, name, *limit, capacity, clock_);
  };
  auto state = std::make_shared<State>();
  // Two tables, so that a flood of addresses does not crowd those who have a key.
  state->callers = make("requests", options.requests, RateLimiter::kCapacity, &State::callers);
  state->addresses = make("requests", options.requests, RateLimiter::kCapacity, &State::addresses);
  state->failures =
      make("failed-credentials", options.failed_credentials, kFailingAddresses, &State::failures);
  for (const std::string& proxy : options.trusted_proxies) {
    if (std::string bytes = Bytes(proxy); !bytes.empty())
      state->trusted_proxies.push_back(std::move(bytes));
  }
  return state;
}

void GatewayLimits::Set(const Options& options) {
  state_.store(MakeState(options, state_.load().get()));
}

Task<GatewayLimits::Verdict> GatewayLimits::Take(std::shared_ptr<Policy> policy, Owner owner) {
  if (shared_ == nullptr) co_return TakeHere(std::move(policy), owner);
  Verdict::Part part;
  part.shared_bucket = SharedName(policy->key, owner.kind, owner.who);
  const StatusOr<RateLimiter::Decision> decision =
      co_await shared_->Take(part.shared_bucket, policy->limit);
  if (!decision.ok()) {
    Degraded(decision.status());
    co_return TakeHere(std::move(policy), owner);
  }
  WholeAgain();
  part.decision = *decision;
  co_return Counted(std::move(policy), owner, std::move(part));
}

GatewayLimits::Verdict GatewayLimits::TakeHere(std::shared_ptr<Policy> policy, const Owner& owner) {
  Verdict::Part part;
  part.bucket = Hash64(owner.who, seed_ + owner.kind);
  part.decision = policy->limiter->Take(part.bucket);
  return Counted(std::move(policy), owner, std::move(part));
}

GatewayLimits::Verdict GatewayLimits::Counted(std::shared_ptr<Policy> policy, const Owner& owner,
                                              Verdict::Part part) {
  part.whose = owner.whose;
  if (!part.decision.allowed) owner.refused.Add();
  if (part.decision.crowded) crowded_.Add();
  if (NearLimits::IsNear(policy->limit, part.decision))
    near_.Note(policy->name, NameOf(owner.kind, owner.who), policy->limit, part.decision);
  part.policy = std::move(policy);
  return Verdict::Of(std::move(part));
}

void GatewayLimits::Degraded(const Status& why) {
  degraded_total_.Add();
  if (degraded_.exchange(true)) return;
  degraded_gauge_.Set(1);
  if (said_.Take()) {
    log::Warning("gateway", "degraded: limits are this gateway's alone until Redis answers")
        .With(why);
  }
}

void GatewayLimits::WholeAgain() {
  if (!degraded_.load(std::memory_order_relaxed) || !degraded_.exchange(false)) return;
  degraded_gauge_.Set(0);
  log::Info("gateway", "limits are those of all gateways again");
}

GatewayLimits::Owner GatewayLimits::OwnerOf(const Identity& caller) {
  const bool is_key = caller.kind == Identity::kKey;
  return {is_key ? kKey : kUser, caller.subject,
          is_key ? "the requests of this API key" : "this user's requests",
          is_key ? refused_key_ : refused_user_};
}

GatewayLimits::Owner GatewayLimits::OwnerOf(std::string_view customer) {
  return {kAddress, customer, "requests without a good credential from this address",
          refused_address_};
}

GatewayLimits::Verdict GatewayLimits::AdmitHere(const http::Request& request,
                                                const Identity& caller) {
  const auto state = state_.load();
  if (caller.kind != Identity::kAnonymous)
    return state->callers == nullptr ? Verdict() : TakeHere(state->callers, OwnerOf(caller));
  if (state->addresses == nullptr) return {};
  const std::string customer = CustomerOf(state->AddressOf(request));
  return TakeHere(state->addresses, OwnerOf(customer));
}

Task<GatewayLimits::Verdict> GatewayLimits::Admit(
    const http::Request& request, const StatusOr<std::shared_ptr<const Identity>>& caller) {
  const auto state = state_.load();
  Verdict verdict;
  if (caller.ok() && (*caller)->kind != Identity::kAnonymous) {
    const Owner owner = OwnerOf(**caller);
    if (state->callers != nullptr) verdict = co_await Take(state->callers, owner);
    co_return verdict;
  }
  const bool failed = absl::IsUnauthenticated(caller.status()) && state->failures != nullptr;
  if (state->addresses == nullptr && !failed) co_return verdict;
  const std::string customer = CustomerOf(state->AddressOf(request));
  const Owner address = OwnerOf(customer);
  if (state->addresses != nullptr) verdict = co_await Take(state->addresses, address);
  if (!failed || !verdict.allowed()) co_return verdict;
  const Owner owner{kToken, customer, "requests from this address with a token that is not good",
                    refused_token_};
  Verdict failure = co_await Take(state->failures, owner);
  verdict.Add(std::move(failure));
  co_return verdict;
}

Task<GatewayLimits::Verdict> GatewayLimits::TryPassword(const http::Request& request,
                                                        const Identity& caller) {
  const auto state = state_.load();
  Verdict verdict;
  if (state->failures == nullptr ||
      (caller.kind == Identity::kKey && caller.on_behalf_of.empty())) {
    co_return verdict;
  }
  const std::string customer = CustomerOf(state->AddressOf(request));
  const Owner owner{kPassword, customer, "sign-ins from this address with a wrong password",
                    refused_password_};
  verdict = co_await Take(state->failures, owner);
  co_return verdict;
}

Task<void> GatewayLimits::GiveBack(const Verdict& verdict) {
  if (!verdict.allowed()) co_return;
  for (const Verdict::Part& part : verdict.parts_) {
    if (part.shared_bucket.empty()) {
      part.policy->limiter->GiveBack(part.bucket);
      continue;
    }
    // What Redis does not take back now its clock will give.
    (void)co_await shared_->GiveBack(part.shared_bucket, part.policy->limit);
  }
}

std::shared_ptr<GatewayLimits::Policy> GatewayLimits::MakePolicy(const RoutePolicy& route) const {
  const size_t callers = route.per == Per::kAll ? 1 : kCallersOfARoute;
  auto policy = std::make_shared<Policy>(route.name, route.key, route.limit, callers, clock_);
  policy->per = route.per;
  return policy;
}

Task<GatewayLimits::Verdict> GatewayLimits::AdmitTo(std::shared_ptr<Policy> policy,
                                                    const http::Request& request,
                                                    const Identity& caller) {
  const bool known = policy->per == Per::kCaller && caller.kind != Identity::kAnonymous;
  std::string customer;
  Owner owner{kEverybody, "", "the requests to this", refused_route_};
  if (known) {
    const bool is_key = caller.kind == Identity::kKey;
    owner.kind = is_key ? kKey : kUser;
    owner.who = caller.subject;
    owner.whose = is_key ? "the requests of this API key to this" : "this user's requests to this";
  } else if (policy->per != Per::kAll) {
    customer = CustomerOfRequest(request);
    owner.kind = kAddress;
    owner.who = customer;
    owner.whose = "the requests of this address to this";
  }
  Verdict verdict = co_await Take(std::move(policy), owner);
  co_return verdict;
}

std::shared_ptr<GatewayLimits::Policy> GatewayLimits::MakeConcurrency(std::string name, int most) {
  return std::make_shared<Policy>(std::move(name), most);
}

GatewayLimits::Verdict GatewayLimits::OfPlaces(std::shared_ptr<Policy> policy, int free) {
  return Verdict::Of({.policy = std::move(policy),
                      .decision = {.allowed = free > 0, .remaining = std::max(free - 1, 0)}});
}

std::vector<GatewayLimits::PolicyState> GatewayLimits::Policies() const {
  const auto state = state_.load();
  std::vector<PolicyState> policies;
  for (const auto& policy : {state->callers, state->failures}) {
    if (policy != nullptr) policies.push_back({policy->name, policy->limit});
  }
  return policies;
}

std::string GatewayLimits::CustomerOfRequest(const http::Request& request) const {
  return CustomerOf(state_.load()->AddressOf(request));
}

bool IsAddress(std::string_view text) { return !Bytes(text).empty(); }

std::string CustomerOf(std::string_view address) {
  const std::string bytes = Bytes(address);
  return bytes.empty() ? std::string(address) : bytes.substr(0, 8);
}

bool GatewayLimits::IsTrustedProxy(std::string_view address) const {
  return state_.load()->Trusts(address);
}

}  // namespace starling::rpc
