#include "platform/telemetry/otlp.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <mutex>

#include "platform/async/asio_await.h"

namespace starling::telemetry {
namespace {

constexpr size_t kBatch = 512;
constexpr int kTries = 3;
constexpr Duration kLongestPause = std::chrono::seconds(5);
constexpr double kMostRetries = 10;
constexpr double kRetriesEarned = 0.1;

// Something that happens once and that coroutines wait for, each on its own io thread.
class Event {
 public:
  void Set() {
    // Posted under the lock: a waiter whose io_context ends cannot leave before its post is made.
    const std::lock_guard lock(mutex_);
    set_ = true;
    for (const auto& timer : waiting_) {
      boost::asio::post(timer->get_executor(), [timer] { timer->cancel(); });
    }
  }

  using Timer = boost::asio::steady_timer;

  // Until it is set, but for no longer than `limit`.
  Task<void> Wait(Duration limit) {
    const Executor executor = co_await CurrentExecutor();
    const Place place(*this, std::make_shared<Timer>(executor, limit));
    if (place.set) co_return;
    boost::system::error_code ignored;
    co_await place.timer->async_wait(AsTask(ignored));
  }

 private:
  // Among those who wait. It lives in the coroutine's frame, so that a frame destroyed with its
  // io_context leaves too.
  struct Place {
    Place(Event& event, std::shared_ptr<Timer> own) : event(event), timer(std::move(own)) {
      const std::lock_guard lock(event.mutex_);
      set = event.set_;
      if (!set) event.waiting_.push_back(timer);
    }
    ~Place() {
      const std::lock_guard lock(event.mutex_);
      std::erase(event.waiting_, timer);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    Event& event;
    const std::shared_ptr<Timer> timer;
    bool set = false;
  };

  std::mutex mutex_;
  bool set_ = false;
  std::vector<std::shared_ptr<Timer>> waiting_;
};

bool MayRetry(StatusCode code) {
  switch (code) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kResourceExhausted:
    case StatusCode::kAborted:
    case StatusCode::kInternal:
    case StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

Task<Status> SendSafely(const OtlpExporter::Send& send, std::string body) {
  try {
    Status status = co_await send(std::move(body));
    co_return status;
  } catch (const std::exception& error) {
    co_return Internal("the exporter's transport threw: {}", error.what());
  }
}

}  // namespace

// Shared by the exporter and its coroutines: a send may still be running when the exporter is gone.
struct OtlpExporter::State {
  State(Tracer& tracer, Options options, Send send)
      : tracer(&tracer), options(std::move(options)), send(std::move(send)) {}

  std::vector<std::shared_ptr<const SpanRecord>> TakeBatch() {
    const std::lock_guard lock(mutex);
    if (tracer == nullptr) return {};
    auto spans = tracer->Take(kBatch);
    in_flight = spans.size();
    return spans;
  }

  // A batch that was given up on is counted already.
  void Settle(std::atomic<uint64_t>& outcome) {
    const std::lock_guard lock(mutex);
    outcome += std::exchange(in_flight, 0);
  }

  // No more is taken from the tracer, and what is on its way or left counts as lost.
  void GiveUp() {
    const std::lock_guard lock(mutex);
    if (tracer == nullptr) return;
    tracer->SetExporting(false);
    lost += std::exchange(in_flight, 0);
    for (auto left = tracer->Take(kBatch); !left.empty(); left = tracer->Take(kBatch))
      lost += left.size();
    tracer = nullptr;
  }

  std::mutex mutex;
  Tracer* tracer;        // nullptr once given up
  size_t in_flight = 0;  // spans
  bool running = false;
  const Options options;
  const Send send;
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> sent{0};
  std::atomic<uint64_t> lost{0};
  double retries = kMostRetries;  // of the one coroutine that sends
  Event stop_asked;
  Event drained;
};

OtlpExporter::OtlpExporter(Tracer& tracer, Options options, Send send)
    : state_(std::make_shared<State>(tracer, std::move(options), std::move(send))) {
  tracer.SetExporting(true);
}

OtlpExporter::~OtlpExporter() {
  state_->stopping = true;
  state_->stop_asked.Set();
  state_->GiveUp();
}

uint64_t OtlpExporter::sent() const { return state_->sent; }
uint64_t OtlpExporter::lost() const { return state_->lost; }

Task<bool> OtlpExporter::SendBatch(std::shared_ptr<State> state) {
  const auto spans = state->TakeBatch();
  if (spans.empty()) co_return false;
  const std::string body = OtlpJson(spans, state->options.service_name, state->options.version);
  Duration pause = state->options.retry_pause;
  for (int attempt = 1;; ++attempt) {
    std::string copy = body;
    const Status status = co_await SendSafely(state->send, std::move(copy));
    if (status.ok()) {
      state->retries = std::min(kMostRetries, state->retries + kRetriesEarned);
      state->Settle(state->sent);
      co_return true;
    }
    if (attempt == kTries || state->stopping || !MayRetry(status.code()) || state->retries < 1)
      break;
    state->retries -= 1;
    const auto jitter = static_cast<uint64_t>(std::max<int64_t>(pause.count(), 1));
    Duration wait = pause / 2 + Duration(static_cast<int64_t>(FastRandom() % jitter));
    if (const auto asked = RetryAfter(status)) wait = std::max<Duration>(wait, *asked);
    co_await state->stop_asked.Wait(std::min(wait, kLongestPause));
    // Asked to stop while it paused, the batch still has its last try.
    pause *= 2;
  }
  state->Settle(state->lost);
  co_return true;
}

Task<void> OtlpExporter::Drain(std::shared_ptr<State> state) {
  bool more = true;
  while (more) more = co_await SendBatch(state);
  state->drained.Set();
}

Task<void> OtlpExporter::RunState(std::shared_ptr<State> state) {
  {
    const std::lock_guard lock(state->mutex);
    if (state->running || state->stopping) co_return;
    state->running = true;
  }
  // A Run that is destroyed with its io_context leaves the draining to Stop.
  struct Running {
    State& state;
    ~Running() {
      const std::lock_guard lock(state.mutex);
      state.running = false;
    }
  };
  const Running running{*state};
  while (!state->stopping) {
    const bool worked = co_await SendBatch(state);
    if (!worked) co_await state->stop_asked.Wait(state->options.interval);
  }
  co_await Drain(state);
}

Task<void> OtlpExporter::StopState(std::shared_ptr<State> state, Duration limit) {
  bool running;
  {
    const std::lock_guard lock(state->mutex);
    state->stopping = true;
    running = std::exchange(state->running, true);
  }
  state->stop_asked.Set();
  if (!running) {
    const Executor executor = co_await CurrentExecutor();
    Spawn(executor, Drain(state));
  }
  co_await state->drained.Wait(limit);
  state->GiveUp();
}

// Not coroutines themselves: the state must be kept from the call on, not from the first
// resumption.
Task<void> OtlpExporter::Run() { return RunState(state_); }
Task<void> OtlpExporter::Stop(Duration limit) { return StopState(state_, limit); }

}  // namespace starling::telemetry
