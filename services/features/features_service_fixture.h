// The fixture of the service's tests: tells it events as other services do, and asks it.
#pragma once

#include <gtest/gtest.h>

#include "contracts/catalog/v1/catalog.pb.h"
#include "contracts/ingestion/v1/ingestion.pb.h"
#include "platform/host/service_test.h"
#include "services/features/affinity.h"
#include "services/features/feature_definitions.h"
#include "services/features/features_service.h"

namespace starling::features {

using ingestion::v1::UserEvent;

constexpr Duration kDays = std::chrono::hours(24);

// What an export wrote.
class Exported final : public rpc::Stream<v1::UserInteractions> {
 public:
  Task<Status> Write(const v1::UserInteractions& message) override {
    users.push_back(message);
    co_return OkStatus();
  }
  std::vector<v1::UserInteractions> users;
};

class FeaturesServiceTest : public host::ServiceTest<FeaturesService> {
 protected:
  // Seconds since 1970 of some time before now; the test's clock stands at 2026-01-02T03:04:05Z.
  int64_t Ago(Duration age) {
    return (environment_.clock().Now() - age).time_since_epoch() / std::chrono::seconds(1);
  }
  static UserEvent Event(const std::string& id, const std::string& user, const std::string& product,
                         const std::string& type, int64_t at, double price = 0) {
    UserEvent event;
    event.set_event_id(id);
    event.set_user_id(user);
    event.set_product_id(product);
    event.set_type(type);
    event.mutable_occurred_at()->set_seconds(at);
    event.set_quantity(1);
    event.set_price(price);
    return event;
  }
  // Appends events as ingestion does.
  void Append(const std::vector<UserEvent>& events) {
    std::vector<messaging::Event> batch;
    batch.reserve(events.size());
    for (const UserEvent& event : events) {
      batch.push_back({.id = event.event_id(),
                       .source = "/ingestion",
                       .type = "starling.user.event.v1",
                       .partitionkey = event.user_id(),
                       .data = event.SerializeAsString()});
    }
    ASSERT_TRUE(Block(environment_.events().AppendBatch("user-events", batch)).ok());
  }
  // The same, and waits until the service has consumed them.
  void Tell(const std::vector<UserEvent>& events) {
    Append(events);
    while (*environment_.events().Lag("user-events", "features") > 0) Statistics();
  }
  // Tells of changed products as the catalogue does, and waits until the service has consumed them.
  void TellOfProducts(const std::vector<catalog::v1::Product>& products,
                      const char* type = "starling.catalog.product.put.v1") {
    std::vector<messaging::Event> batch;
    for (const catalog::v1::Product& product : products) {
      catalog::v1::ProductChanged changed;
      *changed.mutable_product() = product;
      batch.push_back({.id = NewId(),
                       .source = "/catalog",
                       .type = type,
                       .partitionkey = product.product_id(),
                       .data = changed.SerializeAsString()});
    }
    ASSERT_TRUE(Block(environment_.events().AppendBatch("catalog", batch)).ok());
    SettleProducts();
  }
  void SettleProducts() {
    while (environment_.events().Lag("catalog", "features").value_or(1) > 0) Statistics();
  }
  v1::Statistics Statistics() {
    const auto statistics = Block(service_->GetStatistics(context_, {}));
    EXPECT_TRUE(statistics.ok()) << statistics.status();
    return *statistics;
  }
  std::vector<double> Read(const std::vector<std::string>& features, const std::string& user,
                           const std::string& product = "", std::optional<int64_t> at = {}) {
    v1::ReadFeaturesRequest request;
    for (const std::string& feature : features) request.add_features(feature);
    if (!user.empty()) request.add_user_ids(user);
    if (!product.empty()) request.add_product_ids(product);
    if (at) request.mutable_at()->set_seconds(*at);
    const auto response = Block(service_->ReadFeatures(context_, request));
    if (!response.ok() || response->rows_size() != 1) {
      ADD_FAILURE() << response.status();
      return {};
    }
    return {response->rows(0).values().begin(), response->rows(0).values().end()};
  }
  std::vector<std::pair<std::string, double>> Popular(int limit = 0) {
    v1::ListPopularRequest request;
    request.set_limit(limit);
    const auto response = Block(service_->ListPopular(context_, request));
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::pair<std::string, double>> popular;
    for (const auto& product : response->products())
      popular.emplace_back(product.product_id(), product.score());
    return popular;
  }
  Exported Export() {
    Exported exported;
    const Status status = Block(service_->ExportInteractions(context_, {}, exported));
    EXPECT_TRUE(status.ok()) << status;
    return exported;
  }
};

// "grocery/dairy/milk" of a brand at a price; no brand when it is empty, no price when it is 0.
inline catalog::v1::Product MakeProduct(const std::string& id, const std::string& categories,
                                        const std::string& brand = "", double price = 0) {
  catalog::v1::Product product;
  product.set_product_id(id);
  product.set_title("T");
  for (size_t begin = 0; begin < categories.size();) {
    const size_t end = std::min(categories.find('/', begin), categories.size());
    product.add_categories(categories.substr(begin, end - begin));
    begin = end + 1;
  }
  product.set_brand(brand);
  if (price > 0) {
    product.mutable_price()->set_currency_code("EUR");
    product.mutable_price()->set_units(static_cast<int64_t>(price));
    const double part = price - std::floor(price);
    product.mutable_price()->set_nanos(static_cast<int32_t>(std::lround(part * 1e9)));
  }
  return product;
}

}  // namespace starling::features
