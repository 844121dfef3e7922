#include "services/training/dataset_reader.h"

#include <thread>

#include "platform/telemetry/log.h"
#include "services/training/message_stream.h"

namespace starling::training {
namespace {

constexpr size_t kWaitingMessages = 256;
const features::v1::ExportInteractionsRequest kEverything;
const catalog::v1::ExportProductsRequest kEveryProduct;
constexpr Duration kLongestWait = std::chrono::minutes(5);

// Gives each message of a streaming call to `take`, on this thread, until it or the call fails.
// `call` begins the call into the stream that it is given.
template <typename T, typename Call, typename Take>
Status ReadAll(Runtime& runtime, const TrainingConfig& config, const Call& call, const Take& take) {
  CancellationSource cancel;
  rpc::CallContext context = rpc::CallContext::ForService("training", config.time_limit);
  context.cancellation = cancel.token();
  MessageStream<T> stream(kWaitingMessages);
  const auto receive = [&]() -> Task<void> {
    // Bound first: the stream may be gone once End was called.
    Status status = co_await call(context, stream);
    stream.End(std::move(status));
  };
  Spawn(runtime.NextExecutor(), receive());
  Status failed;
  while (!stream.ended()) {
    const std::optional<T> message = stream.Next(std::chrono::milliseconds(100));
    if (!failed.ok()) continue;  // until the sender has noticed
    failed = take(message);
    if (!failed.ok()) {
      stream.Stop();
      cancel.Cancel();
    }
  }
  STARLING_RETURN_IF_ERROR(failed);
  return stream.status();
}

StatusOr<Dataset> ReadInteractions(Runtime& runtime, features::v1::Features& features,
                                   const TrainingConfig& config, const ReadWatch& watch) {
  DatasetBuilder builder(config.weights.ByKind(), config.memory.count());
  size_t users = 0;
  const Status read = ReadAll<features::v1::UserInteractions>(
      runtime, config,
      [&](rpc::CallContext& context, rpc::Stream<features::v1::UserInteractions>& stream) {
        return features.ExportInteractions(context, kEverything, stream);
      },
      [&](const std::optional<features::v1::UserInteractions>& user) -> Status {
        // How much will come is not known: the bar nears the end of this step and never reaches it.
        if (user.has_value()) ++users;
        const double done = static_cast<double>(users) / (static_cast<double>(users) + 5'000);
        if (!watch(done, "reading")) return Cancelled("the training was cancelled");
        return user.has_value() ? builder.Add(*user) : OkStatus();
      });
  STARLING_RETURN_IF_ERROR(Annotate(read, "the interactions cannot be read"));
  return std::move(builder).Finish();
}

StatusOr<std::vector<Described>> ReadProducts(Runtime& runtime, catalog::v1::Catalog& catalog,
                                              const TrainingConfig& config,
                                              const ReadWatch& watch) {
  std::vector<Described> products;
  uint64_t bytes = 0;
  const Status read = ReadAll<catalog::v1::Product>(
      runtime, config,
      [&](rpc::CallContext& context, rpc::Stream<catalog::v1::Product>& stream) {
        return catalog.ExportProducts(context, kEveryProduct, stream);
      },
      [&](const std::optional<catalog::v1::Product>& product) -> Status {
        if (!watch(1, "reading products")) return Cancelled("the training was cancelled");
        if (!product.has_value()) return OkStatus();
        Described& described = products.emplace_back();
        described.id = product->product_id();
        described.title = product->title();
        described.brand = product->brand();
        described.categories.assign(product->categories().begin(), product->categories().end());
        described.price =
            static_cast<double>(product->price().units()) + product->price().nanos() * 1e-9;
        bytes += sizeof(Described) + product->ByteSizeLong();
        if (bytes > config.memory.count() / 4) {
          return ResourceExhausted(
              "{} products take more than a quarter of the {} MB that training.memory allows",
              products.size(), config.memory.count() / 1'000'000);
        }
        return OkStatus();
      });
  STARLING_RETURN_IF_ERROR(read);
  return products;
}

}  // namespace

StatusOr<Dataset> ReadDataset(Runtime& runtime, features::v1::Features& features,
                              catalog::v1::Catalog* catalog, const TrainingConfig& config,
                              const ReadWatch& watch) {
  const Instant start = std::chrono::steady_clock::now();
  while (true) {
    StatusOr<Dataset> data = ReadInteractions(runtime, features, config, watch);
    if (data.ok() && catalog != nullptr) {
      const auto products = ReadProducts(runtime, *catalog, config, watch);
      if (products.status().code() == StatusCode::kCancelled) return products.status();
      if (products.ok()) {
        STARLING_RETURN_IF_ERROR(Describe(*products, *data));
      } else {
        log::Warning("training", "goes on without what the catalogue says").With(products.status());
      }
    }
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
