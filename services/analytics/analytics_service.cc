#include "services/analytics/analytics_service.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "contracts/recommendation/v1/recommendation.pb.h"
#include "embedded/analytics_migrations.h"
#include "platform/base/nearest.h"

namespace starling::analytics {
namespace {

using ingestion::v1::UserEvent;
using recommendation::v1::RecommendationServed;

constexpr Duration kRemembered = std::chrono::hours(24 * 8);
constexpr Duration kPurchaseWindow = std::chrono::hours(24 * 7);
constexpr Duration kEarlyWaits = std::chrono::hours(24);
constexpr Duration kForgetEvery = std::chrono::minutes(10);
constexpr size_t kBatch = 2'048;
const std::vector<std::string> kGroups = {"day", "model_version", "context"};

int64_t Nanoseconds(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000'000 + time.nanos();
}

// "2026-01-31" of a time, UTC.
std::string DayOf(int64_t nanoseconds) {
  return FormatRfc3339(TimePoint(Duration(nanoseconds))).substr(0, 10);
}

std::string ModelVersionOf(const RecommendationServed& served) {
  if (served.model().name().empty()) return "fallback";
  return served.model().name() + "/" + served.model().version();
}

// The column that an event's type counts in; "" for those that do not follow from recommendations.
std::string_view ColumnOf(std::string_view type) {
  if (type == "impression") return "impressions";
  if (type == "click") return "clicks";
  if (type == "purchase") return "purchases";
  return {};
}

Status CountEvent(sql::Transaction& transaction, int64_t segment, std::string_view type) {
  if (type == "impression")
    return transaction.Execute(
        "UPDATE segments SET impressions = impressions + 1 WHERE segment = ?1", segment);
  if (type == "click")
    return transaction.Execute("UPDATE segments SET clicks = clicks + 1 WHERE segment = ?1",
                               segment);
  return transaction.Execute("UPDATE segments SET purchases = purchases + 1 WHERE segment = ?1",
                             segment);
}

bool TooLate(std::string_view type, int64_t occurred_at, int64_t served_at) {
  return type == "purchase" && occurred_at - served_at > kPurchaseWindow.count();
}

// The answers of one batch: most fall into one segment, which is looked up and counted up once.
class ServedCounter {
 public:
  explicit ServedCounter(sql::Transaction& transaction) : transaction_(transaction) {}

  Status Add(const RecommendationServed& served) {
    const int64_t at = Nanoseconds(served.served_at());
    STARLING_ASSIGN_OR_RETURN(Segment * segment, Find(at, served));
    STARLING_RETURN_IF_ERROR(transaction_.Execute(
        "INSERT INTO served (recommendation_id, segment, served_at) VALUES (?1, ?2, ?3) ON "
        "CONFLICT DO NOTHING",
        served.recommendation_id(), segment->id, at));
    if (transaction_.changes() == 0) return OkStatus();
    ++segment->served;
    segment->products += served.product_ids_size();
    return CountEarly(served.recommendation_id(), segment->id, at);
  }
  Status Finish() {
    for (const auto& [key, segment] : segments_) {
      STARLING_RETURN_IF_ERROR(transaction_.Execute(
          "UPDATE segments SET served = served + ?2, products = products + ?3 WHERE segment = ?1",
          segment.id, segment.served, segment.products));
    }
    return OkStatus();
  }

 private:
  struct Segment {
    int64_t id = 0;
    int64_t served = 0;
    int64_t products = 0;
  };
  static constexpr int64_t kDay = 86'400'000'000'000;

  StatusOr<Segment*> Find(int64_t at, const RecommendationServed& served) {
    const auto [entry, is_new] = segments_.try_emplace(
        {at / kDay, served.model().name(), served.model().version(), served.context()});
    Segment& segment = entry->second;
    if (!is_new) return &segment;
    const std::string day = DayOf(at);
    const std::string version = ModelVersionOf(served);
    STARLING_RETURN_IF_ERROR(transaction_.Execute(
        "INSERT INTO segments (day, model_version, context) VALUES (?1, ?2, ?3) ON CONFLICT DO "
        "NOTHING",
        day, version, served.context()));
    STARLING_ASSIGN_OR_RETURN(
        const std::optional<int64_t> id,
        transaction_.QueryOne(
            "SELECT segment FROM segments WHERE day = ?1 AND model_version = ?2 AND context = ?3",
            [](const sql::Row& row) { return row.Int(0); }, day, version, served.context()));
    if (!id) return Internal("a segment that was just written is not there");
    segment.id = *id;
    return &segment;
  }

