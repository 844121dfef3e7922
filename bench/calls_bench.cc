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
                         .scopes = *security::ScopeSet::ParseText("catalog.read catalog.write")});
  return CallContext(identity, std::chrono::steady_clock::now() + std::chrono::minutes(5));
}

// Microseconds a call, `count` calls one after the other; the median of five rounds.
template <auto kMethod, typename Request>
Task<double> Microseconds(catalog::v1::Catalog& catalog, int count) {
  Request request;
  request.set_product_id("p-1");
  std::vector<double> rounds;
  for (int round = 0; round < 5; ++round) {
    const Instant start = std::chrono::steady_clock::now();
    // As a service calls others: with the context that it was given.
    CallContext context = Caller();
    for (int i = 0; i < count; ++i) {
      auto call = (catalog.*kMethod)(context, request);
      const auto& response = co_await call;
      if (!response.ok()) {
        fmt::print(stderr, "{}\n", ToString(response.status()));
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

template <auto kMethod, typename Request>
void Compare(std::string_view name, Runtime& runtime, Runtime& caller,
             telemetry::Telemetry& telemetry, catalog::v1::Catalog& bare,
             catalog::v1::Catalog& local, catalog::v1::Catalog& remote) {
  const double direct = runtime.Block(Microseconds<kMethod, Request>(bare, 200'000));
  const double in_process = runtime.Block(Microseconds<kMethod, Request>(local, 200'000));
  telemetry.tracer().SetSamplingRatio(1);
  const double sampled = runtime.Block(Microseconds<kMethod, Request>(local, 200'000));
  telemetry.tracer().SetSamplingRatio(0);
  const double grpc = caller.Block(Microseconds<kMethod, Request>(remote, 2'000));
  fmt::print("{}\n", name);
  fmt::print("{:<66} {:>8.3f} {:>8}\n", "  the coroutine alone, with its context", direct, "");
  fmt::print("{:<66} {:>8.3f} {:>8.2f}\n",
             "  in process: access rule, deadline, bound, span (unsampled), RED", in_process, 1.0);
  fmt::print("{:<66} {:>8.3f} {:>8.2f}\n", "  in process, every span recorded", sampled,
             sampled / in_process);
  fmt::print("{:<66} {:>8.3f} {:>8.0f}\n", "  gRPC on loopback, 1 in flight", grpc,
             grpc / in_process);
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

  Runtime caller({.io_threads = 1});
  fmt::print("{:<66} {:>8} {:>8}\n", "one call, by a key whose scope the access rule asks for",
             "us", "ratio");
  Compare<&catalog::v1::Catalog::DeleteProduct, catalog::v1::DeleteProductRequest>(
      "DeleteProduct, answers Empty", runtime, caller, telemetry, *bare, *local, *remote);
  Compare<&catalog::v1::Catalog::GetProduct, catalog::v1::GetProductRequest>(
      "GetProduct, answers a Product (12 fields; half of it is moving them)", runtime, caller,
      telemetry, *bare, *local, *remote);
  server.Drain(std::chrono::seconds(1));
  return 0;
}

}  // namespace
}  // namespace starling

int main() { return starling::Main(); }
