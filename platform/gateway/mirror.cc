#include "platform/gateway/mirror.h"

#include <absl/container/inlined_vector.h>

#include <boost/asio/post.hpp>

#include "platform/base/id.h"

namespace starling::gateway {
namespace {

// Takes an answer and forgets it.
class Sink final : public http::Exchange, private http::ResponseStream {
 public:
  explicit Sink(Instant end) : end_(end) {}
  http::ResponseStream& OpenStream() override {
    streaming_ = true;
    return *this;
  }
  bool streaming() const override { return streaming_; }
  CancellationToken cancellation() override { return {}; }

 private:
  Task<Status> Write(std::string_view) override {
    if (std::chrono::steady_clock::now() >= end_) co_return Cancelled("the copy took too long");
    co_return OkStatus();
  }
  void Abort() override {}

  const Instant end_;
  bool streaming_ = false;
};

}  // namespace

struct Mirror::Shared {
  std::shared_ptr<Upstream> upstream;
  ForwardPolicy policy;
  telemetry::Counter* answered;
  telemetry::Counter* failed;
  telemetry::Counter* skipped;
  std::atomic<int> in_flight{0};
};

Mirror::Mirror(std::shared_ptr<Upstream> upstream, Options options, ForwardPolicy policy,
               const std::string& route, telemetry::Metrics& metrics)
    : options_(options), shared_(std::make_shared<Shared>()) {
  policy.retries = 0;
  const auto counter = [&](std::string result) {
    return &metrics.AddCounter("starling_gateway_mirrored_total",
                               "Requests that were copied to another upstream, or would have been",
                               {{"route", route}, {"result", std::move(result)}});
  };
  shared_->upstream = std::move(upstream);
  shared_->policy = policy;
  shared_->answered = counter("answered");
  shared_->failed = counter("failed");
  shared_->skipped = counter("skipped");
}

const Upstream& Mirror::upstream() const { return *shared_->upstream; }

bool Mirror::Wants() {
  constexpr double kRandomBits = 0x1p-53;
  if (static_cast<double>(FastRandom() >> 11) * kRandomBits >= options_.sample) return false;
  if (shared_->in_flight.fetch_add(1, std::memory_order_relaxed) < options_.max_in_flight)
    return true;
  shared_->in_flight.fetch_sub(1, std::memory_order_relaxed);
  shared_->skipped->Add();
  return false;
}

void Mirror::Copy(const Executor& executor, const http::Request& request, Told told) {
  Task<void> run = Run(shared_, request, std::move(told));
  // Behind the request itself.
  boost::asio::post(
      executor, [executor, run = std::move(run)]() mutable { Spawn(executor, std::move(run)); });
}

Task<void> Mirror::Run(std::shared_ptr<Shared> shared, http::Request request, Told told) {
  struct Ends {
    std::atomic<int>& in_flight;
    ~Ends() { in_flight.fetch_sub(1, std::memory_order_relaxed); }
  };
  const Ends ends{shared->in_flight};
  Sink sink(std::chrono::steady_clock::now() + shared->policy.timeout);
  absl::InlinedVector<std::pair<std::string_view, std::string_view>, 4> headers;
  for (const auto& [name, value] : told.headers) headers.emplace_back(name, value);
  const auto on_head = [](http::Response&) { return Forwarding::Gather(); };
  const auto on_stream = [] {};
  const Forwarding how{.policy = shared->policy,
                       .target = told.target,
                       .headers = headers,
                       .on_head = on_head,
                       .on_stream = on_stream,
                       .trusted_peer = told.trusted_peer};
  const Status status = co_await shared->upstream->Forward(request, sink, how);
  const bool well = status.ok() && sink.response.status < 500;
  (well ? shared->answered : shared->failed)->Add();
}

}  // namespace starling::gateway