  // Events that came before the answer they followed from.
  Status CountEarly(const std::string& recommendation_id, int64_t segment, int64_t served_at) {
    if (!any_early_.has_value()) {
      STARLING_ASSIGN_OR_RETURN(
          const std::optional<bool> any,
          transaction_.QueryOne("SELECT EXISTS (SELECT 1 FROM early)",
                                [](const sql::Row& row) { return row.Int(0) != 0; }));
      any_early_ = any.value_or(false);
    }
    if (!*any_early_) return OkStatus();
    struct Early {
      std::string type;
      int64_t occurred_at;
    };
    std::vector<Early> early;
    STARLING_RETURN_IF_ERROR(transaction_.Query(
        "SELECT type, occurred_at FROM early WHERE recommendation_id = ?1",
        [&](const sql::Row& row) {
          early.push_back({std::string(row.Text(0)), row.Int(1)});
        },
        recommendation_id));
    if (early.empty()) return OkStatus();
    for (const Early& event : early) {
      if (!TooLate(event.type, event.occurred_at, served_at))
        STARLING_RETURN_IF_ERROR(CountEvent(transaction_, segment, event.type));
    }
    return transaction_.Execute("DELETE FROM early WHERE recommendation_id = ?1",
                                recommendation_id);
  }

  sql::Transaction& transaction_;
  std::map<std::tuple<int64_t, std::string, std::string, std::string>, Segment> segments_;
  std::optional<bool> any_early_;
};

Status CountFollowing(sql::Transaction& transaction, messaging::Inbox& inbox,
                      const UserEvent& event) {
  STARLING_ASSIGN_OR_RETURN(const bool first, inbox.FirstTime(transaction, event.event_id()));
  if (!first) return OkStatus();
  struct Served {
    int64_t segment, at;
  };
  STARLING_ASSIGN_OR_RETURN(
      const std::optional<Served> served,
      transaction.QueryOne(
          "SELECT segment, served_at FROM served WHERE recommendation_id = ?1",
          [](const sql::Row& row) {
            return Served{row.Int(0), row.Int(1)};
          },
          event.recommendation_id()));
  const int64_t at = Nanoseconds(event.occurred_at());
  if (!served) {
    return transaction.Execute(
        "INSERT INTO early (event_id, recommendation_id, type, occurred_at) VALUES (?1, ?2, ?3, "
        "?4) ON CONFLICT DO NOTHING",
        event.event_id(), event.recommendation_id(), event.type(), at);
  }
  if (TooLate(event.type(), at, served->at)) return OkStatus();
  return CountEvent(transaction, served->segment, event.type());
}

StatusOr<std::string> CheckDay(const std::string& field, const std::string& day) {
  if (ParseRfc3339(day + "T00:00:00Z").has_value()) return day;
  return InvalidField(field, "'{}' is no day; write it as 2026-01-31", day);
}

void SetRates(v1::RecommendationStatistics& statistics) {
  if (statistics.served() == 0) return;
  const auto served = static_cast<double>(statistics.served());
  statistics.set_click_through_rate(static_cast<double>(statistics.clicks()) / served);
  statistics.set_conversion_rate(static_cast<double>(statistics.purchases()) / served);
}

}  // namespace

StatusOr<std::shared_ptr<AnalyticsService>> AnalyticsService::Create(
    host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(auto database, environment.OpenDatabase("analytics", kMigrations));
  STARLING_ASSIGN_OR_RETURN(auto inbox, messaging::Inbox::Open(*database));
  return std::make_shared<AnalyticsService>(std::move(database), std::move(inbox), environment);
}

AnalyticsService::AnalyticsService(std::unique_ptr<sql::Database> database,
                                   std::unique_ptr<messaging::Inbox> inbox,
                                   host::Environment& environment)
    : environment_(environment), database_(std::move(database)), inbox_(std::move(inbox)) {}

Status AnalyticsService::Start() {
  messaging::EventLog& events = environment_.events();
  STARLING_ASSIGN_OR_RETURN(served_,
                            events.Subscribe("recommendations", "analytics", {.max_batch = kBatch},
                                             [this](std::span<const messaging::Delivered> batch) {
                                               return ConsumeServed(batch);
                                             }));
  STARLING_ASSIGN_OR_RETURN(user_events_,
                            events.Subscribe("user-events", "analytics", {.max_batch = kBatch},
                                             [this](std::span<const messaging::Delivered> batch) {
                                               return ConsumeUserEvents(batch);
                                             }));
  return OkStatus();
}

void AnalyticsService::Stop() {
  served_.reset();
  user_events_.reset();
}

Task<Status> AnalyticsService::ConsumeServed(std::span<const messaging::Delivered> events) {
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> Status {
    RecommendationServed served;
    ServedCounter counter(transaction);
    for (const messaging::Delivered& delivered : events) {
      if (delivered.event.type != "starling.recommendation.served.v1") continue;
      if (!served.ParseFromString(delivered.event.data))
        return InvalidArgument("event '{}' is no RecommendationServed", delivered.event.id);
      STARLING_RETURN_IF_ERROR(counter.Add(served));
    }
    STARLING_RETURN_IF_ERROR(counter.Finish());
    return Forget(transaction);
  });
}

