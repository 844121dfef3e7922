// Tells the event log what was recommended, off the path of the request.
//
//   served.Add(std::move(what), context.trace);      // never waits
//
// Events wait at most `linger` and go out in batches. At most `limit` wait: more are dropped and
// counted (starling_recommendation_served_dropped_total), since an answer is worth more than its
// record. Thread-safe. Stop sends what waits, for at most a few seconds.
#pragma once

#include <mutex>
#include <vector>

#include "contracts/recommendation/v1/recommendation.pb.h"
#include "platform/host/environment.h"

namespace starling::recommendation {

class ServedLog {
 public:
  ServedLog(host::Environment& environment, size_t limit,
            Duration linger = std::chrono::milliseconds(5));
  ~ServedLog();
  ServedLog(const ServedLog&) = delete;
  ServedLog& operator=(const ServedLog&) = delete;

  void Add(v1::RecommendationServed served, const telemetry::TraceContext& trace);
  void Stop();

 private:
  struct Core;
  static Task<void> Send(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace starling::recommendation
