// A shop in one process, whose orders are sagas over three services with a store each:
//
//   saga_shop FOLDER SEED ORDERS local|grpc CRASH_AT
//
// Places ORDERS orders and works until no run is open. At the CRASH_AT-th point where a crash would
// be of interest the process ends at once; 0: never. Calls fail by chance, before or after they
// have acted. Exit code: 0 all ended, 42 crashed as told, 3 some run did not end.
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "platform/base/hash.h"
#include "platform/rpc/grpc_channel.h"
#include "platform/rpc/grpc_server.h"
#include "platform/rpc/registry.h"
#include "platform/rpc/sql_idempotency_store.h"
#include "platform/saga/engine.h"
#include "tests/saga/shop.service.h"

namespace starling {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kClusterKey[] = "a key of this test alone";
constexpr int kCrashed = 42;
constexpr int kNotEnded = 3;

std::atomic<int> points_left{0};
// A point where the process may end.
void Point() {
  if (points_left > 0 && --points_left == 0) _exit(kCrashed);
}

bool OneIn(uint64_t n) { return FastRandom() % n == 0; }

// What one service did for each order. A change is known by its id alone, so an id that a repeated
// call made anew would count twice.
class Ledger {
 public:
  Ledger(const std::filesystem::path& folder, std::string_view name)
      : database_(*sql::Database::Open({.path = folder / fmt::format("{}.sqlite", name)}, {})) {
    const Status made = database_->WriteSync([](sql::Transaction& transaction) -> Status {
      STARLING_RETURN_IF_ERROR(
          transaction.Execute("CREATE TABLE IF NOT EXISTS changes (id TEXT PRIMARY KEY)"));
      return transaction.Execute(
          "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, done BIGINT NOT NULL, undone "
          "BIGINT NOT NULL)");
    });
    if (!made.ok()) std::abort();
  }

  Task<StatusOr<saga_shop::v1::ChangeResponse>> Do(const saga_shop::v1::ChangeRequest& request,
                                                   uint64_t refuse_one_in) {
    const std::string& order = request.order_id();
    if (refuse_one_in > 0 && Hash64(order) % refuse_one_in == 0) {
      co_return FailedPrecondition("order '{}' is refused", order);
    }
    const StatusOr<saga_shop::v1::ChangeResponse> response = co_await Change(request, true);
    co_return response;
  }
  Task<StatusOr<saga_shop::v1::ChangeResponse>> Undo(const saga_shop::v1::ChangeRequest& request) {
    const StatusOr<saga_shop::v1::ChangeResponse> response = co_await Change(request, false);
    co_return response;
  }

 private:
  Task<StatusOr<saga_shop::v1::ChangeResponse>> Change(const saga_shop::v1::ChangeRequest& request,
                                                       bool does) {
    Point();
    if (OneIn(8)) co_return Unavailable("away before it acted");
    const Status status = co_await database_->Write(
        [&](sql::Transaction& transaction) { return ChangeIn(transaction, request, does); });
    Point();
    if (!status.ok()) co_return status;
    if (OneIn(8)) co_return Unavailable("away after it acted");
    co_return saga_shop::v1::ChangeResponse();
  }
  static Status ChangeIn(sql::Transaction& transaction, const saga_shop::v1::ChangeRequest& request,
                         bool does) {
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO changes VALUES (?1) ON CONFLICT (id) DO NOTHING", request.change_id()));
    if (transaction.changes() == 0) return OkStatus();
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO orders VALUES (?1, 0, 0) ON CONFLICT (id) DO NOTHING", request.order_id()));
    if (!does) {
      return transaction.Execute("UPDATE orders SET undone = undone + 1 WHERE id = ?1",
                                 request.order_id());
    }
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "UPDATE orders SET done = done + 1 WHERE id = ?1 AND undone = 0", request.order_id()));
    if (transaction.changes() == 1) return OkStatus();
    return FailedPrecondition("order '{}' was undone before", request.order_id());
  }

  std::unique_ptr<sql::Database> database_;
};

using Response = StatusOr<saga_shop::v1::ChangeResponse>;
using Request = saga_shop::v1::ChangeRequest;

class StockService final : public saga_shop::v1::Stock {
 public:
  explicit StockService(const std::filesystem::path& folder) : ledger_(folder, "stock") {}
  Task<Response> Reserve(rpc::CallContext&, const Request& request) override {
    return ledger_.Do(request, 5);
  }
  Task<Response> Release(rpc::CallContext&, const Request& request) override {
    return ledger_.Undo(request);
  }

 private:
  Ledger ledger_;
};

class PaymentsService final : public saga_shop::v1::Payments {
 public:
  explicit PaymentsService(const std::filesystem::path& folder) : ledger_(folder, "payments") {}
  Task<Response> Pay(rpc::CallContext&, const Request& request) override {
    return ledger_.Do(request, 3);
  }
  Task<Response> Refund(rpc::CallContext&, const Request& request) override {
    return ledger_.Undo(request);
  }

 private:
  Ledger ledger_;
};

class ShippingService final : public saga_shop::v1::Shipping {
 public:
  explicit ShippingService(const std::filesystem::path& folder) : ledger_(folder, "shipping") {}
  Task<Response> Ship(rpc::CallContext&, const Request& request) override {
    return ledger_.Do(request, 0);
  }

