#include "services/analytics/analytics_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "contracts/recommendation/v1/recommendation.pb.h"
#include "platform/host/service_test.h"

namespace starling::analytics {
namespace {

class AnalyticsServiceTest : public host::ServiceTest<AnalyticsService> {
 protected:
  int64_t Now() {
    return environment_.get().clock().Now().time_since_epoch() / std::chrono::seconds(1);
  }
  void Append(const std::string& topic, const std::string& id, const std::string& type,
              const std::string& data) {
    ASSERT_TRUE(Block(environment_.events().Append(
                          topic, {.id = id, .source = "/test", .type = type, .data = data}))
                    .ok());
    while (*environment_.events().Lag(topic, "analytics") > 0) (void)List({});
  }
  void Serve(const std::string& id, const std::string& version = "1",
             const std::string& context = "home") {
    recommendation::v1::RecommendationServed served;
    served.set_recommendation_id(id);
    served.set_context(context);
    served.add_product_ids("a");
    served.add_product_ids("b");
    if (!version.empty()) {
      served.mutable_model()->set_name("recommender");
      served.mutable_model()->set_version(version);
    }
    served.mutable_served_at()->set_seconds(Now());
    Append("recommendations", id, "starling.recommendation.served.v1", served.SerializeAsString());
  }
  void Follow(const std::string& event_id, const std::string& recommendation_id,
              const std::string& type, int64_t after = 0) {
    ingestion::v1::UserEvent event;
    event.set_event_id(event_id);
    event.set_user_id("ada");
    event.set_product_id("a");
    event.set_type(type);
    event.set_recommendation_id(recommendation_id);
    event.mutable_occurred_at()->set_seconds(Now() + after);
    Append("user-events", event_id, "starling.user.event.v1", event.SerializeAsString());
  }
  StatusOr<v1::ListRecommendationStatisticsResponse> List(const std::vector<std::string>& group_by,
                                                          const std::string& from = "",
                                                          const std::string& to = "") {
    v1::ListRecommendationStatisticsRequest request;
    for (const std::string& group : group_by) request.add_group_by(group);
    request.set_from_day(from);
    request.set_to_day(to);
    return Block(service_->ListRecommendationStatistics(context_, request));
  }
  // "day model context: served/impressions/clicks/purchases", a row a line.
  std::string Table(const std::vector<std::string>& group_by = {}) {
    std::string table;
    const auto statistics = List(group_by);
    EXPECT_TRUE(statistics.ok()) << statistics.status();
    for (const auto& row : statistics->statistics()) {
      table += fmt::format("{} {} {}: {}/{}/{}/{}\n", row.day(), row.model_version(), row.context(),
                           row.served(), row.impressions(), row.clicks(), row.purchases());
    }
    return table;
  }
};

TEST_F(AnalyticsServiceTest, CountsWhatFollowsFromAnAnswer) {
  Serve("r1");
  Serve("r2", "2", "cart");
  Serve("r3", "");
  Follow("e1", "r1", "impression");
  Follow("e2", "r1", "click");
  Follow("e3", "r1", "purchase", 3'600);
  Follow("e4", "r2", "click");
  Follow("e5", "r2", "view");
  Follow("e6", "", "click");
  EXPECT_EQ(Table(),
            "2026-01-02 fallback home: 1/0/0/0\n"
            "2026-01-02 recommender/1 home: 1/1/1/1\n"
            "2026-01-02 recommender/2 cart: 1/0/1/0\n");
  EXPECT_EQ(Table({"context"}), "  cart: 1/0/1/0\n  home: 2/1/1/1\n");
  const auto all = List({"day"});
  EXPECT_EQ(all->statistics(0).products(), 6);
  EXPECT_DOUBLE_EQ(all->statistics(0).click_through_rate(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(all->statistics(0).conversion_rate(), 1.0 / 3);
}

TEST_F(AnalyticsServiceTest, CountsEachOnceInWhicheverOrderTheyCome) {
  Follow("e1", "r1", "click");
  Follow("e1", "r1", "click");
  EXPECT_EQ(Table(), "");
  Serve("r1");
  Serve("r1");
  Follow("e1", "r1", "click");
  Follow("e2", "r1", "click");
  EXPECT_EQ(Table(), "2026-01-02 recommender/1 home: 1/0/2/0\n");
  Close();
  Open();
  EXPECT_EQ(Table(), "2026-01-02 recommender/1 home: 1/0/2/0\n");
}

TEST_F(AnalyticsServiceTest, APurchaseCountsForAWeek) {
  Serve("r1");
  Follow("late", "r1", "purchase", 7 * 86'400 + 1);
  Follow("in time", "r1", "purchase", 7 * 86'400 - 1);
  EXPECT_EQ(Table(), "2026-01-02 recommender/1 home: 1/0/0/1\n");
}

TEST_F(AnalyticsServiceTest, ForgetsAnswersAfterEightDaysButNotTheirCounts) {
  Serve("r1");
  environment_.clock().Advance(std::chrono::hours(24 * 9));
  Serve("r2");
  Follow("e1", "r1", "click");
  Follow("e2", "r2", "click");
  EXPECT_EQ(Table({"day"}), "2026-01-02  : 1/0/0/0\n2026-01-11  : 1/0/1/0\n");
}

TEST_F(AnalyticsServiceTest, ListsTheDaysAskedForAndNamesWhatIsWrong) {
  Serve("r1");
  environment_.clock().Advance(std::chrono::hours(24));
  Serve("r2");
  EXPECT_EQ(List({}, "2026-01-03")->statistics_size(), 1);
  EXPECT_EQ(List({}, "", "2026-01-02")->statistics_size(), 1);
  EXPECT_EQ(List({}, "2026-01-04", "2026-02-04")->statistics_size(), 0);
  struct Row {
    std::vector<std::string> group_by;
    std::string from, to, field;
  };
  for (const Row& row : {Row{{}, "2026-13-01", "", "from_day"}, Row{{}, "", "today", "to_day"},
                         Row{{"modle_version"}, "", "", "group_by"}}) {
    const Status status = List(row.group_by, row.from, row.to).status();
    ASSERT_EQ(FieldViolations(status).size(), 1u) << row.field;
    EXPECT_EQ(FieldViolations(status)[0].field, row.field);
  }
}

}  // namespace
}  // namespace starling::analytics
