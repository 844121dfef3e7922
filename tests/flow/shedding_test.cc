// Who is refused by a process that has too much to do, over HTTP and over gRPC, and what of an
// answer's context comes through. Limits stand still, and what runs waits until it is let go.
#include <gtest/gtest.h>

#include <mutex>

#include "contracts/catalog/v1/catalog.service.h"
#include "platform/http/client.h"
#include "platform/http/server.h"
#include "platform/rpc/grpc_channel.h"
#include "platform/rpc/grpc_server.h"
#include "platform/rpc/http_edge.h"
#include "platform/rpc/pending_call.h"
#include "platform/security/authenticator.h"
#include "platform/telemetry/telemetry.h"

namespace starling {
namespace {

using catalog::v1::Product;
using resilience::Priority;
using std::chrono::seconds;

constexpr resilience::ConcurrencyLimiter::Options kTen{.initial = 10, .least = 10, .most = 10};

// "wait" is answered once it is let go, "degraded" by a part that was not there.
class Shop final : public catalog::v1::Catalog {
 public:
  template <typename T>
  using Answer = Task<StatusOr<T>>;
  Answer<Product> GetProduct(CallContext& context,
                             const catalog::v1::GetProductRequest& request) override {
    priority = context.priority;
    if (request.product_id() == "degraded") context.AddDegraded("stock.GetStock");
    if (request.product_id() == "wait") {
      (void)co_await Suspend<bool>([this](Completion<bool> completion) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(completion));
      });
    }
    Product product;
    product.set_product_id(request.product_id());
    co_return product;
  }
  Answer<catalog::v1::BatchUpsertProductsResponse> BatchUpsertProducts(
      CallContext&, const catalog::v1::BatchUpsertProductsRequest&) override {
    co_return catalog::v1::BatchUpsertProductsResponse();
  }
  Answer<Product> CreateProduct(CallContext&, const catalog::v1::CreateProductRequest&) override {
    co_return Product();
  }
  Answer<Product> PutProduct(CallContext&, const catalog::v1::PutProductRequest&) override {
    co_return Product();
  }
  Answer<Product> UpdateProduct(CallContext&, const catalog::v1::UpdateProductRequest&) override {
    co_return Product();
  }
  Answer<google::protobuf::Empty> DeleteProduct(CallContext&,
                                                const catalog::v1::DeleteProductRequest&) override {
    co_return google::protobuf::Empty();
  }
  Answer<catalog::v1::ListProductsResponse> ListProducts(
      CallContext&, const catalog::v1::ListProductsRequest&) override {
    co_return catalog::v1::ListProductsResponse();
  }
  Answer<catalog::v1::BatchGetProductsResponse> BatchGetProducts(
      CallContext&, const catalog::v1::BatchGetProductsRequest&) override {
    co_return catalog::v1::BatchGetProductsResponse();
  }
  Task<Status> ExportProducts(CallContext&, const catalog::v1::ExportProductsRequest&,
                              rpc::Stream<Product>&) override {
    co_return OkStatus();
  }

  size_t waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  void LetGo() {
    std::vector<Completion<bool>> all;
    {
      const std::lock_guard lock(mutex_);
      all.swap(waiting_);
    }
    for (Completion<bool>& one : all) one(true);
  }
  std::optional<Priority> priority;  // of the newest call

 private:
  std::mutex mutex_;
  std::vector<Completion<bool>> waiting_;
};

class Everybody final : public security::Authenticator {
 public:
  Task<StatusOr<std::shared_ptr<const security::Identity>>> Authenticate(
      std::string_view) override {
    co_return std::make_shared<const security::Identity>(
        security::Identity{.kind = security::Identity::kKey,
                           .subject = "test",
                           .scopes = *security::ScopeSet::ParseText("admin")});
  }
  bool Recognises(std::string_view) const override { return true; }
};

