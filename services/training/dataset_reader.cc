#include "services/training/dataset_reader.h"

#include <thread>

#include "services/training/interaction_stream.h"

namespace starling::training {
namespace {

constexpr size_t kWaitingMessages = 256;
constexpr Duration kLongestWait = std::chrono::minutes(5);

Task<void> Export(features::v1::Features& features, rpc::CallContext& context,
                  InteractionStream& stream) {
  // Bound first: the stream may be gone once End was called.
  Status status = co_await features.ExportInteractions(context, {}, stream);
  stream.End(std::move(status));
}

StatusOr<Dataset> ReadOnce(Runtime& runtime, features::v1::Features& features,
                           const TrainingConfig& config, const ReadWatch& watch) {
  DatasetBuilder builder(config.weights.ByKind(), config.memory.count());
  CancellationSource cancel;
  rpc::CallContext context = rpc::CallContext::ForService("training", config.time_limit);
  context.cancellation = cancel.token();
  InteractionStream stream(kWaitingMessages);
  Spawn(runtime.NextExecutor(), Export(features, context, stream));
  Status failed;
  size_t users = 0;
  while (!stream.ended()) {
    const auto user = stream.Next(std::chrono::milliseconds(100));
    if (!failed.ok()) continue;  // until the sender has noticed
    // How much will come is not known: the bar nears the end of this step and never reaches it.
    if (user.has_value()) ++users;
    const double done = static_cast<double>(users) / (static_cast<double>(users) + 5'000);
    if (!watch(done, "reading")) {
      failed = Cancelled("the training was cancelled");
    } else if (user.has_value()) {
      failed = builder.Add(*user);
    }
    if (!failed.ok()) {
      stream.Stop();
      cancel.Cancel();
    }
  }
  STARLING_RETURN_IF_ERROR(failed);
  STARLING_RETURN_IF_ERROR(Annotate(stream.status(), "the interactions cannot be read"));
  return std::move(builder).Finish();
}

}  // namespace

StatusOr<Dataset> ReadDataset(Runtime& runtime, features::v1::Features& features,
                              const TrainingConfig& config, const ReadWatch& watch) {
  const Instant start = std::chrono::steady_clock::now();
  while (true) {
    StatusOr<Dataset> data = ReadOnce(runtime, features, config, watch);
    if (data.status().code() != StatusCode::kUnavailable ||
        std::chrono::steady_clock::now() - start > kLongestWait) {
      return data;
    }
    for (int i = 0; i < 5; ++i) {
      if (!watch(0, "waiting for features")) return Cancelled("the training was cancelled");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

}  // namespace starling::training
