// From what users did to what they are given: features, training and inference together, as one
// process has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "contracts/features/v1/features.service.h"
#include "contracts/inference/v1/inference.service.h"
#include "contracts/ingestion/v1/ingestion.service.h"
#include "contracts/training/v1/training.service.h"
#include "services/training/made_interactions.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using testing::HasSubstr;
using testing_support::RunningProcess;

class Models : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(process_.status().ok()) << process_.status(); }

  template <typename T>
  T Block(Task<T> task) {
    return process_.process().runtime().Block(std::move(task));
  }
  template <typename Service>
  std::shared_ptr<Service> Find() {
    return process_.process().services().Get<Service>();
  }
  rpc::CallContext Call() { return rpc::CallContext::ForService("test", std::chrono::seconds(60)); }

  // By ingestion, as a shop does.
  void Tell(const std::vector<features::v1::UserInteractions>& users) {
    ingestion::v1::WriteEventsRequest request;
    const auto write = [&] {
      rpc::CallContext context = Call();
      const auto written = Block(Find<ingestion::v1::Ingestion>()->WriteEvents(context, request));
      ASSERT_TRUE(written.ok()) << written.status();
      request.clear_events();
    };
    for (const auto& user : users) {
      for (int i = 0; i < user.product_ids_size(); ++i) {
        auto& event = *request.add_events();
        event.set_user_id(user.user_id());
        event.set_product_id(user.product_ids(i));
        event.set_type(user.types(i) == features::v1::INTERACTION_TYPE_VIEW ? "view" : "purchase");
        event.mutable_occurred_at()->set_seconds(user.occurred_at(i));
        if (request.events_size() == 1'000) write();
      }
    }
    if (request.events_size() > 0) write();
    ASSERT_TRUE(Eventually([&] {
      const auto lag = process_.process().events().Lag("user-events", "features");
      return lag.ok() && *lag == 0;
    }));
  }
  template <typename Condition>
  bool Eventually(const Condition& condition) {
    for (int i = 0; i < 4'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  training::v1::Operation Train(const std::string& algorithm) {
    training::v1::TrainModelRequest request;
    request.set_model("recommender");
    request.set_algorithm(algorithm);
    rpc::CallContext begin = Call();
    auto operation = Block(Find<training::v1::Training>()->TrainModel(begin, request));
    EXPECT_TRUE(operation.ok()) << operation.status();
    training::v1::GetOperationRequest get;
    get.set_operation_id(operation->operation_id());
    EXPECT_TRUE(Eventually([&] {
      rpc::CallContext context = Call();
      operation = Block(Find<training::v1::Training>()->GetOperation(context, get));
      return operation->done();
    }));
    return *operation;
  }
  bool Serves(const std::string& version) {
    return Eventually([&] {
      rpc::CallContext context = Call();
      const auto loaded = Block(Find<inference::v1::Inference>()->ListLoadedModels(context, {}));
      return loaded->models_size() > 0 && loaded->models(0).version() == version;
    });
  }
  inference::v1::RecommendResponse Ask(const inference::v1::RecommendRequest& request) {
    rpc::CallContext context = Call();
    const auto answer = Block(Find<inference::v1::Inference>()->Recommend(context, request));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : inference::v1::RecommendResponse();
  }
  // How many of the first ten are of the taste.
  static int OfTaste(const inference::v1::RecommendResponse& answer, int taste) {
    int count = 0;
    for (const auto& product : answer.products())
      count += product.product_id().starts_with(fmt::format("p-{}-", taste)) ? 1 : 0;
    return count;
  }

  RunningProcess process_{{{"training.holdout", "0.2"}, {"training.low_priority", "false"}}};
};

TEST_F(Models, WhatUsersDidIsTrainedPromotedServedAndBetterThanPopularity) {
  Tell(training::MakeInteractions({}));
  const training::v1::Operation ended = Train("auto");
  ASSERT_EQ(ended.error(), "");
  EXPECT_TRUE(ended.result().serving());
  EXPECT_GT(ended.result().metrics().at("ndcg@10"),
            2 * ended.result().baseline_metrics().at("ndcg@10"));
  ASSERT_TRUE(Serves("1"));
  for (int user = 0; user < 12; ++user) {
    inference::v1::RecommendRequest request;
    request.set_user_id(fmt::format("u-{:05}", user));
    const auto answer = Ask(request);
    EXPECT_EQ(answer.products_size(), 10);
    EXPECT_GE(OfTaste(answer, user % 6), 7) << "user " << user;
  }
}

TEST_F(Models, ANewShoppersClickChangesTheNextAnswer) {
  Tell(training::MakeInteractions({}));
  ASSERT_EQ(Train("ease").error(), "");
  ASSERT_TRUE(Serves("1"));
  inference::v1::RecommendRequest request;
  EXPECT_LE(OfTaste(Ask(request), 3), 5);
  auto& signal = *request.add_signals();
  signal.set_product_id("p-3-004");
  signal.set_type("view");
  const auto answer = Ask(request);
  EXPECT_GE(OfTaste(answer, 3), 8);
  EXPECT_EQ(answer.products(0).source(), inference::v1::SOURCE_SIMILAR);
  EXPECT_EQ(answer.products(0).because_product_id(), "p-3-004");
}

TEST_F(Models, RollbackServesTheOldVersionAgain) {
  Tell(training::MakeInteractions({}));
  ASSERT_EQ(Train("item_knn").error(), "");
  ASSERT_EQ(Train("ease").error(), "");
  training::v1::PromoteVersionRequest request;
  request.set_model("recommender");
  for (const char* version : {"2", "1"}) {
    request.set_version(version);
    rpc::CallContext context = Call();
    const auto promoted = Block(Find<training::v1::Training>()->PromoteVersion(context, request));
    ASSERT_TRUE(promoted.ok()) << promoted.status();
    EXPECT_TRUE(Serves(version));
  }
}

}  // namespace
}  // namespace starling