class Shedding : public testing::Test {
 protected:
  Shedding() { registry_.AddLocal<catalog::v1::Catalog>(shop_, telemetry_, nullptr, {}); }
  ~Shedding() override { shop_->LetGo(); }
  void WaitFor(size_t calls) {
    while (shop_->waiting() < calls) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  bool Counted(const std::string& line) {
    return telemetry_.metrics().Expose().find(line) != std::string::npos;
  }

  const std::shared_ptr<Shop> shop_ = std::make_shared<Shop>();
  telemetry::Telemetry telemetry_;
  rpc::Registry registry_;
  Runtime runtime_{{.io_threads = 1}};
};

TEST_F(Shedding, OverGrpcTheLeastImportantIsRefusedFirst) {
  registry_.bindings().front().runtime->SetConcurrency(kTen);
  rpc::GrpcServer server(runtime_, registry_, {.cluster_key = "key"});
  const auto port = server.Start();
  ASSERT_TRUE(port.ok()) << port.status();
  Runtime caller({.io_threads = 1});
  const auto channel =
      rpc::MakeGrpcChannel({.target = fmt::format("127.0.0.1:{}", *port), .cluster_key = "key"});
  const std::shared_ptr<catalog::v1::Catalog> catalog = catalog::v1::Catalog::Connect(channel);
  const auto get = [&](const std::string& id, std::optional<Priority> priority,
                       std::string* degraded = nullptr) {
    return caller.Block([](catalog::v1::Catalog& to, std::string product_id,
                           std::optional<Priority> as, std::string* out) -> Task<Status> {
      CallContext context = CallContext::ForService("test", seconds(30));
      context.priority = as;
      catalog::v1::GetProductRequest request;
      request.set_product_id(product_id);
      StatusOr<Product> product = co_await to.GetProduct(context, request);
      if (out != nullptr) *out = context.degraded;
      co_return product.status();
    }(*catalog, id, priority, degraded));
  };
  while (!channel->Usable()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  for (int i = 0; i < 7; ++i) {
    Spawn(caller.NextExecutor(), [](std::shared_ptr<catalog::v1::Catalog> to) -> Task<void> {
      CallContext context = CallContext::ForService("test", seconds(30));
      catalog::v1::GetProductRequest request;
      request.set_product_id("wait");
      StatusOr<Product> product = co_await to->GetProduct(context, request);
      (void)product;
    }(catalog));
  }
  WaitFor(7);
  EXPECT_EQ(get("a", std::nullopt), OkStatus());
  const Status refused = get("a", Priority::kSheddable);
  EXPECT_EQ(Reason(refused), reason::kOverloaded) << refused;
  EXPECT_TRUE(RetryAfter(refused).has_value());
  EXPECT_TRUE(Counted("starling_rpc_shed_total{service=\"catalog\",method=\"GetProduct\"} 1"));
  const Status bulk = caller.Block([](catalog::v1::Catalog& to) -> Task<Status> {
    CallContext context = CallContext::ForService("test", seconds(30));
    const catalog::v1::BatchUpsertProductsRequest request;
    auto response = co_await to.BatchUpsertProducts(context, request);
    co_return response.status();
  }(*catalog));
  EXPECT_EQ(Reason(bulk), reason::kOverloaded) << "as its contract says";
  EXPECT_EQ(get("a", Priority::kCritical), OkStatus());
  EXPECT_EQ(shop_->priority, Priority::kCritical) << "it goes on to the calls within";
  std::string degraded;
  EXPECT_EQ(get("degraded", std::nullopt, &degraded), OkStatus());
  EXPECT_EQ(degraded, "stock.GetStock");
  shop_->LetGo();
  // Those that waited end one after the other.
  Status after = get("a", Priority::kSheddable);
  for (int i = 0; i < 1'000 && !after.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    after = get("a", Priority::kSheddable);
  }
  EXPECT_EQ(after, OkStatus());
  server.Drain(seconds(1));
}

TEST_F(Shedding, AtTheGatewayTheLeastImportantIsRefusedFirst) {
  resilience::ConcurrencyLimiter limiter(kTen);
  Everybody everybody;
  rpc::HttpEdge edge(
      {.authenticator = &everybody, .telemetry = &telemetry_, .concurrency = &limiter});
  auto router = std::make_shared<http::Router>();
  ASSERT_TRUE(edge.AddRoutes(registry_, *router).ok());
  http::Server server(runtime_, {.address = "127.0.0.1", .port = 0}, router);
  const auto port = server.Start();
  ASSERT_TRUE(port.ok()) << port.status();
  Runtime caller({.io_threads = 1});
  http::Client client(caller, http::Client::Options{});
  const auto ask = [&](http::Verb verb, const std::string& path, const std::string& body) {
    http::ClientRequest request{.verb = verb,
                                .url = fmt::format("http://127.0.0.1:{}{}", *port, path),
                                .headers = {},
                                .body = body};
    request.headers.Set("authorization", "Bearer x");
    return request;
  };
  const auto send = [&](http::ClientRequest request) {
    auto response = caller.Block(client.Send(std::move(request)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::ClientResponse();
  };
  const auto get = [&](const std::string& id) {
    return send(ask(http::Verb::kGet, "/v1/products/" + id, ""));
  };
  const auto bulk = [&] {
    return send(ask(http::Verb::kPost, "/v1/products:import", R"({"products":[]})"));
  };
  std::atomic<int> answered{0};
  for (int i = 0; i < 7; ++i) {
    Spawn(caller.NextExecutor(),
          [](http::Client& by, http::ClientRequest request, std::atomic<int>& count) -> Task<void> {
            auto response = co_await by.Send(std::move(request));
            (void)response;
            ++count;
          }(client, ask(http::Verb::kGet, "/v1/products/wait", ""), answered));
  }
  WaitFor(7);
  EXPECT_EQ(get("a").status, 200);
  EXPECT_EQ(shop_->priority, Priority::kNormal) << "it goes on to the calls within";
  const http::ClientResponse refused = bulk();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.Find("retry-after"), "1");
  EXPECT_TRUE(
      Counted("starling_gateway_shed_total{service=\"catalog\",method=\"BatchUpsertProducts\"} 1"));
  edge.SetPriorities({{"catalog.BatchUpsertProducts", Priority::kCritical}});
  EXPECT_EQ(bulk().status, 200) << "as configured";
  edge.SetPriorities({});
  EXPECT_EQ(bulk().status, 503);
  EXPECT_EQ(get("degraded").headers.Find("x-degraded"), "stock.GetStock");
  EXPECT_FALSE(get("a").headers.Find("x-degraded").has_value());
  shop_->LetGo();
  while (answered.load() < 7) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(bulk().status, 200);
  EXPECT_EQ(limiter.in_flight(), 0);
  (void)runtime_.Block(server.Drain(seconds(1)));
}

}  // namespace
}  // namespace starling
