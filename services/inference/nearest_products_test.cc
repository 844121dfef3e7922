// Runs with vectors in memory, and once more on pgvector (CMakeLists.txt).
#include "services/inference/nearest_products.h"

#include <gmock/gmock.h>

#include <thread>

#include "learning/recommender/recommender_writer.h"
#include "platform/base/id.h"
#include "platform/host/service_test.h"
#include "platform/storage/sql/postgres/test_server.h"
#include "services/inference/inference_service.h"
#include "services/inference/made_training.h"

namespace starling::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Vectors = std::vector<std::pair<std::string, std::vector<float>>>;

// A version whose products have these vectors, or none.
std::string ArtifactOf(const Vectors& vectors) {
  std::vector<std::string> ids;
  std::vector<float> values;
  std::vector<learning::Interaction> events;
  for (const auto& [id, vector] : vectors) {
    events.push_back({0, static_cast<uint32_t>(ids.size()), 1, 1'000});
    ids.push_back(id);
    values.insert(values.end(), vector.begin(), vector.end());
  }
  const auto data = *learning::MakeInteractions(events, 1, ids.size());
  const auto popularity = *learning::FitPopularity(data, {});
  learning::UserHistory history;
  history.offsets = {0, 0};
  const auto items = *learning::IdTable::Make(ids);
  const auto users = *learning::IdTable::Make(std::vector<std::string>{"ada"});
  return *learning::WriteRecommender({.items = items,
                                      .users = users,
                                      .history = history,
                                      .settings = {.until = 1'000},
                                      .algorithm = "popularity",
                                      .popularity = popularity,
                                      .vectors = values,
                                      .vector_dimension = 2});
}

class NearestProductsTest : public host::ServiceTest<InferenceService> {
 protected:
  void SetUp() override {
    environment_.registry().AddLocal<training::v1::Training>(training_, environment_.telemetry(),
                                                             nullptr, {});
    // A loaded machine is not what these tests are about.
    ASSERT_TRUE(
        environment_.Configure<InferenceConfig>({{"inference.vectors_timeout", "20s"}}).ok());
    training_->Put("1", ArtifactOf({{"milk", {1, 0}},
                                    {"bread", {0.5, 0.5}},
                                    {"butter", {0.75, 0.25}},
                                    {"cheese", {0.75, 0.25}},
                                    {"soap", {-1, 0}},
                                    {"new", {0, 0}}}));
    training_->Put("2", ArtifactOf({{"milk", {1, 0}}, {"soap", {0.25, 0}}}));
    training_->Put("3", ArtifactOf({{"milk", {}}, {"soap", {}}}));
    training_->Serve("1");
    ServiceTest::SetUp();
  }
  void Promote(const std::string& version) {
    training_->Serve(version);
    messaging::Event event{
        .id = NewId(), .source = "/training", .type = "starling.training.version.promoted.v1"};
    ASSERT_TRUE(Block(environment_.events().Append("models", event)).ok());
  }
  StatusOr<v1::ListNearestResponse> Ask(const std::string& product, int limit = 0,
                                        const std::vector<std::string>& excluded = {},
                                        const std::string& version = "") {
    v1::ListNearestRequest request;
    request.set_product_id(product);
    request.set_version(version);
    request.set_limit(limit);
    for (const std::string& id : excluded) request.add_excluded_ids(id);
    return Block(service_->ListNearest(context_, request));
  }
  static std::vector<std::string> Ids(const StatusOr<v1::ListNearestResponse>& response) {
    if (!response.ok()) return {ToString(response.status())};
    if (!response->error().empty()) return {response->error()};
    std::vector<std::string> ids;
    for (const auto& product : response->products()) ids.push_back(product.product_id());
    return ids;
  }
  template <typename Condition>
  static bool Eventually(const Condition& condition) {
    for (int i = 0; i < 4'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  // Serves the version, with its vectors.
  bool Gives(const std::string& version) {
    return Eventually([&] {
      const auto answer = Ask("milk");
      return answer.ok() && answer->version() == version && answer->error().empty();
    });
  }

  std::shared_ptr<MadeTraining> training_ = std::make_shared<MadeTraining>();
};

TEST_F(NearestProductsTest, GivesThoseNearestByTheVersionsVectorsBestFirst) {
  ASSERT_TRUE(Gives("1"));
  const auto answer = Ask("milk");
  EXPECT_THAT(Ids(answer), ElementsAre("butter", "cheese", "bread"))
      << "a tie goes by id; soap is the other way, and what is new has no vector";
  EXPECT_EQ(answer->products(0).score(), 0.75F);
  EXPECT_EQ(answer->products(2).score(), 0.5F);
  EXPECT_EQ(answer->products(0).because_product_id(), "milk");
  EXPECT_EQ(answer->products(0).source(), v1::SOURCE_SIMILAR);
  EXPECT_THAT(Ids(Ask("milk", 1)), ElementsAre("butter"));
  EXPECT_THAT(Ids(Ask("milk", 2, {"butter", "no such thing", "\xff"})),
              ElementsAre("cheese", "bread"));
  EXPECT_THAT(Ids(Ask("new")), IsEmpty());
  EXPECT_THAT(Ids(Ask("no such thing")), IsEmpty());
}

TEST_F(NearestProductsTest, EachVersionHasItsOwn) {
  ASSERT_TRUE(Gives("1"));
  Promote("2");
  ASSERT_TRUE(Gives("2"));
  EXPECT_THAT(Ids(Ask("milk")), ElementsAre("soap"));
  ASSERT_TRUE(Eventually([&] { return Ids(Ask("milk", 1, {}, "1")).front() == "butter"; }));
  Promote("3");
  ASSERT_TRUE(Gives("3"));
  EXPECT_THAT(Ids(Ask("milk")), IsEmpty()) << "a version without vectors has nothing to say";
  EXPECT_EQ(Ask("milk", 0, {}, "9").status().code(), StatusCode::kNotFound);
}

TEST_F(NearestProductsTest, AnotherArtefactOfThatVersionDoesNotTakeOverTheOldVectors) {
  ASSERT_TRUE(Gives("1"));
  service_->Stop();
  service_.reset();
  std::filesystem::remove(*environment_.get().Folder("inference") / "recommender.serving");
  std::filesystem::remove(*environment_.get().Folder("inference") / "recommender-1.version");
  training_->Put("1", ArtifactOf({{"milk", {1, 0}}, {"soap", {1, 0}}}));
  Open();
  ASSERT_TRUE(Gives("1"));
  EXPECT_THAT(Ids(Ask("milk")), ElementsAre("soap"));
}

TEST_F(NearestProductsTest, AfterARestartItNeedsNoTraining) {
  ASSERT_TRUE(Gives("1"));
  service_->Stop();
  service_.reset();
  training_->away = true;
  Open();
  EXPECT_THAT(Ids(Ask("milk", 1)), ElementsAre("butter"));
}

TEST_F(NearestProductsTest, OnlyTheNewestVersionsStayInTheStore) {
  ASSERT_TRUE(Gives("1"));
  for (int version = 10; version < 16; ++version) {
    training_->Put(std::to_string(version),
                   ArtifactOf({{"milk", {1, 0}}, {"soap", {static_cast<float>(version), 0}}}));
    Promote(std::to_string(version));
    ASSERT_TRUE(Gives(std::to_string(version))) << version;
  }
  Promote("1");  // rolled back: it is written again, and stays though it is the oldest
  ASSERT_TRUE(Gives("1"));
  service_->Stop();
  service_.reset();
  const auto store = *environment_.get().OpenVectors("inference", "nearest");
  const auto names = *Block(store->List());
  ASSERT_EQ(names.size(), 4u) << testing::PrintToString(names);
  EXPECT_THAT(names, ElementsAre(testing::StartsWith("1-"), testing::StartsWith("13-"),
                                 testing::StartsWith("14-"), testing::StartsWith("15-")));
}

TEST_F(NearestProductsTest, BadRequestsAreNamed) {
  ASSERT_TRUE(Gives("1"));
  const auto field = [](const Status& status) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    return FieldViolations(status).empty() ? "" : FieldViolations(status)[0].field;
  };
  EXPECT_EQ(field(Ask("milk", -1).status()), "limit");
  EXPECT_EQ(field(Ask("milk", 501).status()), "limit");
  EXPECT_EQ(field(Ask("milk", 1, std::vector<std::string>(10'000, "x")).status()), "excluded_ids");
}

TEST_F(NearestProductsTest, WithoutItsServerItSaysSoAndGoesOnAfter) {
  if (host::TestEnvironment::make_vectors == nullptr) return;  // in memory there is none
  ASSERT_TRUE(Gives("1"));
  ASSERT_TRUE(sql::TestServer::Get().Kill().ok());
  for (int i = 0; i < 3; ++i) {
    const auto answer = Ask("milk");
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_FALSE(answer->error().empty());
    EXPECT_THAT(answer->products(), IsEmpty());
  }
  EXPECT_THAT(Ids(Ask("milk")), ElementsAre("the vectors of products cannot be reached"))
      << "nobody asks again at once";
  ASSERT_TRUE(sql::TestServer::Get().StartAgain().ok());
  ASSERT_TRUE(Gives("1"));
  EXPECT_THAT(Ids(Ask("milk", 1)), ElementsAre("butter"));
}

}  // namespace
}  // namespace starling::inference
