// The sections "methods" and "resilience" of the configuration: how calls are made and when they
// are refused.
#pragma once

#include <map>
#include <string>

#include "platform/config/fields.h"
#include "platform/resilience/concurrency_limiter.h"
#include "platform/rpc/fallback.h"

namespace starling::host {

// What one method's calls are allowed, where it is not what all are.
struct MethodPolicyConfig {
  enum class Priority { kContract, kSheddable, kNormal, kCritical };
  Priority priority = Priority::kContract;
  rpc::Fallback fallback = rpc::Fallback::kNone;
  Duration fallback_age = std::chrono::minutes(10);
  int attempts = 0;
  Duration try_timeout{0};
  Duration hedge_after{0};
  static void Describe(config::Fields<MethodPolicyConfig>& fields) {
    fields
        .Add("attempts", &MethodPolicyConfig::attempts,
             "tries of a call, the first among them; 0: resilience.attempts")
        .Range(0, 10);
    fields
        .Add("try_timeout", &MethodPolicyConfig::try_timeout,
             "how long one try may take; 0: as long as the call")
        .AtLeast(Duration(0));
    fields
        .Add("hedge_after", &MethodPolicyConfig::hedge_after,
             "when a second process is asked too, of a method that only reads; 0: never")
        .AtLeast(Duration(0));
    fields.AddEnum("priority", &MethodPolicyConfig::priority,
                   {{"contract", Priority::kContract},
                    {"sheddable", Priority::kSheddable},
                    {"normal", Priority::kNormal},
                    {"critical", Priority::kCritical}},
                   "when the method is refused by who has too much to do: sheddable (first), "
                   "normal, critical (last), or as its contract says");
    fields.AddEnum(
        "fallback", &MethodPolicyConfig::fallback,
        {{"none", rpc::Fallback::kNone},
         {"last_good", rpc::Fallback::kLastGood},
         {"default", rpc::Fallback::kDefault}},
        "what is answered while the method fails, if it only reads: none (the error), "
        "last_good (what the same request was answered last) or default (an empty answer)");
    fields
        .Add("fallback_age", &MethodPolicyConfig::fallback_age, "how old a last good answer may be")
        .AtLeast(Duration(0));
  }
};

struct MethodsConfig {
  std::map<std::string, Duration> deadlines;
  std::map<std::string, MethodPolicyConfig> policies;
  config::Bytes fallback_bytes{16ull << 20};
  static void Describe(config::Fields<MethodsConfig>& fields) {
    fields.Add(
        "deadlines", &MethodsConfig::deadlines,
        "deadlines instead of the contracts', by service.Method: {catalog.GetProduct: 500ms}");
    fields.Add("policies", &MethodsConfig::policies,
               "how calls are made, by service.Method: {catalog.GetProduct: {hedge_after: 20ms}}; "
               "the first three are of calls to other processes");
    fields.Add("fallback_bytes", &MethodsConfig::fallback_bytes,
               "how much of last good answers a process keeps");
  }
};

// How many calls a service or gateway works on at once (resilience/concurrency_limiter.h).
struct ConcurrencyConfig {
  enum class Mode { kAdaptive, kOff };
  Mode mode = Mode::kAdaptive;
  int initial = 1'000;
  int least = 20;
  int most = 10'000;
  double tolerance = 2;
  Duration harmless = std::chrono::milliseconds(100);
  resilience::ConcurrencyLimiter::Options Options() const {
    return {.adaptive = mode == Mode::kAdaptive,
            .initial = initial,
            .least = least,
            .most = most,
            .tolerance = tolerance,
            .harmless = harmless};
  }
  static void Describe(config::Fields<ConcurrencyConfig>& fields) {
    fields.AddEnum("mode", &ConcurrencyConfig::mode,
                   {{"adaptive", Mode::kAdaptive}, {"off", Mode::kOff}},
                   "adaptive (by how much slower calls become, the least important refused first) "
                   "or off (`most` alone)");
    fields.Add("initial", &ConcurrencyConfig::initial, "the limit at first").Range(1, 1'000'000);
    fields.Add("least", &ConcurrencyConfig::least, "the limit at least").Range(1, 1'000'000);
    fields.Add("most", &ConcurrencyConfig::most, "the limit at most").Range(1, 1'000'000);
    fields
        .Add("tolerance", &ConcurrencyConfig::tolerance,
             "how many times what they take at rest calls may take before the limit comes down")
        .Range(1.1, 100.0);
    fields
        .Add("harmless", &ConcurrencyConfig::harmless,
             "how long calls may take before that, whatever they take at rest")
        .AtLeast(Duration(0));
    fields.Check([](const ConcurrencyConfig& limit) -> std::string {
      if (limit.least > limit.initial || limit.initial > limit.most)
        return "least must not be above initial, nor initial above most";
      return "";
    });
  }
};

struct ResilienceConfig {
  ConcurrencyConfig concurrency;
  int attempts = 3;
  double retry_ratio = 0.1;
  int max_in_flight = 1'000;
  double breaker_failure_rate = 0.5;
  Duration breaker_longest_open = std::chrono::seconds(2);
  Duration ejection = std::chrono::seconds(2);
  Duration connect_patience = std::chrono::seconds(1);
  static void Describe(config::Fields<ResilienceConfig>& fields) {
    fields.Add("concurrency", &ResilienceConfig::concurrency,
               "calls that one service, and requests that the gateway, works on at once");
    fields
        .Add("attempts", &ResilienceConfig::attempts,
             "tries of a call to another process, the first among them; 1: no retries")
        .Range(1, 10)
        .NeedsRestart();
    fields
        .Add("retry_ratio", &ResilienceConfig::retry_ratio,
             "retries and hedges to a service, as a part of the calls to it, at most")
        .Range(0.0, 1.0)
        .NeedsRestart();
    fields
        .Add("max_in_flight", &ResilienceConfig::max_in_flight,
             "calls to one service in flight from this process; more are refused")
        .Range(1, 1'000'000)
        .NeedsRestart();
    fields
        .Add(
            "breaker_failure_rate", &ResilienceConfig::breaker_failure_rate,
            "the part of the calls of five seconds that fail, above which none is made for a while")
        .Range(0.01, 1.0)
        .NeedsRestart();
    fields
        .Add("breaker_longest_open", &ResilienceConfig::breaker_longest_open,
             "how long that while may become")
        .AtLeast(std::chrono::milliseconds(250))
        .NeedsRestart();
    fields
        .Add("ejection", &ResilienceConfig::ejection,
             "how long a process that keeps failing is left out at first, when others run the "
             "service too; at most ten times that")
        .AtLeast(std::chrono::milliseconds(100))
        .NeedsRestart();
    fields
        .Add("connect_patience", &ResilienceConfig::connect_patience,
             "how long a service may be away before calls to it no longer wait for it")
        .AtLeast(Duration(0))
        .NeedsRestart();
  }
};

}  // namespace starling::host
