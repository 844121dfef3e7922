#include "services/recommendation/recommendation_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "platform/host/service_test.h"
#include "services/recommendation/made_neighbours.h"

namespace starling::recommendation {
namespace {

using catalog::v1::Product;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class RecommendationServiceTest : public host::ServiceTest<RecommendationService> {
 protected:
  void SetUp() override {
    rpc::Registry& registry = environment_.registry();
    registry.AddLocal<profile::v1::Profile>(profile_, environment_.telemetry(), nullptr, {});
    registry.AddLocal<catalog::v1::Catalog>(catalog_, environment_.telemetry(), nullptr, {});
    registry.AddLocal<features::v1::Features>(features_, environment_.telemetry(), nullptr, {});
    registry.AddLocal<inference::v1::Inference>(inference_, environment_.telemetry(), nullptr, {});
    for (const char* id : {"a", "b", "c", "d", "e", "m"}) Stock(id);
    for (const char* id : {"a", "b", "c"}) RankNext(id);
    for (const char* id : {"d", "e", "a"}) features_->popular.add_products()->set_product_id(id);
    inference_->ranked.set_model("recommender");
    inference_->ranked.set_version("7");
  }
  void Begin(config::Sources::Pairs settings = {}) {
    if (settings.empty() || settings[0].first != "recommendation.product_age")
      settings.emplace_back("recommendation.product_age", "0ms");
    ASSERT_EQ(environment_.Configure<RecommendationConfig>(std::move(settings)), OkStatus());
    Open();
  }

  void Stock(const std::string& id,
             catalog::v1::Availability availability = catalog::v1::AVAILABILITY_IN_STOCK) {
    Product& product = catalog_->products[id];
    product.set_product_id(id);
    product.set_title("Product " + id);
    product.set_availability(availability);
    product.set_etag(std::to_string(availability));
  }
  inference::v1::ScoredProduct& RankNext(const std::string& id) {
    auto& product = *inference_->ranked.add_products();
    product.set_product_id(id);
    product.set_source(inference::v1::SOURCE_SIMILAR);
    product.set_score(static_cast<float>(1 - 0.1 * inference_->ranked.products_size()));
    return product;
  }
  void Did(const std::string& user, const std::string& type, const std::string& id,
           int64_t at = 0) {
    auto& interaction = *profile_->histories[user].add_interactions();
    interaction.set_type(type);
    interaction.set_product_id(id);
    interaction.mutable_occurred_at()->set_seconds(at);
  }
  StatusOr<v1::RecommendResponse> Ask(const std::string& user, int limit = 3,
                                      const std::string& placement = "home",
                                      const std::string& product = "") {
    v1::RecommendForUserRequest request;
    request.set_user_id(user);
    request.set_limit(limit);
    request.set_context(placement);
    request.set_product_id(product);
    return Block(service_->RecommendForUser(context_, request));
  }
  static std::vector<std::string> Ids(const StatusOr<v1::RecommendResponse>& response) {
    if (!response.ok()) return {ToString(response.status())};
    std::vector<std::string> ids;
    for (const auto& item : response->items()) ids.push_back(item.product().product_id());
    return ids;
  }
  static std::vector<std::string> Degraded(const StatusOr<v1::RecommendResponse>& response) {
    return {response->degraded().begin(), response->degraded().end()};
  }

  std::shared_ptr<FakeProfile> profile_ = std::make_shared<FakeProfile>();
  std::shared_ptr<FakeCatalog> catalog_ = std::make_shared<FakeCatalog>();
  std::shared_ptr<FakeFeatures> features_ = std::make_shared<FakeFeatures>();
  std::shared_ptr<FakeInference> inference_ = std::make_shared<FakeInference>();
};

TEST_F(RecommendationServiceTest, WhatItDoesWithoutIsAnEventOfTheCall) {
  Begin();
  catalog_->mood.failure = Unavailable("away");
  telemetry::Tracer tracer({.sampling_ratio = 1});
  telemetry::Span span = tracer.Start("call", telemetry::Span::kServer, {});
  context_.ShowEventsIn(span);
  (void)Ask("ada");
  span.End(OkStatus());
  ASSERT_THAT(tracer.Recent(), testing::SizeIs(1));
  ASSERT_THAT(tracer.Recent()[0]->events, testing::SizeIs(1));
  EXPECT_EQ(tracer.Recent()[0]->events[0].name, "fallback: catalog");
}

TEST_F(RecommendationServiceTest, ComposesTheAnswerFromItsNeighbours) {
  Begin();
  Did("ada", "view", "m");
  Did("ada", "cart", "m");
  inference_->ranked.mutable_products(0)->set_because_product_id("m");
  const auto response = Ask("ada");
  EXPECT_THAT(Ids(response), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Degraded(response), IsEmpty());
  EXPECT_EQ(response->model().version(), "7");
  EXPECT_EQ(response->items(0).product().title(), "Product a");
  EXPECT_EQ(response->items(0).reason(), "because you put into your cart Product m");
  EXPECT_GT(response->items(0).score(), response->items(1).score());
  EXPECT_NE(response->recommendation_id(), Ask("ada")->recommendation_id());
  ASSERT_EQ(inference_->asked.signals_size(), 2);
  EXPECT_FLOAT_EQ(inference_->asked.signals(1).weight(), 0.6f);
  EXPECT_EQ(inference_->asked.user_id(), "ada");
}

TEST_F(RecommendationServiceTest, RecommendsToTheCallerAsToTheUserItIs) {
  Begin();
  Did("ada", "purchase", "a");
  CallContext context(std::make_shared<security::Identity>(
                          security::Identity{.kind = security::Identity::kUser, .subject = "ada"}),
                      std::chrono::steady_clock::now() + std::chrono::seconds(20));
  context.via_service = "recommendation";  // as the binding sets it
  v1::RecommendRequest request;
  request.set_limit(3);
  EXPECT_EQ(Ids(Block(service_->Recommend(context, request))), Ids(Ask("ada")));
  EXPECT_EQ(inference_->asked.user_id(), "ada");
}

TEST_F(RecommendationServiceTest, LeavesOutWhatIsBoughtBlockedSoldOutOrGone) {
  Begin({{"recommendation.blocked", "[b]"}});
  Did("ada", "purchase", "a");
  EXPECT_THAT(Ask("ada")->items_size(), 3);
  EXPECT_THAT(inference_->asked.excluded_ids(), testing::UnorderedElementsAre("a", "b"));
  EXPECT_FALSE(inference_->asked.allow_repeats());
  Stock("c", catalog::v1::AVAILABILITY_OUT_OF_STOCK);
  catalog_->products.erase("d");
  // The model was told not to give a and b; this one does, as one that is being swapped might.
  EXPECT_THAT(Ids(Ask("bob", 6)), Not(testing::Contains("c")));
  EXPECT_THAT(Ids(Ask("bob", 6)), Not(testing::Contains("d")));
}

TEST_F(RecommendationServiceTest, AsksOnlyForWhatTheModelDoesNotKnow) {
  constexpr int64_t kDay = 86'400;
  inference_->ranked.set_knows_user(true);
  inference_->ranked.set_data_until(100 * kDay);
  inference_->ranked.mutable_products(0)->set_because_product_id("m");
  inference_->ranked.mutable_products(0)->set_because_type(features::v1::INTERACTION_TYPE_CART);
  Did("ada", "view", "x", 200 * kDay);
  Did("ada", "purchase", "y", 50 * kDay);
  Begin({{"recommendation.repeats_in", "[home]"}});
  ASSERT_TRUE(Ask("ada", 2).ok());
  EXPECT_EQ(inference_->asked.signals_size(), 2) << "of the first answer, nothing is known";
  const auto answer = Ask("ada", 2);
  EXPECT_THAT(profile_->asked_after, ElementsAre(-1, 99 * kDay)) << "and a day for what came late";
  ASSERT_EQ(inference_->asked.signals_size(), 1);
  EXPECT_EQ(inference_->asked.signals(0).product_id(), "x");
  EXPECT_EQ(answer->items(0).reason(), "because you put into your cart Product m")
      << "the model says what the history no longer does";

  // Another version, of older data.
  inference_->ranked.set_data_until(40 * kDay);
  ASSERT_TRUE(Ask("ada", 2).ok());
  EXPECT_THAT(profile_->asked_after, ElementsAre(-1, 99 * kDay, 99 * kDay, -1));
  EXPECT_EQ(inference_->asked.signals_size(), 2) << "ranked again, with all";
  ASSERT_TRUE(Ask("ada", 2).ok());
  EXPECT_EQ(profile_->asked_after.back(), 39 * kDay);

  inference_->ranked.set_knows_user(false);
  ASSERT_TRUE(Ask("ada", 2).ok());
  EXPECT_EQ(inference_->asked.signals_size(), 2);
  ASSERT_TRUE(Ask("ada", 2).ok());
  EXPECT_EQ(profile_->asked_after.back(), -1);
}

TEST_F(RecommendationServiceTest, WhatWasBoughtLongAgoDoesNotComeBackAsPopular) {
  inference_->ranked.set_knows_user(true);
  inference_->ranked.set_data_until(10'000'000);
  Did("ada", "purchase", "d", 50);
  Begin();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Ids(Ask("ada", 5)), ElementsAre("a", "b", "c", "e")) << "d is popular, and bought";
  }
}

