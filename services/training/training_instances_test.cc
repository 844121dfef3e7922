// Two instances of training on one database, each with a folder of its own.
#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "platform/host/test_environment.h"
#include "services/training/made_interactions.h"
#include "services/training/training_service.h"

namespace starling::training {
namespace {

using testing::HasSubstr;

// All are on the database that the fixture chose.
struct Instance {
  Instance() {
    features = std::make_shared<MadeFeatures>(MakeInteractions({}));
    environment.registry().AddLocal<features::v1::Features>(features, environment.telemetry(),
                                                            nullptr, {});
    EXPECT_TRUE(environment
                    .Configure<TrainingConfig>(
                        {{"training.every", "0s"}, {"training.low_priority", "false"}})
                    .ok());
    service = *TrainingService::Create(environment.get());
    EXPECT_TRUE(service->Start().ok());
  }
  ~Instance() { service->Stop(); }

  StatusOr<v1::Operation> Begin() {
    v1::TrainModelRequest request;
    request.set_model("recommender");
    request.set_algorithm("als");
    return environment.Block(service->TrainModel(context, request));
  }
  StatusOr<v1::Operation> Get(const std::string& id) {
    v1::GetOperationRequest request;
    request.set_operation_id(id);
    return environment.Block(service->GetOperation(context, request));
  }
  StatusOr<v1::Operation> Cancel(const std::string& id) {
    v1::CancelOperationRequest request;
    request.set_operation_id(id);
    return environment.Block(service->CancelOperation(context, request));
  }
  v1::Operation Ended(const std::string& id) {
    while (true) {
      const auto operation = Get(id);
      EXPECT_TRUE(operation.ok()) << operation.status();
      if (!operation.ok() || operation->done()) return operation.value_or(v1::Operation());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  host::TestEnvironment environment;
  std::shared_ptr<MadeFeatures> features;
  std::shared_ptr<TrainingService> service;
  rpc::CallContext context = rpc::CallContext::ForService("test", std::chrono::seconds(60));
};

class Parts final : public rpc::Stream<v1::ArtifactChunk> {
 public:
  Task<Status> Write(const v1::ArtifactChunk& chunk) override {
    bytes += chunk.data();
    co_return OkStatus();
  }
  std::string bytes;
};

class TrainingInstancesTest : public testing::Test {
 protected:
  void SetUp() override {
    make_ = host::TestEnvironment::make_storage;
    make_blobs_ = host::TestEnvironment::make_blobs;
    storage_ = make_();
    if (make_blobs_ != nullptr) storage_.blob = make_blobs_();
    host::TestEnvironment::make_storage = [] { return storage_; };
    host::TestEnvironment::make_blobs = nullptr;
    a_ = std::make_unique<Instance>();
    b_ = std::make_unique<Instance>();
  }
  void TearDown() override {
    b_.reset();
    a_.reset();
    host::TestEnvironment::make_storage = make_;
    host::TestEnvironment::make_blobs = make_blobs_;
  }
  static inline host::StorageConfig storage_;
  host::StorageConfig (*make_)() = nullptr;
  host::BlobStorageConfig (*make_blobs_)() = nullptr;
  std::unique_ptr<Instance> a_, b_;
};

TEST_F(TrainingInstancesTest, WhatOneTrainsTheOtherToldOfAndGives) {
  const auto begun = a_->Begin();
  ASSERT_TRUE(begun.ok()) << begun.status();
  const v1::Operation ended = b_->Ended(begun->operation_id());
  ASSERT_EQ(ended.error(), "");
  EXPECT_EQ(ended.result().version(), "1");
  v1::ReadArtifactRequest request;
  request.set_model("recommender");
  Parts of_a, of_b;
  ASSERT_TRUE(a_->environment.Block(a_->service->ReadArtifact(a_->context, request, of_a)).ok());
  ASSERT_TRUE(b_->environment.Block(b_->service->ReadArtifact(b_->context, request, of_b)).ok());
  EXPECT_FALSE(of_a.bytes.empty());
  EXPECT_TRUE(of_a.bytes == of_b.bytes);
}

TEST_F(TrainingInstancesTest, OneTrainsAtATimeAndTheOtherMayEndIt) {
  const auto begun = a_->Begin();
  ASSERT_TRUE(begun.ok()) << begun.status();
  const auto second = b_->Begin();
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another instance trains already"));
  ASSERT_TRUE(b_->Cancel(begun->operation_id()).ok());
  (void)a_->Ended(begun->operation_id());  // cancelled, unless it was quicker
  const auto third = b_->Begin();
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(b_->Ended(third->operation_id()).error(), "");
}

TEST_F(TrainingInstancesTest, AnOperationWhoseInstanceIsGoneHasFailed) {
  auto database = *b_->environment.get().OpenDatabase("operations-alone", {});
  ASSERT_TRUE(database
                  ->WriteSync([](sql::Transaction& transaction) {
                    return transaction.Execute(
                        "CREATE TABLE operations (operation_id TEXT PRIMARY KEY NOT NULL, done "
                        "INTEGER NOT NULL, cancelled INTEGER NOT NULL, seen_at INTEGER NOT NULL, "
                        "data BLOB NOT NULL)");
                  })
                  .ok());
  OperationTable table(*database);
  v1::Operation operation;
  operation.set_operation_id("1");
  const TimePoint now = b_->environment.clock().Now();
  EXPECT_FALSE(table.Put(operation, now).value());
  EXPECT_FALSE(table.Get("1", now + OperationTable::kGoneAfter).value().done());
  const v1::Operation gone =
      table.Get("1", now + OperationTable::kGoneAfter + std::chrono::seconds(1)).value();
  EXPECT_TRUE(gone.done());
  EXPECT_THAT(gone.error(), HasSubstr("has ended"));
  EXPECT_TRUE(table.Cancel("1", now).ok());
  EXPECT_TRUE(table.Put(operation, now).value()) << "its instance hears of it";
  EXPECT_EQ(table.Get("2", now).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace starling::training
