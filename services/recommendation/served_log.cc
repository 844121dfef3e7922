#include "services/recommendation/served_log.h"

#include <condition_variable>

#include "platform/telemetry/log.h"

namespace starling::recommendation {
namespace {

constexpr size_t kBatch = 1'000;
constexpr int kTries = 5;

struct Entry {
  v1::RecommendationServed served;
  telemetry::TraceContext trace;
};

std::vector<messaging::Event> ToEvents(const std::vector<Entry>& entries, size_t from, size_t to) {
  std::vector<messaging::Event> events;
  events.reserve(to - from);
  for (size_t i = from; i < to; ++i) {
    const v1::RecommendationServed& served = entries[i].served;
    messaging::Event& event = events.emplace_back();
    event.id = served.recommendation_id();
    event.source = "/recommendation";
    event.type = "starling.recommendation.served.v1";
    event.time = TimePoint(std::chrono::seconds(served.served_at().seconds()) +
                           Duration(served.served_at().nanos()));
    event.datacontenttype = "application/protobuf";
    event.partitionkey = served.user_id();
    event.traceparent = entries[i].trace.ToTraceparent();
    event.data = served.SerializeAsString();
  }
  return events;
}

}  // namespace

struct ServedLog::Core {
  Core(host::Environment& environment, size_t limit, Duration linger)
      : environment(environment),
        limit(limit),
        linger(linger),
        dropped(environment.telemetry().metrics().AddCounter(
            "starling_recommendation_served_dropped_total",
            "Answers whose record was dropped, as the event log did not keep up")) {}

  host::Environment& environment;
  const size_t limit;
  const Duration linger;
  telemetry::Counter& dropped;
  std::mutex mutex;
  std::condition_variable idle;
  std::vector<Entry> waiting;
  bool sending = false;
  bool stopped = false;
};

ServedLog::ServedLog(host::Environment& environment, size_t limit, Duration linger)
    : core_(std::make_shared<Core>(environment, limit, linger)) {}

ServedLog::~ServedLog() { Stop(); }

void ServedLog::Add(v1::RecommendationServed served, const telemetry::TraceContext& trace) {
  bool start = false;
  {
    const std::lock_guard lock(core_->mutex);
    if (core_->stopped || core_->waiting.size() >= core_->limit) {
      core_->dropped.Add();
      return;
    }
    core_->waiting.push_back({std::move(served), trace});
    start = !std::exchange(core_->sending, true);
  }
  if (start) Spawn(core_->environment.runtime().NextExecutor(), Send(core_));
}

Task<void> ServedLog::Send(std::shared_ptr<Core> core) {
  while (true) {
    bool stopped = false;
    {
      const std::lock_guard lock(core->mutex);
      stopped = core->stopped;
    }
    if (!stopped) co_await SleepFor(core->linger);
    std::vector<Entry> entries;
    {
      const std::lock_guard lock(core->mutex);
      if (core->waiting.empty()) {
        core->sending = false;
        core->idle.notify_all();
        co_return;
      }
      entries.swap(core->waiting);
    }
    for (size_t from = 0; from < entries.size(); from += kBatch) {
      const size_t to = std::min(from + kBatch, entries.size());
      Status status;
      for (int attempt = 1; attempt <= kTries; ++attempt) {
        const auto appended = co_await core->environment.events().AppendBatch(
            "recommendations", ToEvents(entries, from, to));
        status = appended.status();
        if (status.ok()) break;
        co_await SleepFor(std::chrono::milliseconds(50) * attempt);
      }
      if (!status.ok()) {
        core->dropped.Add(to - from);
        log::Warning("recommendation", "{} records of answers were dropped", to - from)
            .With(status);
      }
    }
  }
}

void ServedLog::Stop() {
  std::unique_lock lock(core_->mutex);
  core_->stopped = true;
  core_->idle.wait_for(lock, std::chrono::seconds(5), [this] { return !core_->sending; });
}

}  // namespace starling::recommendation