 private:
  Ledger ledger_;
};

// One call of a service, made as the saga's step.
template <typename Service>
saga::Action Calling(std::shared_ptr<Service> service,
                     Task<Response> (Service::*method)(rpc::CallContext&, const Request&)) {
  return [service, method](saga::StepContext& context, saga::State&) -> Task<Status> {
    rpc::CallContext call = context.Call();
    Request request;
    request.set_order_id(context.run_id());
    request.set_change_id(context.key());
    const Response response = co_await ((*service).*method)(call, request);
    co_return response.status();
  };
}

saga::Definition PlaceOrder(const rpc::Registry& services) {
  using saga_shop::v1::Payments;
  using saga_shop::v1::Shipping;
  using saga_shop::v1::Stock;
  const auto stock = services.Get<Stock>();
  const auto payments = services.Get<Payments>();
  const saga::RetryPolicy retry{
      .max_attempts = 4, .first_pause = milliseconds(2), .max_pause = milliseconds(20)};
  saga::Definition definition{.name = "place_order"};
  definition.steps.push_back({.name = "reserve",
                              .action = Calling(stock, &Stock::Reserve),
                              .compensation = Calling(stock, &Stock::Release),
                              .retry = retry});
  definition.steps.push_back({.name = "pay",
                              .action = Calling(payments, &Payments::Pay),
                              .compensation = Calling(payments, &Payments::Refund),
                              .retry = retry,
                              .pivot = true});
  definition.steps.push_back({.name = "ship",
                              .action = Calling(services.Get<Shipping>(), &Shipping::Ship),
                              .retry = retry});
  return definition;
}

Status PlaceOrders(sql::Database& database, saga::Engine& engine, Runtime& runtime,
                   const std::string& seed, int orders) {
  for (int i = 0; i < orders; ++i) {
    const std::string id = fmt::format("order-{}-{}", seed, i);
    const Status placed = database.WriteSync([&](sql::Transaction& transaction) -> Status {
      STARLING_RETURN_IF_ERROR(transaction.Execute("INSERT INTO orders VALUES (?1)", id));
      return engine.Start(transaction, "place_order", id, {});
    });
    STARLING_RETURN_IF_ERROR(placed);
    if (OneIn(8)) (void)runtime.Block(engine.Cancel(id));  // it may be too late for it
  }
  return OkStatus();
}

bool AllEnded(sql::Database& database) {
  const Instant until = std::chrono::steady_clock::now() + seconds(60);
  while (std::chrono::steady_clock::now() < until) {
    const auto open = database.ReadSync(
        [](sql::Connection& connection) { return saga::store::CountOpen(connection); });
    if (open.ok() && open->empty()) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return false;
}

int Main(const std::filesystem::path& folder, const std::string& seed, int orders, bool grpc,
         int crash_at) {
  telemetry::Telemetry telemetry;
  Runtime runtime({.io_threads = 2});
  const auto keys = *sql::Database::Open({.path = folder / "keys.sqlite"}, {});
  const auto idempotency = *rpc::OpenSqlIdempotencyStore(*keys, SystemClock(), {});
  const auto database = *sql::Database::Open({.path = folder / "orders.sqlite"}, {});
  rpc::Registry local;
  rpc::Registry remote;
  const StopAtEnd stop(runtime);
  using saga_shop::v1::Payments;
  using saga_shop::v1::Shipping;
  using saga_shop::v1::Stock;
  local.AddLocal<Stock>(std::make_shared<StockService>(folder), telemetry, idempotency.get(), {});
  local.AddLocal<Payments>(std::make_shared<PaymentsService>(folder), telemetry, idempotency.get(),
                           {});
  local.AddLocal<Shipping>(std::make_shared<ShippingService>(folder), telemetry, idempotency.get(),
                           {});
  rpc::GrpcServer server(runtime, local, {.cluster_key = kClusterKey});
  if (grpc) {
    const auto channel = rpc::MakeGrpcChannel(
        {.target = fmt::format("127.0.0.1:{}", *server.Start()), .cluster_key = kClusterKey});
    remote.AddRemote<Stock>(channel);
    remote.AddRemote<Payments>(channel);
    remote.AddRemote<Shipping>(channel);
  }
  const auto engine = *saga::Engine::Open("orders", *database, runtime, telemetry, SystemClock(),
                                          {.lease = milliseconds(150),
                                           .poll = milliseconds(10),
                                           .at = [](saga::Point, std::string_view) { Point(); }});
  Status status = database->WriteSync([](sql::Transaction& transaction) {
    return transaction.Execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY)");
  });
  if (status.ok()) status = engine->Add(PlaceOrder(grpc ? remote : local));
  if (!status.ok()) std::abort();
  points_left = crash_at;
  engine->Work();
  status = PlaceOrders(*database, *engine, runtime, seed, orders);
  if (!status.ok()) std::abort();
  const bool ended = AllEnded(*database);
  points_left = 0;
  engine->Stop();
  server.Drain(seconds(1));
  return ended ? 0 : kNotEnded;
}

}  // namespace
}  // namespace starling

int main(int count, char** arguments) {
  if (count != 6) return 2;
  return starling::Main(arguments[1], arguments[2], std::atoi(arguments[3]),
                        std::string_view(arguments[4]) == "grpc", std::atoi(arguments[5]));
}
