#include "services/training/training_service.h"

#include <gmock/gmock.h>

#include <thread>

#include "platform/host/service_test.h"
#include "services/training/made_interactions.h"

namespace starling::training {
namespace {

using testing::HasSubstr;

class TrainingServiceTest : public host::ServiceTest<TrainingService> {
 protected:
  void SetUp() override {
    features_ = std::make_shared<MadeFeatures>(MakeInteractions({}));
    environment_.registry().AddLocal<features::v1::Features>(features_, environment_.telemetry(),
                                                             nullptr, {});
    // No training but those that the tests ask for.
    ASSERT_TRUE(
        environment_.Configure<TrainingConfig>({{"training.keep", "2"}, {"training.every", "0s"}})
            .ok());
    ServiceTest::SetUp();
  }

  StatusOr<v1::Operation> Begin(const std::string& algorithm,
                                v1::Promotion promotion = v1::PROMOTION_UNSPECIFIED) {
    v1::TrainModelRequest request;
    request.set_model("recommender");
    request.set_algorithm(algorithm);
    request.set_promotion(promotion);
    return Block(service_->TrainModel(context_, request));
  }
  v1::Operation Get(const std::string& id) {
    v1::GetOperationRequest request;
    request.set_operation_id(id);
    return *Block(service_->GetOperation(context_, request));
  }
  v1::Operation Ended(const std::string& id) {
    for (v1::Operation operation = Get(id);; operation = Get(id)) {
      if (operation.done()) return operation;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  v1::Operation Train(const std::string& algorithm,
                      v1::Promotion promotion = v1::PROMOTION_UNSPECIFIED) {
    const auto begun = Begin(algorithm, promotion);
    EXPECT_TRUE(begun.ok()) << begun.status();
    return begun.ok() ? Ended(begun->operation_id()) : v1::Operation();
  }
  std::string Serving() {
    return Block(service_->ListModels(context_, {}))->models(0).serving_version();
  }
  Status Promote(const std::string& version) {
    v1::PromoteVersionRequest request;
    request.set_model("recommender");
    request.set_version(version);
    return Block(service_->PromoteVersion(context_, request)).status();
  }

  std::shared_ptr<MadeFeatures> features_;
};

TEST_F(TrainingServiceTest, TrainsMeasuresRegistersAndPromotesTheFirstVersion) {
  EXPECT_EQ(Serving(), "");
  const v1::Operation ended = Train("ease");
  ASSERT_EQ(ended.error(), "");
  EXPECT_EQ(ended.progress(), 1);
  const v1::ModelVersion& version = ended.result();
  EXPECT_EQ(version.version(), "1");
  EXPECT_TRUE(version.serving());
  EXPECT_EQ(Serving(), "1");
  EXPECT_GT(version.metrics().at("ndcg@10"), version.baseline_metrics().at("ndcg@10"));
  EXPECT_EQ(version.lineage().users(), 240);
  EXPECT_EQ(version.lineage().products(), 150);
  EXPECT_EQ(version.lineage().interactions(), 240 * 24);
  EXPECT_LT(version.lineage().evaluated_after().seconds(), version.lineage().newest().seconds());
  EXPECT_THAT(version.lineage().code_version(), HasSubstr("."));
  EXPECT_EQ(version.parameters().at("main"), "ease");
}

TEST_F(TrainingServiceTest, AWorseVersionWaitsAndAnOldOneComesBack) {
  ASSERT_EQ(Train("ease").result().version(), "1");
  const v1::Operation worse = Train("popularity");
  ASSERT_EQ(worse.error(), "");
  EXPECT_FALSE(worse.result().serving());
  EXPECT_EQ(worse.result().compared_version(), "1");
  EXPECT_GT(worse.result().compared_metrics().at("ndcg@10"),
            worse.result().metrics().at("ndcg@10"));
  EXPECT_EQ(Serving(), "1");
  ASSERT_TRUE(Promote("2").ok());
  EXPECT_EQ(Serving(), "2");
  ASSERT_TRUE(Promote("1").ok());
  EXPECT_EQ(Serving(), "1");
}

TEST_F(TrainingServiceTest, PromotionIsAsAskedFor) {
  ASSERT_EQ(Train("ease", v1::PROMOTION_NEVER).error(), "");
  EXPECT_EQ(Serving(), "");
  ASSERT_EQ(Train("ease", v1::PROMOTION_ALWAYS).error(), "");
  EXPECT_EQ(Serving(), "2");
  ASSERT_EQ(Train("popularity", v1::PROMOTION_ALWAYS).error(), "");
  EXPECT_EQ(Serving(), "3");
}

TEST_F(TrainingServiceTest, KeepsTheNewestVersions) {
  for (int i = 0; i < 4; ++i) ASSERT_EQ(Train("popularity", v1::PROMOTION_NEVER).error(), "");
  v1::ListVersionsRequest request;
  request.set_model("recommender");
  const auto listed = Block(service_->ListVersions(context_, request));
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->versions_size(), 2);
  EXPECT_EQ(listed->versions(0).version(), "4");
}

TEST_F(TrainingServiceTest, ASecondTrainingIsRefusedAndTheFirstCanBeCancelled) {
  features_->Set(MakeInteractions({.users = 3'000, .tastes = 40, .purchases = 40}));
  const auto begun = Begin("auto");
  ASSERT_TRUE(begun.ok()) << begun.status();
  const Status second = Begin("auto").status();
  EXPECT_EQ(second.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr(begun->operation_id()));
  v1::CancelOperationRequest cancel;
  cancel.set_operation_id(begun->operation_id());
  ASSERT_TRUE(Block(service_->CancelOperation(context_, cancel)).ok());
  const v1::Operation ended = Ended(begun->operation_id());
  EXPECT_EQ(ended.stage(), "cancelled");
  EXPECT_THAT(ended.error(), HasSubstr("cancelled"));
  EXPECT_EQ(Serving(), "");
}

TEST_F(TrainingServiceTest, FeaturesThatStillLoadsIsWaitedFor) {
  features_->loads = 1;
  EXPECT_EQ(Train("popularity").error(), "");
}

TEST_F(TrainingServiceTest, NothingToTrainOnIsTheOperationsError) {
  features_->Set({});
  const v1::Operation ended = Train("auto");
  EXPECT_THAT(ended.error(), HasSubstr("nothing to train on"));
  EXPECT_EQ(ended.stage(), "failed");
}

TEST_F(TrainingServiceTest, BadRequestsNameWhatIsWrong) {
  EXPECT_THAT(std::string(Begin("eese").status().message()), HasSubstr("did you mean 'ease'?"));
  v1::TrainModelRequest request;
  request.set_model("oracle");
  EXPECT_EQ(Block(service_->TrainModel(context_, request)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Promote("7").code(), StatusCode::kNotFound);
  v1::GetOperationRequest get;
  get.set_operation_id("none");
  EXPECT_EQ(Block(service_->GetOperation(context_, get)).status().code(), StatusCode::kNotFound);
}

TEST_F(TrainingServiceTest, TrainsByItselfWhenEnoughHasHappened) {
  Close();
  ASSERT_TRUE(environment_
                  .Configure<TrainingConfig>(
                      {{"training.after_events", "500"}, {"training.low_priority", "false"}})
                  .ok());
  Open();
  for (int i = 0; i < 6'000 && Serving().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(Serving(), "1");
}

TEST_F(TrainingServiceTest, TheServingVersionSurvivesARestart) {
  ASSERT_EQ(Train("ease").error(), "");
  Close();
  Open();
  EXPECT_EQ(Serving(), "1");
}

class Collected final : public rpc::Stream<v1::ArtifactChunk> {
 public:
  Task<Status> Write(const v1::ArtifactChunk& chunk) override {
    if (chunk.has_version()) version = chunk.version();
    bytes += chunk.data();
    co_return OkStatus();
  }
  v1::ModelVersion version;
  std::string bytes;
};

TEST_F(TrainingServiceTest, TheArtifactIsGivenWholeWithItsVersion) {
  ASSERT_EQ(Train("ease").error(), "");
  Collected collected;
  v1::ReadArtifactRequest request;
  request.set_model("recommender");
  const Status read = Block(service_->ReadArtifact(context_, request, collected));
  ASSERT_TRUE(read.ok()) << read;
  EXPECT_EQ(collected.version.version(), "1");
  EXPECT_EQ(static_cast<int64_t>(collected.bytes.size()), collected.version.artifact_bytes());
  EXPECT_TRUE(learning::Recommender::Open(std::as_bytes(std::span(collected.bytes)), nullptr).ok());
}

}  // namespace
}  // namespace starling::training
