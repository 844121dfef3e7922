#include "services/training/version_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "embedded/training_migrations.h"
#include "platform/host/test_environment.h"

namespace starling::training {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class VersionRegistryTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override { Close(); }
  void Open() {
    database_ = *environment_.get().OpenDatabase("training", kMigrations);
    outbox_ = *environment_.get().OpenOutbox(*database_);
    outbox_->Start();
    auto opened = VersionRegistry::Open(*database_, *outbox_, OpenBlobs());
    ASSERT_TRUE(opened.ok()) << opened.status();
    registry_ = *std::move(opened);
  }
  void Close() {
    registry_.reset();
    outbox_->Stop();
    outbox_.reset();
    database_.reset();
  }
  void Crash() {
    Close();
    Open();
  }
  std::unique_ptr<blob::Store> OpenBlobs() {
    return environment_.get().OpenBlobs("training", "artifacts").value();
  }
  static std::string Key(const std::string& version) { return "recommender/" + version + ".model"; }
  void PutBlob(const std::string& version, std::string_view bytes) {
    blob::Bytes source(bytes);
    EXPECT_TRUE(OpenBlobs()->Put(Key(version), source).ok());
  }
  bool HasBlob(const std::string& version) { return OpenBlobs()->Head(Key(version)).ok(); }
  std::string Register(const std::string& bytes) {
    v1::ModelVersion draft;
    draft.set_model("recommender");
    const auto made = registry_->Register(draft, bytes, environment_.clock().Now());
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? made->version() : "";
  }
  // What other instances could be given: files alone are left.
  void RemoveShared() {
    EXPECT_TRUE(database_
                    ->WriteSync([](sql::Transaction& transaction) {
                      return transaction.Execute("DELETE FROM artifacts");
                    })
                    .ok());
  }
  Status Promote(const std::string& version) {
    return registry_->Promote("recommender", version, environment_.clock().Now()).status();
  }
  std::vector<std::string> Versions() {
    std::vector<std::string> names;
    const auto versions = registry_->Versions("recommender");
    for (const auto& version : *versions) {
      names.push_back(version.version() + (version.serving() ? "*" : "") +
                      (version.problem().empty() ? "" : "!"));
    }
    return names;
  }
  size_t Promotions() {
    Close();  // the outbox gives what it holds to the log
    const auto events = environment_.events().Read("models", 1, 100);
    Open();
    return events.ok() ? events->size() : 0;
  }

  host::TestEnvironment environment_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<messaging::Outbox> outbox_;
  std::unique_ptr<VersionRegistry> registry_;
};

TEST_F(VersionRegistryTest, KeepsWhatWasRegisteredAndWhichServesThroughARestart) {
  EXPECT_EQ(Register("one"), "1");
  EXPECT_EQ(Register("two"), "2");
  ASSERT_TRUE(Promote("1").ok());
  Crash();
  EXPECT_THAT(Versions(), ElementsAre("2", "1*"));
  EXPECT_EQ(*registry_->ReadArtifact(*registry_->Find("recommender", "")), "one");
}

TEST_F(VersionRegistryTest, ABlobWithoutARowIsRemovedAndItsNumberNotUsedAgain) {
  Register("one");
  PutBlob("2", "the process ended before its row");
  Crash();
  EXPECT_EQ(HasBlob("2"), OpenBlobs()->IsShared()) << "another may register it now";
  ASSERT_TRUE(registry_->Prune("recommender", 5).ok());
  EXPECT_FALSE(HasBlob("2"));
  EXPECT_THAT(Versions(), ElementsAre("1"));
  EXPECT_EQ(Register("two"), "2");
}

TEST_F(VersionRegistryTest, ARowWithoutABlobIsToldAndNeverServed) {
  Register("one");
  Register("two");
  ASSERT_TRUE(Promote("1").ok());
  ASSERT_TRUE(OpenBlobs()->Delete(Key("2")).ok());
  RemoveShared();
  Crash();
  EXPECT_THAT(Versions(), ElementsAre("2!", "1*"));
  const Status promoted = Promote("2");
  EXPECT_EQ(promoted.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(promoted.message()), HasSubstr("missing"));
  EXPECT_THAT(Versions(), ElementsAre("2!", "1*"));
}

TEST_F(VersionRegistryTest, ATornOrAlteredBlobIsToldAndNeverServed) {
  Register("a whole artefact");
  Register("another one");
  PutBlob("1", "a who");
  PutBlob("2", "bnother one");
  RemoveShared();
  Crash();
  EXPECT_THAT(Versions(), ElementsAre("2!", "1!"));
  EXPECT_EQ(Promote("1").code(), StatusCode::kDataLoss);
  EXPECT_EQ(Promote("2").code(), StatusCode::kDataLoss);
  PutBlob("2", "another one");  // restored from a backup
  EXPECT_TRUE(Promote("2").ok());
  EXPECT_THAT(Versions(), ElementsAre("2*", "1!"));
}

TEST_F(VersionRegistryTest, PruningKeepsTheNewestAndTheOneThatServes) {
  for (const char* bytes : {"1", "2", "3", "4", "5"}) Register(bytes);
  ASSERT_TRUE(Promote("1").ok());
  ASSERT_TRUE(registry_->Prune("recommender", 2).ok());
  EXPECT_THAT(Versions(), ElementsAre("5", "4", "1*"));
  EXPECT_FALSE(HasBlob("3"));
  EXPECT_TRUE(HasBlob("1"));
}

TEST_F(VersionRegistryTest, FilesOfAnEarlierStarlingBecomeBlobs) {
  Register("one");
  ASSERT_TRUE(OpenBlobs()->Delete(Key("1")).ok());
  RemoveShared();
  const auto folder = *environment_.get().Folder("training") / "models";
  std::filesystem::create_directories(folder / "recommender");
  std::ofstream(folder / "recommender" / "1.model") << "one";
  std::ofstream(folder / "recommender" / "2.model.unfinished") << "tw";
  for (int start = 0; start < 2; ++start) {
    ASSERT_TRUE(TakeOverFiles(folder, *OpenBlobs()).ok());
    Crash();
    EXPECT_THAT(Versions(), ElementsAre("1"));
    EXPECT_EQ(*registry_->ReadArtifact(*registry_->Find("recommender", "1")), "one");
    EXPECT_FALSE(std::filesystem::exists(folder / "recommender" / "1.model"));
  }
  EXPECT_TRUE(TakeOverFiles(folder / "absent", *OpenBlobs()).ok());
}

TEST_F(VersionRegistryTest, APromotionIsToldOnceAndWithItsVersion) {
  Register("one");
  Register("two");
  ASSERT_TRUE(Promote("1").ok());
  ASSERT_TRUE(Promote("1").ok()) << "again: it serves already";
  ASSERT_TRUE(Promote("2").ok());
  ASSERT_TRUE(Promote("1").ok()) << "back";
  EXPECT_EQ(Promotions(), 3u);
  const auto events = environment_.events().Read("models", 1, 1);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(events->front().event.type, "starling.training.version.promoted.v1");
  v1::VersionPromoted promoted;
  ASSERT_TRUE(promoted.ParseFromString(events->front().event.data));
  EXPECT_EQ(promoted.version().version(), "1");
  EXPECT_EQ(promoted.version().artifact_bytes(), 3);
}

TEST_F(VersionRegistryTest, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(Promote("1").code(), StatusCode::kNotFound);
  EXPECT_EQ(registry_->Find("recommender", "").status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Versions(), IsEmpty());
}

}  // namespace
}  // namespace starling::training