Task<Status> AnalyticsService::ConsumeUserEvents(std::span<const messaging::Delivered> events) {
  std::vector<UserEvent> following;
  for (const messaging::Delivered& delivered : events) {
    if (delivered.event.type != "starling.user.event.v1") continue;
    UserEvent event;
    if (!event.ParseFromString(delivered.event.data))
      co_return InvalidArgument("event '{}' is no UserEvent", delivered.event.id);
    if (!event.recommendation_id().empty() && !ColumnOf(event.type()).empty())
      following.push_back(std::move(event));
  }
  if (following.empty()) co_return OkStatus();
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> Status {
    for (const UserEvent& event : following)
      STARLING_RETURN_IF_ERROR(CountFollowing(transaction, *inbox_, event));
    return OkStatus();
  });
}

Status AnalyticsService::Forget(sql::Transaction& transaction) {
  const TimePoint now = environment_.clock().Now();
  if (now - forgotten_at_ < kForgetEvery) return OkStatus();
  forgotten_at_ = now;
  STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM served WHERE served_at < ?1",
                                               (now - kRemembered).time_since_epoch().count()));
  return transaction.Execute("DELETE FROM early WHERE occurred_at < ?1",
                             (now - kEarlyWaits).time_since_epoch().count());
}

Task<StatusOr<v1::ListRecommendationStatisticsResponse>>
AnalyticsService::ListRecommendationStatistics(
    CallContext&, const v1::ListRecommendationStatisticsRequest& request) {
  const TimePoint now = environment_.clock().Now();
  std::string from = DayOf((now - std::chrono::hours(24 * 29)).time_since_epoch().count());
  std::string to = DayOf(now.time_since_epoch().count());
  if (!request.from_day().empty()) {
    CO_ASSIGN_OR_RETURN(from, CheckDay("from_day", request.from_day()));
  }
  if (!request.to_day().empty()) {
    CO_ASSIGN_OR_RETURN(to, CheckDay("to_day", request.to_day()));
  }
  std::set<std::string> groups;
  for (const std::string& group : request.group_by()) {
    if (std::find(kGroups.begin(), kGroups.end(), group) == kGroups.end()) {
      co_return InvalidField("group_by", "'{}' is unknown{}; there are day, model_version, context",
                             group, DidYouMean(group, kGroups));
    }
    groups.insert(group);
  }
  if (groups.empty()) groups.insert(kGroups.begin(), kGroups.end());
  const bool by_day = groups.contains("day"), by_model = groups.contains("model_version"),
             by_context = groups.contains("context");
  co_return co_await database_->Read(
      [&](sql::Connection& connection) -> StatusOr<v1::ListRecommendationStatisticsResponse> {
        v1::ListRecommendationStatisticsResponse response;
        STARLING_RETURN_IF_ERROR(connection.Query(
            "SELECT CASE WHEN ?3 <> 0 THEN day ELSE '' END AS d, "
            "CASE WHEN ?4 <> 0 THEN model_version ELSE '' END AS m, "
            "CASE WHEN ?5 <> 0 THEN context ELSE '' END AS c, "
            "sum(served), sum(products), sum(impressions), sum(clicks), sum(purchases) FROM "
            "segments WHERE day BETWEEN ?1 AND ?2 GROUP BY d, m, c ORDER BY d, m, c",
            [&](const sql::Row& row) {
              v1::RecommendationStatistics& statistics = *response.add_statistics();
              statistics.set_day(std::string(row.Text(0)));
              statistics.set_model_version(std::string(row.Text(1)));
              statistics.set_context(std::string(row.Text(2)));
              statistics.set_served(row.Int(3));
              statistics.set_products(row.Int(4));
              statistics.set_impressions(row.Int(5));
              statistics.set_clicks(row.Int(6));
              statistics.set_purchases(row.Int(7));
              SetRates(statistics);
            },
            from, to, by_day ? 1 : 0, by_model ? 1 : 0, by_context ? 1 : 0));
        return response;
      });
}

}  // namespace starling::analytics