TEST_F(RecommendationServiceTest, APurchaseThatCameLateIsHeard) {
  for (const char* id : {"d", "e"}) RankNext(id);
  inference_->ranked.set_knows_user(true);
  inference_->ranked.set_data_until(10'000'000);
  Begin();
  EXPECT_THAT(Ids(Ask("ada", 2)), ElementsAre("a", "b"));
  Did("ada", "purchase", "a", 10'000'000 - 3'600);  // before the model's end, known after it
  ASSERT_TRUE(Ask("ada", 2).ok());
  EXPECT_EQ(profile_->asked_after.size(), 2u) << "not read whole";
  EXPECT_THAT(inference_->asked.excluded_ids(), ElementsAre("a"));
}

TEST_F(RecommendationServiceTest, ReadsMoreProductsOnlyWhenTheRulesWantMore) {
  for (const char* id : {"d", "e", "m"}) RankNext(id);
  Begin();
  EXPECT_THAT(Ids(Ask("ada", 2)), ElementsAre("a", "b"));
  ASSERT_EQ(catalog_->asked.size(), 1u);
  EXPECT_THAT(catalog_->asked[0], ElementsAre("a", "b", "c"));
  Stock("a", catalog::v1::AVAILABILITY_OUT_OF_STOCK);
  Stock("b", catalog::v1::AVAILABILITY_DISCONTINUED);
  EXPECT_THAT(Ids(Ask("ada", 2)), ElementsAre("c", "d"));
  ASSERT_EQ(catalog_->asked.size(), 3u);
  EXPECT_THAT(catalog_->asked[2], ElementsAre("d", "e", "m"));
}

TEST_F(RecommendationServiceTest, TakesProductsAsTheyWereForAsLongAsItMay) {
  Begin({{"recommendation.product_age", "1h"}});
  EXPECT_THAT(Ids(Ask("ada")), ElementsAre("a", "b", "c"));
  Stock("b", catalog::v1::AVAILABILITY_OUT_OF_STOCK);
  EXPECT_THAT(Ids(Ask("ada")), ElementsAre("a", "b", "c"));
  EXPECT_EQ(catalog_->mood.calls, 1);
}

TEST_F(RecommendationServiceTest, RepeatsWhatWasBoughtWhereTheShopWantsIt) {
  Begin({{"recommendation.repeats_in", "[home]"}});
  Did("ada", "purchase", "a");
  EXPECT_THAT(Ids(Ask("ada")), ElementsAre("a", "b", "c"));
  EXPECT_THAT(inference_->asked.excluded_ids(), IsEmpty());
  EXPECT_TRUE(inference_->asked.allow_repeats());
  EXPECT_THAT(Ids(Ask("ada", 3, "product", "m")), ElementsAre("b", "c", "d"));
  EXPECT_THAT(inference_->asked.excluded_ids(), testing::UnorderedElementsAre("m", "a"));
  EXPECT_FALSE(inference_->asked.allow_repeats()) << "there it was not asked for";
}

TEST_F(RecommendationServiceTest, WhatWasBoughtStaysBoughtHoweverMuchIsLookedAtSince) {
  Begin();
  for (int i = 0; i < 200; ++i) Did("ada", "view", "m", 1'000 - i);
  Did("ada", "purchase", "a", 10);
  ASSERT_TRUE(Ask("ada").ok());
  EXPECT_THAT(inference_->asked.excluded_ids(), ElementsAre("a"));
}

TEST_F(RecommendationServiceTest, ShowsAShareOfTheUsersTheVersionOfAnExperiment) {
  Begin({{"recommendation.experiment.name", "fresh"},
         {"recommendation.experiment.version", "8"},
         {"recommendation.experiment.share", "0.25"}});
  int treated = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::string user = "user-" + std::to_string(i);
    const auto response = Ask(user, 1);
    const bool treatment = response->experiment().variant() == "treatment";
    EXPECT_EQ(response->experiment().name(), "fresh");
    EXPECT_EQ(inference_->asked.version(), treatment ? "8" : "");
    EXPECT_EQ(Ask(user, 1)->experiment().variant(), response->experiment().variant());
    treated += treatment ? 1 : 0;
  }
  EXPECT_NEAR(treated, 250, 50);
  EXPECT_FALSE(Ask("", 1)->has_experiment()) << "nobody's answers are not counted";
}

TEST_F(RecommendationServiceTest, AVersionThatCannotAnswerSpoilsNoAnswer) {
  Begin({{"recommendation.experiment.name", "fresh"},
         {"recommendation.experiment.version", "8"},
         {"recommendation.experiment.share", "1"}});
  inference_->missing_version = "8";
  const auto response = Ask("ada");
  EXPECT_THAT(Ids(response), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Degraded(response), ElementsAre("experiment"));
  EXPECT_EQ(response->experiment().variant(), "control");
  EXPECT_EQ(response->model().version(), "7");
}

TEST_F(RecommendationServiceTest, FillsUpWithWhatIsPopular) {
  Begin();
  const auto response = Ask("ada", 5);
  EXPECT_THAT(Ids(response), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(response->items(3).reason(), "popular now");
  inference_->ranked.clear_products();
  EXPECT_THAT(Ids(Ask("somebody new", 3)), ElementsAre("d", "e", "a"));
  catalog_->products.clear();
  EXPECT_THAT(Ids(Ask("ada", 3)), IsEmpty()) << "an empty catalogue has nothing to recommend";
}

TEST_F(RecommendationServiceTest, AShopWhereNobodyDidAnythingShowsItsRange) {
  inference_->mood.failure = FailedPrecondition("no model serves yet");
  features_->popular.clear_products();
  Stock("b", catalog::v1::AVAILABILITY_OUT_OF_STOCK);
  Begin();
  auto response = Ask("ada", 3);
  EXPECT_THAT(Ids(response), ElementsAre("a", "c", "d"));
  EXPECT_EQ(response->items(0).reason(), "from our range");
  features_->popular.add_products()->set_product_id("m");
  EXPECT_THAT(Ids(Ask("ada", 3)), ElementsAre("m")) << "at once, when something is popular";
  catalog_->products.clear();
  features_->popular.clear_products();
  response = Ask("bob", 3);
  EXPECT_THAT(Ids(response), IsEmpty()) << "an empty catalogue";
}

TEST_F(RecommendationServiceTest, BeginsTheHomePageWithPinnedProducts) {
  Begin({{"recommendation.pinned", "[e, gone, c]"}});
  const auto response = Ask("ada");
  EXPECT_THAT(Ids(response), ElementsAre("e", "c", "a"));
  EXPECT_EQ(response->items(0).reason(), "chosen by the shop");
  EXPECT_THAT(Ids(Ask("ada", 2, "product", "m")), ElementsAre("a", "b"));
  Did("bob", "purchase", "e");
  EXPECT_THAT(Ids(Ask("bob")), ElementsAre("e", "c", "a")) << "also for who has it";
}

TEST_F(RecommendationServiceTest, AsksWhatGoesWithAProductOrACart) {
  Begin();
  Did("ada", "purchase", "b");
  EXPECT_THAT(Ids(Ask("ada", 2, "product", "m")), ElementsAre("a", "c"));
  EXPECT_EQ(inference_->asked.user_id(), "");
  ASSERT_EQ(inference_->asked.signals_size(), 1);
  EXPECT_EQ(inference_->asked.signals(0).product_id(), "m");
  EXPECT_THAT(inference_->asked.excluded_ids(), testing::UnorderedElementsAre("m", "b"));
  EXPECT_EQ(Ask("ada", 2, "product", "gone").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(FieldViolations(Ask("ada", 2, "product").status())[0].field, "product_id");
  EXPECT_EQ(FieldViolations(Ask("ada", 101).status())[0].field, "limit");
  v1::RecommendForUserRequest cart;
  cart.set_user_id("ada");
  cart.set_context("cart");
  cart.set_limit(2);
  cart.add_product_ids("m");
  cart.add_product_ids("a");
  EXPECT_THAT(Ids(Block(service_->RecommendForUser(context_, cart))), ElementsAre("c", "d"));
  ASSERT_EQ(inference_->asked.signals_size(), 2);
  EXPECT_EQ(inference_->asked.signals(1).product_id(), "a");
  EXPECT_THAT(inference_->asked.excluded_ids(), testing::UnorderedElementsAre("m", "a", "b"));
  cart.clear_product_ids();
  EXPECT_THAT(Ids(Block(service_->RecommendForUser(context_, cart))), ElementsAre("a", "c"))
      << "an empty cart";
  EXPECT_EQ(inference_->asked.signals_size(), 0);
  v1::ListSimilarProductsRequest similar;
  similar.set_product_id("m");
  EXPECT_THAT(Ids(Block(service_->ListSimilarProducts(context_, similar))),
              ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(RecommendationServiceTest, WhatIsNearestComesBeforeWhatIsMerelyPopular) {
  Begin();
  for (const char* id : {"x", "y", "z"}) Stock(id);
  // The model says something of a and b alone; c, z and d are what it fills up with.
  inference_->ranked.mutable_products(2)->set_source(inference::v1::SOURCE_POPULAR);
  for (const char* id : {"z", "d"}) RankNext(id).set_source(inference::v1::SOURCE_POPULAR);
  for (const auto& [id, score] : {std::pair{"y", 4.0F}, {"z", 2.0F}}) {
    auto& product = *inference_->nearest.add_products();
    product.set_product_id(id);
    product.set_score(score);
    product.set_source(inference::v1::SOURCE_SIMILAR);
    product.set_because_product_id("m");
  }
  v1::ListSimilarProductsRequest similar;
  similar.set_product_id("m");
  similar.set_limit(6);
  const auto answer = Block(service_->ListSimilarProducts(context_, similar));
  EXPECT_THAT(Ids(answer), ElementsAre("a", "b", "y", "z", "c", "d"));
  EXPECT_THAT(Degraded(answer), IsEmpty());
  EXPECT_EQ(answer->items(2).reason(), "goes with Product m");
  for (int i = 1; i < answer->items_size(); ++i)
    EXPECT_GT(answer->items(i - 1).score(), answer->items(i).score()) << i;
  ASSERT_TRUE(inference_->asked_nearest.has_value());
  EXPECT_EQ(inference_->asked_nearest->product_id(), "m");
  EXPECT_EQ(inference_->asked_nearest->version(), "7");
  EXPECT_EQ(inference_->asked_nearest->limit(), 10);
  EXPECT_THAT(inference_->asked_nearest->excluded_ids(),
              testing::UnorderedElementsAre("m", "a", "b"));
}

TEST_F(RecommendationServiceTest, NobodyAsksForTheNearestWhereTheModelSaysEnough) {
  Begin();
  inference_->nearest.set_error("not to be seen");
  EXPECT_THAT(Degraded(Ask("ada", 2, "product", "m")), IsEmpty()) << "three go with it";
  EXPECT_THAT(Degraded(Ask("ada", 10, "home")), IsEmpty());
  EXPECT_FALSE(inference_->asked_nearest.has_value());
}

TEST_F(RecommendationServiceTest, WithoutVectorsThePopularFollowAsBefore) {
  Begin();
  inference_->nearest.set_error("the vectors of products cannot be reached");
  const auto told = Ask("ada", 5, "product", "m");
  EXPECT_THAT(Ids(told), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(Degraded(told), ElementsAre("vectors"));
  inference_->nearest.clear_error();
  inference_->nearest_mood.failure = Unavailable("away");
  const auto failed = Ask("ada", 5, "product", "m");
  EXPECT_THAT(Ids(failed), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(Degraded(failed), ElementsAre("vectors"));
  inference_->nearest_mood.failure = OkStatus();
  EXPECT_THAT(Degraded(Ask("ada", 5, "product", "m")), IsEmpty()) << "it knows of none";
}

TEST_F(RecommendationServiceTest, LeavesOutWhatWasSeenTooOften) {
  Begin({{"recommendation.max_impressions", "2"}});
  const auto tell = [&](const std::string& type) {
    ingestion::v1::UserEvent event;
    event.set_user_id("ada");
    event.set_product_id("a");
    event.set_type(type);
    const std::string id = NewId();
    ASSERT_TRUE(
        Block(environment_.events().Append("user-events", {.id = id,
                                                           .source = "/ingestion",
                                                           .type = "starling.user.event.v1",
                                                           .data = event.SerializeAsString()}))
            .ok());
    while (*environment_.events().Lag("user-events", "recommendation") > 0) (void)Ask("bob");
  };
  tell("impression");
  EXPECT_EQ(Ask("ada").status(), OkStatus());
  EXPECT_THAT(inference_->asked.excluded_ids(), IsEmpty());
  tell("impression");
  EXPECT_EQ(Ask("ada").status(), OkStatus());
  EXPECT_THAT(inference_->asked.excluded_ids(), ElementsAre("a"));
  catalog_->products.erase("d");
  catalog_->products.erase("e");
  EXPECT_THAT(Ids(Ask("ada")), ElementsAre("b", "c", "a"))
      << "rather that, behind the rest, than an empty place";
  tell("click");
  EXPECT_EQ(Ask("ada", 1).status(), OkStatus());
  EXPECT_THAT(inference_->asked.excluded_ids(), IsEmpty());
}

// Each neighbour fails, then is slower than its limit: the answer comes all the same, within the
// caller's deadline, and names it.
TEST_F(RecommendationServiceTest, AnswersWithoutTheNeighbourThatFailsOrIsSlow) {
  Begin({{"recommendation.profile_timeout", "20ms"},
         {"recommendation.inference_timeout", "20ms"},
         {"recommendation.catalog_timeout", "20ms"}});
  const auto good = Ask("ada");
  ASSERT_THAT(Ids(good), ElementsAre("a", "b", "c"));
  struct Row {
    std::string name;
    Mood* mood;
    std::vector<std::string> expected;
  };
  for (const Row& row : {Row{"profile", &profile_->mood, {"a", "b", "c"}},
                         Row{"inference", &inference_->mood, {"a", "b", "c"}},
                         Row{"catalog", &catalog_->mood, {"a", "b", "c"}}}) {
    for (const bool slow : {false, true}) {
      row.mood->failure = slow ? OkStatus() : Unavailable("{} is away", row.name);
      row.mood->delay = slow ? std::chrono::seconds(30) : Duration(0);
      context_ = CallContext::ForService("test", std::chrono::seconds(5));
      const auto response = Ask("ada");
      EXPECT_EQ(Ids(response), row.expected) << row.name << slow;
      EXPECT_THAT(Degraded(response), ElementsAre(row.name));
      EXPECT_EQ(response->has_model(), row.name != "inference");
    }
    *row.mood = Mood();
  }
  EXPECT_THAT(Degraded(Ask("ada")), IsEmpty());
  const std::string metrics = environment_.telemetry().metrics().Expose();
  for (const char* part : {"profile", "inference", "catalog"}) {
    EXPECT_THAT(metrics, HasSubstr(fmt::format(
                             "starling_recommendation_fallbacks_total{{part=\"{}\"}} 2\n", part)));
  }
  // Somebody who has no last good answer gets what is popular.
  inference_->mood.failure = Unavailable("away");
  EXPECT_THAT(Ids(Ask("bob")), ElementsAre("d", "e", "a"));
  // And when nobody answers, an empty answer that says so.
  profile_->mood.failure = features_->mood.failure = catalog_->mood.failure = Unavailable("away");
  const auto nothing = Ask("eve");
  EXPECT_EQ(nothing.status(), OkStatus());
  EXPECT_THAT(Degraded(nothing), ElementsAre("profile", "inference", "catalog"));
}

TEST_F(RecommendationServiceTest, TellsWhatItServed) {
  Begin();
  const auto response = Ask("ada");
  Close();  // sends what waits
  const auto events = environment_.events().Read("recommendations", 1, 10);
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 1u);
  v1::RecommendationServed served;
  ASSERT_TRUE(served.ParseFromString(events->front().event.data));
  EXPECT_EQ(served.recommendation_id(), response->recommendation_id());
  EXPECT_EQ(served.user_id(), "ada");
  EXPECT_EQ(served.context(), "home");
  EXPECT_EQ(served.model().version(), "7");
  EXPECT_THAT(served.product_ids(), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace starling::recommendation
