#include "services/ingestion/ingestion_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "platform/host/test_environment.h"

namespace starling::ingestion {
namespace {

using host::TestEnvironment;
using testing::ElementsAre;

class IngestionServiceTest : public testing::Test {
 protected:
  StatusOr<v1::WriteEventsResponse> Write(const v1::WriteEventsRequest& request,
                                          std::shared_ptr<const security::Identity> caller) {
    rpc::CallContext context = TestEnvironment::Call(std::move(caller));
    return environment_.Block(service_->WriteEvents(context, request));
  }
  static v1::UserEvent View(const std::string& user) {
    v1::UserEvent event;
    event.set_user_id(user);
    event.set_product_id("p");
    event.set_type("view");
    return event;
  }
  static v1::WriteEventsRequest Of(const v1::UserEvent& event) {
    v1::WriteEventsRequest request;
    *request.add_events() = event;
    return request;
  }
  static std::shared_ptr<const security::Identity> Key(const std::string& scopes,
                                                       const std::string& user = "") {
    return std::make_shared<security::Identity>(
        security::Identity{.kind = security::Identity::kKey,
                           .subject = "k",
                           .scopes = *security::ScopeSet::ParseText(scopes),
                           .on_behalf_of = user});
  }

  TestEnvironment environment_;
  std::shared_ptr<IngestionService> service_ = *IngestionService::Create(environment_.get());
};

TEST_F(IngestionServiceTest, WhatIsLeftOutIsFilledInBeforeTheEventIsDurable) {
  const auto response = Write(Of(View("ada")), Key("events.write"));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->accepted(), 1);
  const auto events = environment_.events().Read("user-events", 1, 10);
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 1u);
  v1::UserEvent event;
  ASSERT_TRUE(event.ParseFromString(events->front().event.data));
  EXPECT_EQ(event.event_id(), response->event_ids(0));
  EXPECT_EQ(event.quantity(), 1);
  EXPECT_EQ(TimePoint(std::chrono::seconds(event.occurred_at().seconds())),
            environment_.clock().Now());
  EXPECT_EQ(events->front().event.partitionkey, "ada");
}

TEST_F(IngestionServiceTest, AUserWritesOnlyItsOwnEvents) {
  const auto ada = security::UserIdentity("ada");
  EXPECT_EQ(Write(Of(View("bob")), ada).status().code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(Write(Of(View("ada")), ada).ok());
  EXPECT_TRUE(Write(Of(View("")), ada).ok());
  const auto events = environment_.events().Read("user-events", 1, 10);
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 2u);
  for (const auto& delivered : *events) EXPECT_EQ(delivered.event.partitionkey, "ada");
}

TEST_F(IngestionServiceTest, AUsersKeyWithoutTheScopeWritesOnlyThatUsersEvents) {
  EXPECT_EQ(Write(Of(View("bob")), Key("catalog.read", "ada")).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_TRUE(Write(Of(View("ada")), Key("catalog.read", "ada")).ok());
  EXPECT_TRUE(Write(Of(View("bob")), Key("events.write", "ada")).ok());
}

TEST_F(IngestionServiceTest, EachRuleOfAnEventIsNamedWithItsPlace) {
  struct Row {
    const char* field;
    std::function<void(v1::UserEvent&)> spoil;
  };
  const Row rows[] = {
      {"type", [](v1::UserEvent& e) { e.set_type("veiw"); }},
      {"type", [](v1::UserEvent& e) { e.clear_type(); }},
      {"product_id", [](v1::UserEvent& e) { e.clear_product_id(); }},
      {"event_id", [](v1::UserEvent& e) { e.set_event_id(std::string(129, 'e')); }},
      {"quantity", [](v1::UserEvent& e) { e.set_quantity(-1); }},
      {"quantity",
       [](v1::UserEvent& e) { e.set_quantity(std::numeric_limits<double>::quiet_NaN()); }},
      {"price", [](v1::UserEvent& e) { e.set_price(std::numeric_limits<double>::infinity()); }},
      {"occurred_at", [](v1::UserEvent& e) { e.mutable_occurred_at()->set_seconds(-1); }},
      {"occurred_at", [](v1::UserEvent& e) { e.mutable_occurred_at()->set_nanos(1'000'000'000); }},
      {"occurred_at",
       [this](v1::UserEvent& e) {
         e.mutable_occurred_at()->set_seconds(
             environment_.clock().Now().time_since_epoch() / std::chrono::seconds(1) + 61);
       }},
      {"properties",
       [](v1::UserEvent& e) {
         for (int i = 0; i < 33; ++i) (*e.mutable_properties())[std::to_string(i)] = "x";
       }},
  };
  for (const Row& row : rows) {
    v1::WriteEventsRequest request = Of(View("ada"));
    *request.add_events() = View("ada");
    row.spoil(*request.mutable_events(1));
    const Status status = Write(request, Key("events.write")).status();
    ASSERT_EQ(FieldViolations(status).size(), 1u) << row.field << ": " << status;
    EXPECT_EQ(FieldViolations(status)[0].field, std::string("events[1].") + row.field);
  }
  // None of those batches left anything, not even its good event.
  EXPECT_FALSE(environment_.events().Read("user-events", 1, 10).ok());
}

TEST_F(IngestionServiceTest, ABatchHasAtLeastOneAndAtMost1000Events) {
  v1::WriteEventsRequest request;
  EXPECT_EQ(FieldViolations(Write(request, Key("events.write")).status())[0].field, "events");
  for (int i = 0; i < 1'000; ++i) *request.add_events() = View("ada");
  EXPECT_TRUE(Write(request, Key("events.write")).ok());
  *request.add_events() = View("ada");
  EXPECT_EQ(FieldViolations(Write(request, Key("events.write")).status())[0].field, "events");
}

}  // namespace
}  // namespace starling::ingestion
