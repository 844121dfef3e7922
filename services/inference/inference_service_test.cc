#include "services/inference/inference_service.h"

#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "learning/models/als.h"
#include "learning/models/item_knn.h"
#include "learning/random.h"
#include "learning/recommender/recommender_writer.h"
#include "platform/base/id.h"
#include "platform/host/service_test.h"
#include "services/inference/made_training.h"

namespace starling::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Who has "a" wants "b" or what `partner` says; "z" sells best.
std::string Artifact(const std::string& partner) {
  const std::vector<std::string> items = {"a", partner, "z"};
  std::vector<std::string> users;
  std::vector<learning::Interaction> events;
  for (uint32_t u = 0; u < 30; ++u) {
    users.push_back("user-" + std::to_string(u));
    if (u < 10) events.push_back({u, 0, 1, 1'000});
    if (u < 9) events.push_back({u, 1, 1, 1'000});
    if (u > 9) events.push_back({u, 2, 1, 1'000});
  }
  const auto data = *learning::MakeInteractions(events, users.size(), items.size());
  learning::UserHistory history;
  history.offsets.push_back(0);
  for (size_t user = 0; user < data.users(); ++user) {
    for (const uint32_t item : data.row(user).items) {
      history.items.push_back(item);
      history.weights.push_back(1);
      history.x.push_back(1);
      history.goals.push_back(1);
    }
    history.offsets.push_back(history.items.size());
  }
  const learning::Weighting linear{.scale = learning::Weighting::Scale::kLinear};
  const auto popularity = *learning::FitPopularity(data, {.weighting = linear});
  const auto similar = *learning::FitItemKnn(data, {.weighting = linear});
  learning::RecommenderSettings settings{.until = 1'000};
  settings.strength = {0, 0.2, 0.3, 0.6, 1, 0.6, 0};
  const auto item_table = *learning::IdTable::Make(items);
  const auto user_table = *learning::IdTable::Make(users);
  return *learning::WriteRecommender({.items = item_table,
                                      .users = user_table,
                                      .history = history,
                                      .settings = settings,
                                      .algorithm = "item_knn",
                                      .popularity = popularity,
                                      .similar = &similar});
}

// More products than all factors are read for: user u has some products of its own taste, and wants
// the others.
struct LargeShop {
  static constexpr uint32_t kUsers = 3'000;
  static constexpr uint32_t kProducts = 21'000;
  static constexpr uint32_t kTastes = 70;

  LargeShop() {
    std::vector<std::string> items, users;
    for (uint32_t i = 0; i < kProducts; ++i) items.push_back(fmt::format("p-{}", i));
    std::vector<learning::Interaction> events;
    learning::Random random(1);
    for (uint32_t user = 0; user < kUsers; ++user) {
      users.push_back(fmt::format("user-{}", user));
      for (int i = 0; i < 40; ++i) {
        const auto of_taste = static_cast<uint32_t>(random.Below(kProducts / kTastes));
        events.push_back({user, user % kTastes + kTastes * of_taste, 1, 1'000});
      }
    }
    data = *learning::MakeInteractions(events, kUsers, kProducts);
    learning::UserHistory history;
    history.offsets.push_back(0);
    for (uint32_t user = 0; user < kUsers; ++user) {
      const auto row = data.row(user);
      history.items.insert(history.items.end(), row.items.begin(), row.items.end());
      history.offsets.push_back(history.items.size());
    }
    history.weights.assign(history.items.size(), 1);
    history.x.assign(history.items.size(), 1);
    history.goals.assign(history.items.size(), 1);
    const learning::Weighting linear{.scale = learning::Weighting::Scale::kLinear};
    const auto popularity = *learning::FitPopularity(data, {.weighting = linear});
    als.emplace(*learning::FitAls(
        data, {.weighting = linear, .factors = 16, .iterations = 3, .regularisation = 0.0005}));
    learning::RecommenderSettings settings{.until = 1'000};
    settings.strength = {0, 0.2, 0.3, 0.6, 1, 0.6, 0};
    const auto item_table = *learning::IdTable::Make(items);
    const auto user_table = *learning::IdTable::Make(users);
    artifact = *learning::WriteRecommender({.items = item_table,
                                            .users = user_table,
                                            .history = history,
                                            .settings = settings,
                                            .algorithm = "als",
                                            .popularity = popularity,
                                            .factors = &*als});
  }

  // The products of the best scores of all, without those that are in the history.
  std::vector<std::string> Best(const std::vector<uint32_t>& items, size_t count) const {
    std::vector<learning::HistoryItem> history;
    for (const uint32_t item : items) history.push_back({item, 1, 0});
    std::vector<float> scores(kProducts);
    als->Score(history, 0, scores);
    std::vector<std::string> best;
    for (const auto& each : learning::TopK(scores, {.k = count, .excluded = items}))
      best.push_back(fmt::format("p-{}", each.item));
    return best;
  }

  learning::Interactions data;
  std::optional<learning::AlsModel> als;
  std::string artifact;
};

class InferenceServiceTest : public host::ServiceTest<InferenceService> {
 protected:
  void SetUp() override {
    environment_.registry().AddLocal<training::v1::Training>(training_, environment_.telemetry(),
                                                             nullptr, {});
    training_->Put("1", Artifact("b"));
    training_->Put("2", Artifact("c"));
    ServiceTest::SetUp();
  }

  void Promote(const std::string& version) {
    training_->Serve(version);
    messaging::Event event{
        .id = NewId(), .source = "/training", .type = "starling.training.version.promoted.v1"};
    ASSERT_TRUE(Block(environment_.events().Append("models", event)).ok());
  }
  v1::ListLoadedModelsResponse Loaded() { return *Block(service_->ListLoadedModels(context_, {})); }
  template <typename Condition>
  bool Eventually(const Condition& condition) {
    for (int i = 0; i < 2'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  bool Serves(const std::string& version) {
    return Eventually([&] {
      const auto loaded = Loaded();
      return loaded.models_size() > 0 && loaded.models(0).version() == version &&
             loaded.models(0).error().empty();
    });
  }
  StatusOr<v1::RecommendResponse> Ask(const std::string& version = "") {
    v1::RecommendRequest request;
    request.set_version(version);
    request.set_limit(1);
    auto& signal = *request.add_signals();
    signal.set_product_id("a");
    signal.set_type("view");
    request.add_excluded_ids("a");
    return Block(service_->Recommend(context_, request));
  }
  std::string First(const std::string& version = "") {
    const auto answer = Ask(version);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() && answer->products_size() > 0 ? answer->products(0).product_id() : "";
  }

  std::shared_ptr<MadeTraining> training_ = std::make_shared<MadeTraining>();
};

TEST_F(InferenceServiceTest, BeforeATrainingItSaysWhatToDo) {
  const Status status = Ask().status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Reason(status), "NO_MODEL");
  EXPECT_THAT(std::string(status.message()), HasSubstr("starling train"));
  EXPECT_EQ(Loaded().models_size(), 0);
}

TEST_F(InferenceServiceTest, APromotionIsServedAndSoIsTheWayBack) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  const auto answer = Ask();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->model(), "recommender");
  EXPECT_EQ(answer->version(), "1");
  ASSERT_EQ(answer->products_size(), 1);
  EXPECT_EQ(answer->products(0).product_id(), "b");
  EXPECT_EQ(answer->products(0).source(), v1::SOURCE_SIMILAR);
  EXPECT_EQ(answer->products(0).because_product_id(), "a");
  Promote("2");
  ASSERT_TRUE(Serves("2"));
  EXPECT_EQ(First(), "c");
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  EXPECT_EQ(First(), "b");
}

TEST_F(InferenceServiceTest, ARestartServesWithoutTraining) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  Close();
  training_->away = true;
  Open();
  EXPECT_EQ(First(), "b");
  training_->Serve("2");  // promoted while this was down; no event will come again
  training_->away = false;
  ASSERT_TRUE(Serves("2"));
  EXPECT_EQ(First(), "c");
}

TEST_F(InferenceServiceTest, AnAlteredArtifactIsRefusedAndTheOldOneServesOn) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  std::string altered = Artifact("d");
  const std::string registered = altered;
  altered[altered.size() / 2] ^= 1;
  training_->Put("3", registered, altered);
  Promote("3");
  ASSERT_TRUE(Eventually([&] { return !Loaded().models(0).error().empty(); }));
  EXPECT_EQ(Loaded().models(0).version(), "1");
  EXPECT_THAT(Loaded().models(0).error(), HasSubstr("version 3"));
  EXPECT_EQ(First(), "b");
  training_->Put("3", registered);  // restored; promoted again by way of another
  Promote("2");
  ASSERT_TRUE(Serves("2"));
  Promote("3");
  ASSERT_TRUE(Serves("3"));
  EXPECT_EQ(First(), "d");
}

TEST_F(InferenceServiceTest, BytesThatAreNoModelAreRefusedThoughTheyCameWhole) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  training_->Put("3", std::string(10'000, 'x'));
  Promote("3");
  ASSERT_TRUE(Eventually([&] { return !Loaded().models(0).error().empty(); }));
  EXPECT_EQ(First(), "b");
}

TEST_F(InferenceServiceTest, ADamagedOwnCopyIsFetchedAgain) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  Close();
  const auto path = *environment_.get().Folder("inference") / "recommender-1.model";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 64);
  Open();
  ASSERT_TRUE(Serves("1"));
  EXPECT_EQ(First(), "b");
}

TEST_F(InferenceServiceTest, AnotherVersionIsLoadedWhenItIsNamed) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  EXPECT_EQ(First("2"), "c");
  EXPECT_EQ(First(), "b");
  training_->Put("3", Artifact("d"));
  training_->Put("4", Artifact("e"));
  EXPECT_EQ(First("3"), "d");
  EXPECT_EQ(First("4"), "e");
  std::vector<std::string> versions;
  const auto loaded = Loaded();
  for (const auto& model : loaded.models()) versions.push_back(model.version());
  EXPECT_THAT(versions, ElementsAre("1", "4", "3")) << "the newest two beside what serves";
  EXPECT_EQ(First("2"), "c") << "and again";
  EXPECT_EQ(Ask("9").status().code(), StatusCode::kNotFound);
}

TEST_F(InferenceServiceTest, BadRequestsNameTheField) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  v1::RecommendRequest request;
  request.set_limit(501);
  EXPECT_EQ(FieldViolations(Block(service_->Recommend(context_, request)).status())[0].field,
            "limit");
  request.set_limit(1);
  for (int i = 0; i < 1'001; ++i) request.add_signals();
  EXPECT_EQ(FieldViolations(Block(service_->Recommend(context_, request)).status())[0].field,
            "signals");
  v1::RecommendRequest other;
  other.set_model("oracle");
  EXPECT_EQ(Block(service_->Recommend(context_, other)).status().code(), StatusCode::kNotFound);
}

// User 9 has "a" alone, so wants "b". Asked at rest, the first answer is computed, the next
// remembered.
TEST_F(InferenceServiceTest, AUserAtRestIsRememberedUntilItDoesSomethingOrTheModelChanges) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  const auto ask = [&](std::vector<std::string> excluded, const std::string& bought, bool repeats,
                       int64_t at = 2'000) {
    v1::RecommendRequest request;
    request.set_user_id("user-9");
    request.set_limit(2);
    request.set_allow_repeats(repeats);
    for (std::string& id : excluded) request.add_excluded_ids(std::move(id));
    if (!bought.empty()) {
      auto& signal = *request.add_signals();
      signal.set_product_id(bought);
      signal.set_type("purchase");
      signal.set_occurred_at(at);
    }
    std::vector<std::string> ids;
    const auto answer = Block(service_->Recommend(context_, request));
    EXPECT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(answer->knows_user());
    EXPECT_EQ(answer->data_until(), 1'000);
    for (const auto& product : answer->products()) ids.push_back(product.product_id());
    return ids;
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(ask({}, "", false), ElementsAre("b", "z"));
    EXPECT_THAT(ask({"b"}, "", false), ElementsAre("z"));
    EXPECT_THAT(ask({}, "b", false), ElementsAre("z")) << "the newest purchase is told";
    EXPECT_THAT(ask({}, "b", false, 1'000), ElementsAre("b", "z")) << "the model has heard of that";
    EXPECT_THAT(ask({}, "", true), testing::Contains("b"));
  }
  Promote("2");
  ASSERT_TRUE(Serves("2"));
  EXPECT_THAT(ask({}, "", false), ElementsAre("c", "z"));
}

TEST_F(InferenceServiceTest, FactorsOfALargeCatalogueAreServedAsIfAllWereScored) {
  const LargeShop shop;
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  EXPECT_EQ(Loaded().models(0).retrieval(), "");
  training_->Put("7", shop.artifact);
  Promote("7");
  ASSERT_TRUE(Serves("7"));
  EXPECT_THAT(Loaded().models(0).retrieval(), HasSubstr("recall@50"));
  constexpr size_t kLimit = 20;
  size_t hits = 0, asked = 0;
  const auto compare = [&](const v1::RecommendRequest& request,
                           const std::vector<uint32_t>& history) {
    const auto answer = Block(service_->Recommend(context_, request));
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(answer->products_size(), static_cast<int>(kLimit));
    const auto best = shop.Best(history, kLimit);
    for (const auto& product : answer->products()) {
      EXPECT_EQ(product.source(), v1::SOURCE_FACTORS);
      for (const std::string& excluded : request.excluded_ids())
        EXPECT_NE(product.product_id(), excluded);
      hits += std::find(best.begin(), best.end(), product.product_id()) != best.end() ? 1 : 0;
    }
    asked += kLimit;
  };
  v1::RecommendRequest request;
  request.set_limit(kLimit);
  for (uint32_t user = 0; user < 40; ++user) {
    const auto row = shop.data.row(user);
    const std::vector<uint32_t> history(row.items.begin(), row.items.end());
    request.set_user_id(fmt::format("user-{}", user));
    compare(request, history);
    // A stranger, told at once what it bought, is folded in.
    v1::RecommendRequest stranger;
    stranger.set_limit(kLimit);
    for (const uint32_t item : history) {
      auto& signal = *stranger.add_signals();
      signal.set_product_id(fmt::format("p-{}", item));
      signal.set_type("purchase");
    }
    compare(stranger, history);
  }
  EXPECT_GE(static_cast<double>(hits), 0.98 * static_cast<double>(asked));
  // What is excluded makes room for what comes next.
  const auto row = shop.data.row(0);
  const std::vector<std::string> best = shop.Best({row.items.begin(), row.items.end()}, 2 * kLimit);
  request.set_user_id("user-0");
  for (size_t i = 0; i < kLimit; ++i) request.add_excluded_ids(best[i]);
  const auto answer = Block(service_->Recommend(context_, request));
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->products_size(), static_cast<int>(kLimit));
  const std::set<std::string> next(best.begin() + kLimit, best.end());
  size_t of_next = 0;
  for (const auto& product : answer->products()) of_next += next.contains(product.product_id());
  EXPECT_GE(of_next, kLimit - 1);
}

TEST_F(InferenceServiceTest, UnknownUsersAndProductsAreAnsweredByWhatSells) {
  Promote("1");
  ASSERT_TRUE(Serves("1"));
  v1::RecommendRequest request;
  request.set_user_id("a stranger");
  request.add_signals()->set_product_id("a thing of yesterday");
  const auto answer = Block(service_->Recommend(context_, request));
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->products_size(), 3);
  EXPECT_EQ(answer->products(0).product_id(), "z");
  EXPECT_EQ(answer->products(0).source(), v1::SOURCE_POPULAR);
}

}  // namespace
}  // namespace starling::inference
