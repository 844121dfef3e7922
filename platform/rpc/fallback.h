// What is answered in place of a method that only reads and does not answer now, by configuration
// (methods.policies.NAME.fallback): the last good answer to the same request, or the default one,
// which is empty.
//
//   FallbackPolicy policy{.kind = Fallback::kLastGood, .age = std::chrono::minutes(10)};
//   answers.Keep(key, response.SerializeAsString(), now);
//   ... UNAVAILABLE ...
//   std::optional<std::string> bytes = answers.Find(key, policy.age, now);
//
// Such an answer is OK; the CallContext that the call was made with names the method in `degraded`,
// which goes on to the callers before (over HTTP in X-Degraded). It counts in
// starling_fallbacks_total{service,method,kind}, and is an event of the call's span. Only where the
// other side is at fault (FallsBack); a refusal is an answer.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/telemetry/metrics.h"
#include "platform/telemetry/span.h"

namespace starling::rpc {

class CallContext;
struct MethodDescriptor;

enum class Fallback { kNone, kLastGood, kDefault };

struct FallbackPolicy {
  Fallback kind = Fallback::kNone;
  Duration age = std::chrono::minutes(10);  // of a last good answer, at most
};

// UNAVAILABLE, DEADLINE_EXCEEDED, UNKNOWN, INTERNAL, DATA_LOSS.
bool FallsBack(const Status& status);

// INVALID_ARGUMENT for a method that changes something or answers with a stream.
Status CheckFallback(const MethodDescriptor& method);

// Counts that `kind` answered for `service`'s method, tells its span, and names it in `degraded`.
void TellFallback(telemetry::Metrics& metrics, telemetry::Span& span, CallContext& context,
                  std::string_view service, std::string_view method, Fallback kind);

// What an answer depends on: method, request, and who asks, unless that is a service of ours and
// the method's access rule knows no users.
std::string FallbackKey(const MethodDescriptor& method, const CallContext& context,
                        std::string_view request);

// The last good answers of a process, serialised. Holds at most `bytes`, keys and answers; beyond,
// the one kept or found longest ago goes. Thread-safe: one short lock.
class LastGoodAnswers {
 public:
  explicit LastGoodAnswers(size_t bytes) : limit_(bytes) {}

  // One that alone is larger than all may be is not kept.
  void Keep(std::string key, std::string answer, Instant now);
  // At most `age` old.
  std::optional<std::string> Find(std::string_view key, Duration age, Instant now);
  // While running; takes hold with the next Keep.
  void SetLimit(size_t bytes);
  size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    std::string answer;
    Instant at;
    size_t size() const;
  };
  void Drop(std::list<Entry>::iterator entry);

  mutable std::mutex mutex_;
  size_t limit_;
  size_t bytes_ = 0;
  std::list<Entry> entries_;  // used last, first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> at_;
};

}  // namespace starling::rpc
