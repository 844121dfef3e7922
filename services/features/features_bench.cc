// How fast events are consumed, exported and answered from, beside how fast the event log alone
// hands them over, and the memory of it all. Events of 2,500 users with 92,000 products, some far
// more popular than others, in the order of their times, and a catalogue of 92,331 products:
//
//   build/release/bin/features_bench [events]
#include <fmt/core.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "contracts/catalog/v1/catalog.pb.h"
#include "contracts/ingestion/v1/ingestion.pb.h"
#include "platform/base/id.h"
#include "platform/host/test_environment.h"
#include "services/features/features_service.h"

namespace starling::features {
namespace {

constexpr int kUsers = 2'500;
constexpr int kProducts = 92'000;
constexpr int kCatalogue = 92'331;
constexpr char kTopic[] = "user-events";

double Seconds(Instant since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

double ResidentMib() {
  std::ifstream status("/proc/self/statm");
  int64_t total = 0, resident = 0;
  status >> total >> resident;
  return static_cast<double>(resident) * 4 / 1024;
}

std::string UserId(uint64_t user) { return fmt::format("user-{}", user); }
std::string ProductId(uint64_t product) { return fmt::format("{}", 100'000 + product); }

messaging::Event Make(int64_t at) {
  const char* types[] = {"view", "view", "view", "click", "cart", "purchase"};
  const double uniform = static_cast<double>(FastRandom() % 1'000'000) / 1'000'000;
  ingestion::v1::UserEvent event;
  event.set_event_id(NewId());
  event.set_user_id(UserId(FastRandom() % kUsers));
  // Every product, the first far more often.
  event.set_product_id(ProductId(FastRandom() % 3 == 0
                                     ? FastRandom() % kProducts
                                     : static_cast<uint64_t>(std::pow(kProducts, uniform)) - 1));
  event.set_type(types[FastRandom() % 6]);
  event.mutable_occurred_at()->set_seconds(at);
  event.set_quantity(1);
  event.set_price(static_cast<double>(FastRandom() % 1'000) / 100);
  return {.id = event.event_id(),
          .source = "/ingestion",
          .type = "starling.user.event.v1",
          .subject = event.product_id(),
          .datacontenttype = "application/protobuf",
          .partitionkey = event.user_id(),
          .data = event.SerializeAsString()};
}

void Fail(const Status& status) {
  fmt::print(stderr, "{}\n", ToString(status));
  std::abort();
}

void Fill(host::TestEnvironment& environment, int events) {
  const int64_t now = environment.clock().Now().time_since_epoch() / std::chrono::seconds(1);
  for (int made = 0; made < events;) {
    std::vector<messaging::Event> batch;
    for (; batch.size() < 1'000 && made < events; ++made)
      batch.push_back(Make(now - int64_t{20} * (events - made)));
    const auto appended = environment.Block(environment.events().AppendBatch(kTopic, batch));
    if (!appended.ok()) Fail(appended.status());
  }
}

// 44 departments, 308 categories, 2,383 narrowest ones, 6,476 brands, as Complete Journey has
// about.
void FillCatalogue(host::TestEnvironment& environment) {
  for (uint64_t made = 0; made < kCatalogue;) {
    std::vector<messaging::Event> batch;
    for (; batch.size() < 1'000 && made < kCatalogue; ++made) {
      const uint64_t narrowest = FastRandom() % 2'383;
      catalog::v1::ProductChanged changed;
      catalog::v1::Product& product = *changed.mutable_product();
      product.set_product_id(ProductId(made));
      product.set_title("A product");
      product.add_categories(fmt::format("DEPARTMENT {}", narrowest % 44));
      product.add_categories(fmt::format("COMMODITY {}", narrowest % 308));
      product.add_categories(fmt::format("SUB COMMODITY {}", narrowest));
      product.set_brand(fmt::format("Manufacturer {}", FastRandom() % 6'476));
      product.mutable_price()->set_currency_code("USD");
      product.mutable_price()->set_units(static_cast<int64_t>(FastRandom() % 20));
      product.mutable_price()->set_nanos(static_cast<int32_t>(FastRandom() % 100) * 10'000'000);
      batch.push_back({.id = NewId(),
                       .source = "/catalog",
                       .type = "starling.catalog.product.put.v1",
                       .partitionkey = product.product_id(),
                       .data = changed.SerializeAsString()});
    }
    const auto appended = environment.Block(environment.events().AppendBatch("catalog", batch));
    if (!appended.ok()) Fail(appended.status());
  }
}

// Until the group has consumed all; events a second.
double Consumed(host::TestEnvironment& environment, std::string_view group, int events,
                const char* topic = kTopic) {
  const Instant start = std::chrono::steady_clock::now();
  while (true) {
    const auto lag = environment.events().Lag(topic, group);
    if (lag.ok() && *lag == 0) return events / Seconds(start);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

struct Counting final : rpc::Stream<v1::UserInteractions> {
  Task<Status> Write(const v1::UserInteractions& message) override {
    interactions += message.product_ids_size();
    co_return OkStatus();
  }
  int64_t interactions = 0;
};

// Microseconds a call.
template <typename Call>
double Cost(host::TestEnvironment& environment, int calls, Call call) {
  return environment.Block([](int calls, Call call) -> Task<double> {
    const Instant start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) {
      const Status status = co_await call(i);
      if (!status.ok()) Fail(status);
    }
    co_return Seconds(start) * 1e6 / calls;
  }(calls, std::move(call)));
}

constexpr const char* kOfEvents[] = {"user.purchases_30d",         "user.views_7d",
                                     "user.distinct_products_30d", "user.mean_price",
                                     "product.popularity",         "product.purchases_30d",
                                     "product.views_7d",           "product.days_since_purchase"};
constexpr const char* kOfCatalogue[] = {"user.price_level", "user.categories",
                                        "user.category_share_top"};

double ReadCost(host::TestEnvironment& environment, FeaturesService& service, int users,
                int products, int calls, std::span<const char* const> features = kOfEvents) {
  v1::ReadFeaturesRequest request;
  for (const char* name : features) request.add_features(name);
  for (int i = 0; i < users; ++i)
    request.add_user_ids(UserId(static_cast<uint64_t>(i) * 7 % kUsers));
  for (int i = 0; i < products; ++i)
    request.add_product_ids(ProductId(static_cast<uint64_t>(i) * 91 % kProducts));
  return Cost(environment, calls, [&](int) -> Task<Status> {
    rpc::CallContext context = rpc::CallContext::ForService("bench", std::chrono::seconds(60));
    const auto response = co_await service.ReadFeatures(context, request);
    co_return response.status();
  });
}

double AffinityCost(host::TestEnvironment& environment, FeaturesService& service, int users,
                    int calls) {
  return Cost(environment, calls, [&](int call) -> Task<Status> {
    v1::ReadAffinitiesRequest request;
    for (int i = 0; i < users; ++i)
      request.add_user_ids(UserId(static_cast<uint64_t>(call * users + i) * 7 % kUsers));
    rpc::CallContext context = rpc::CallContext::ForService("bench", std::chrono::seconds(60));
    const auto response = co_await service.ReadAffinities(context, request);
    co_return response.status();
  });
}

void Row(std::string_view what, double value, std::string_view unit) {
  fmt::print("{:<58} {:>14.2f} {}\n", what, value, unit);
}

int Main(int events) {
  host::TestEnvironment environment;
  Fill(environment, events);
  double alone = 0;
  {
    auto nothing = environment.events().Subscribe(
        kTopic, "nothing", {.max_batch = 4'096},
        [](std::span<const messaging::Delivered>) -> Task<Status> { co_return OkStatus(); });
    if (!nothing.ok()) Fail(nothing.status());
    alone = Consumed(environment, "nothing", events);
  }
  const double before = ResidentMib();
  auto service = *FeaturesService::Create(environment.get());
  if (const Status started = service->Start(); !started.ok()) Fail(started);
  const double rate = Consumed(environment, "features", events);
  fmt::print("{} events of {} users with {} products\n", events, kUsers, kProducts);
  Row("the event log alone hands over", alone, "events/s");
  Row("consumed, durable and counted", rate, "events/s");
  Row("ratio", rate / alone, "");
  Row("resident before", before, "MiB");
  const double with_events = ResidentMib();
  Row("resident with all of them", with_events, "MiB");
  const Instant filling = std::chrono::steady_clock::now();
  FillCatalogue(environment);
  Consumed(environment, "features", kCatalogue, "catalog");
  Row("a catalogue written and consumed", kCatalogue / Seconds(filling), "events/s");
  Row("resident with the catalogue too", ResidentMib(), "MiB");

  service->Stop();
  service.reset();
  const Instant start = std::chrono::steady_clock::now();
  service = *FeaturesService::Create(environment.get());
  if (const Status started = service->Start(); !started.ok()) Fail(started);
  Row("Create and Start", Seconds(start), "s");
  while (!service->Health().ok()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Row("loaded after a restart", Seconds(start), "s");
  Row("resident after a restart", ResidentMib(), "MiB");

  rpc::CallContext context = rpc::CallContext::ForService("bench", std::chrono::seconds(60));
  for (int round = 0; round < 2; ++round) {
    Counting counting;
    const Instant exporting = std::chrono::steady_clock::now();
    const Status exported = environment.Block(service->ExportInteractions(context, {}, counting));
    if (!exported.ok()) Fail(exported);
    if (round > 0)
      Row("exported", static_cast<double>(counting.interactions) / Seconds(exporting),
          "interactions/s");
  }
  environment.clock().Advance(std::chrono::seconds(2));
  Row("most popular products made anew",
      Cost(environment, 1,
           [&](int) -> Task<Status> {
             const auto popular = co_await service->ListPopular(context, {});
             co_return popular.status();
           }),
      "us");
  Row("ListPopular, 100 products",
      Cost(environment, 20'000,
           [&](int) -> Task<Status> {
             const auto popular = co_await service->ListPopular(context, {});
             co_return popular.status();
           }),
      "us");
  Row("ReadFeatures, 8 features of 1 user", ReadCost(environment, *service, 1, 0, 5'000), "us");
  Row("ReadFeatures, 8 features of 1 popular product", ReadCost(environment, *service, 0, 1, 200),
      "us");
  Row("ReadFeatures, 8 features of 100 users", ReadCost(environment, *service, 100, 0, 100), "us");
  Row("ReadFeatures, 8 features of 1 user and 100 products",
      ReadCost(environment, *service, 1, 100, 100), "us");
  Row("ReadFeatures, 8 features of 1,000 products", ReadCost(environment, *service, 0, 1'000, 20),
      "us");
  Row("ReadFeatures, 3 features by the catalogue of 1 user",
      ReadCost(environment, *service, 1, 0, 2'000, kOfCatalogue), "us");
  Row("ReadAffinities of 1 user", AffinityCost(environment, *service, 1, 5'000), "us");
  Row("ReadAffinities of 100 users", AffinityCost(environment, *service, 100, 50), "us");
  Row("GetStatistics",
      Cost(environment, 20'000,
           [&](int) -> Task<Status> {
             const auto statistics = co_await service->GetStatistics(context, {});
             co_return statistics.status();
           }),
      "us");
  Row("resident at the end", ResidentMib(), "MiB");
  service->Stop();
  return 0;
}

}  // namespace
}  // namespace starling::features

int main(int argc, char** argv) {
  return starling::features::Main(argc > 1 ? std::atoi(argv[1]) : 1'500'000);
}
