// What a call costs: in process through the generated binding, and over gRPC on loopback, in one
// run.
//   ./dev bench calls
#include <fmt/core.h>

#include <filesystem>
#include <latch>

#include "contracts/catalog/v1/catalog.service.h"
#include "platform/base/id.h"
#include "platform/rpc/grpc_channel.h"
#include "platform/rpc/grpc_server.h"
#include "platform/rpc/registry.h"
#include "platform/telemetry/telemetry.h"

namespace starling {
namespace {

// A service that does nothing, so that only the way to it is measured.
class Nothing final : public catalog::v1::Catalog {
 public:
  using Empty = google::protobuf::Empty;
  using P = catalog::v1::Product;
  template <typename T>
  Task<StatusOr<T>> Give() {
    co_return T();
  }
  Task<StatusOr<P>> CreateProduct(CallContext&, const catalog::v1::CreateProductRequest&) override {
    return Give<P>();
  }
  Task<StatusOr<P>> PutProduct(CallContext&, const catalog::v1::PutProductRequest&) override {
    return Give<P>();
  }
  Task<StatusOr<P>> UpdateProduct(CallContext&, const catalog::v1::UpdateProductRequest&) override {
    return Give<P>();
  }
  Task<StatusOr<Empty>> DeleteProduct(CallContext&,
                                      const catalog::v1::DeleteProductRequest&) override {
    return Give<Empty>();
  }
  Task<StatusOr<P>> GetProduct(CallContext&, const catalog::v1::GetProductRequest&) override {
    return Give<P>();
  }
  Task<StatusOr<catalog::v1::ListProductsResponse>> ListProducts(
      CallContext&, const catalog::v1::ListProductsRequest&) override {
    return Give<catalog::v1::ListProductsResponse>();
  }
  Task<StatusOr<catalog::v1::BatchGetProductsResponse>> BatchGetProducts(
      CallContext&, const catalog::v1::BatchGetProductsRequest&) override {
    return Give<catalog::v1::BatchGetProductsResponse>();
  }
  Task<StatusOr<catalog::v1::BatchUpsertProductsResponse>> BatchUpsertProducts(
      CallContext&, const catalog::v1::BatchUpsertProductsRequest&) override {
    return Give<catalog::v1::BatchUpsertProductsResponse>();
  }
  Task<Status> ExportProducts(CallContext&, const catalog::v1::ExportProductsRequest&,
                              rpc::Stream<P>&) override {
    co_return OkStatus();
  }
};

// A caller with a scope, as a key from outside: the whole access rule is gone through.
CallContext Caller() {
  static const auto identity = std::make_shared<const security::Identity>(
      security::Identity{.kind = security::Identity::kKey,
                         .subject = "bench",
                         .scopes = *security::ScopeSet::ParseText("catalog.read")});
  return CallContext(identity, std::chrono::steady_clock::now() + std::chrono::minutes(5));
}

// Microseconds a call, `count` calls one after the other; the median of five rounds.
Task<double> Microseconds(catalog::v1::Catalog& catalog, int count) {
  catalog::v1::GetProductRequest request;
  request.set_product_id("p-1");
  std::vector<double> rounds;
  for (int round = 0; round < 5; ++round) {
    const Instant start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      CallContext context = Caller();
      const StatusOr<catalog::v1::Product> product = co_await catalog.GetProduct(context, request);
      if (!product.ok()) {
        fmt::print(stderr, "{}\n", ToString(product.status()));
        co_return -1;
      }
    }
    rounds.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count() /
        count);
  }
  std::sort(rounds.begin(), rounds.end());
  co_return rounds[2];
}

int Main() {
  Runtime runtime({.io_threads = 1});
  telemetry::Telemetry telemetry;
  rpc::Registry registry;
  const auto bare = std::make_shared<Nothing>();
  const std::shared_ptr<catalog::v1::Catalog> local =
      registry.AddLocal<catalog::v1::Catalog>(bare, telemetry, nullptr, {});
  rpc::GrpcServer server(runtime, registry, {.cluster_key = "bench"});
  const auto port = server.Start();
  if (!port.ok()) return 1;
  const auto remote = catalog::v1::Catalog::Connect(rpc::MakeGrpcChannel(
      {.target = "127.0.0.1:" + std::to_string(*port), .cluster_key = "bench"}));

  const double direct = runtime.Block(Microseconds(*bare, 200'000));
  const double in_process = runtime.Block(Microseconds(*local, 200'000));
  telemetry.tracer().SetSamplingRatio(1);
  const double sampled = runtime.Block(Microseconds(*local, 200'000));
  telemetry.tracer().SetSamplingRatio(0);
  Runtime caller({.io_threads = 1});
  const double grpc = caller.Block(Microseconds(*remote, 2'000));

  fmt::print("{:<58} {:>10} {:>10}\n", "one call of Catalog.GetProduct (an empty product)", "us",
             "ratio");
  fmt::print("{:<58} {:>10.3f} {:>10}\n", "the coroutine alone, with its context", direct, "");
  fmt::print("{:<58} {:>10.3f} {:>10.2f}\n",
             "in process: rule, deadline, bound, span (unsampled), RED", in_process, 1.0);
  fmt::print("{:<58} {:>10.3f} {:>10.2f}\n", "in process, every span recorded", sampled,
             sampled / in_process);
  fmt::print("{:<58} {:>10.3f} {:>10.0f}\n", "gRPC on loopback, 1 in flight", grpc,
             grpc / in_process);
  server.Drain(std::chrono::seconds(1));
  return 0;
}

}  // namespace
}  // namespace starling

int main() { return starling::Main(); }
