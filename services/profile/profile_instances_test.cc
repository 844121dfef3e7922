// Two instances of the profiles on one database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "platform/host/test_environment.h"
#include "platform/security/token.h"
#include "services/profile/profile_service.h"

namespace starling::profile {
namespace {

class ProfileInstancesTest : public testing::Test {
 protected:
  void SetUp() override {
    for (auto* instance : {&a_, &b_}) {
      *instance = *ProfileService::Create(environment_.get());
      ASSERT_TRUE((*instance)->Start().ok());
    }
    v1::UpdateUserRequest request;
    request.mutable_user()->set_user_id("ada");
    request.mutable_user()->set_display_name("Ada");
    request.mutable_update_mask()->add_paths("display_name");
    ASSERT_TRUE(environment_.Block(a_->UpdateUser(context_, request)).ok());
  }
  void TearDown() override {
    for (auto* instance : {&b_, &a_}) (*instance)->Stop();
  }
  std::string SignIn(ProfileService& at) {
    v1::CreateSessionForUserRequest request;
    request.set_user_id("ada");
    const auto session = environment_.Block(at.CreateSessionForUser(context_, request));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? session->access_token() : "";
  }
  std::string WhoseIs(ProfileService& from, const std::string& token) {
    v1::ResolveSessionRequest request;
    request.set_token_hash(std::string(security::HashToken(token)->view()));
    const auto session = environment_.Block(from.ResolveSession(context_, request));
    return session.ok() ? session->user_id() : std::string(session.status().message());
  }
  void Buy(const std::string& event_id, int64_t at) {
    ingestion::v1::UserEvent event;
    event.set_event_id(event_id);
    event.set_user_id("ada");
    event.set_type("purchase");
    event.set_product_id("p");
    event.mutable_occurred_at()->set_seconds(at);
    std::vector<messaging::Event> batch;
    batch.push_back({.id = event_id,
                     .source = "/ingestion",
                     .type = "starling.user.event.v1",
                     .partitionkey = "ada",
                     .data = event.SerializeAsString()});
    ASSERT_TRUE(environment_.Block(environment_.events().AppendBatch("user-events", batch)).ok());
  }
  std::vector<std::string> History(ProfileService& from) {
    v1::GetHistoryRequest request;
    request.set_user_id("ada");
    const auto history = environment_.Block(from.GetHistory(context_, request));
    EXPECT_TRUE(history.ok()) << history.status();
    std::vector<std::string> ids;
    for (const auto& each : history->interactions()) ids.push_back(each.event_id());
    return ids;
  }
  bool Comes(ProfileService& to, const std::vector<std::string>& ids) {
    const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (History(to) != ids) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  host::TestEnvironment environment_{host::TestEnvironment::Log::kFeedsViews};
  std::shared_ptr<ProfileService> a_, b_;
  rpc::CallContext context_ = rpc::CallContext::ForService("test", std::chrono::seconds(60));
};

TEST_F(ProfileInstancesTest, ASessionIsOpenForAllAndEndsForAll) {
  const std::string token = SignIn(*a_);
  EXPECT_EQ(WhoseIs(*a_, token), "ada");
  EXPECT_EQ(WhoseIs(*b_, token), "ada");
  v1::DeleteUserRequest request;
  request.set_user_id("ada");
  ASSERT_TRUE(environment_.Block(b_->DeleteUser(context_, request)).ok());
  EXPECT_THAT(WhoseIs(*a_, token), testing::HasSubstr("unknown or has expired"));
}

TEST_F(ProfileInstancesTest, WhatTheGroupHasYetToWriteEachHasHeard) {
  Buy("first", 10);
  EXPECT_TRUE(Comes(*a_, {"first"}));
  EXPECT_TRUE(Comes(*b_, {"first"}));
  // The member of the group is gone, and none has taken over yet.
  a_->Stop();
  Buy("second", 20);
  EXPECT_TRUE(Comes(*b_, {"second", "first"}));
}

TEST_F(ProfileInstancesTest, WhatWasForgottenElsewhereIsNotRemembered) {
  Buy("first", 10);
  EXPECT_TRUE(Comes(*b_, {"first"}));
  v1::DeleteUserRequest request;
  request.set_user_id("ada");
  ASSERT_TRUE(environment_.Block(a_->DeleteUser(context_, request)).ok());
  EXPECT_THAT(History(*b_), testing::IsEmpty());
}

}  // namespace
}  // namespace starling::profile
