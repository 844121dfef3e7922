#include "services/profile/profile_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "embedded/profile_migrations.h"
#include "platform/host/service_test.h"

namespace starling::profile {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ProfileServiceTest : public host::ServiceTest<ProfileService> {
 protected:
  Status AddUser(const std::string& id, const std::string& password = "") {
    v1::UpdateUserRequest update;
    update.mutable_user()->set_user_id(id);
    update.mutable_user()->set_display_name(id);
    update.mutable_update_mask()->add_paths("display_name");
    STARLING_RETURN_IF_ERROR(Block(service_->UpdateUser(context_, update)).status());
    return password.empty() ? OkStatus() : SetPassword(id, password);
  }
  Status SetPassword(const std::string& id, const std::string& password) {
    v1::SetPasswordRequest request;
    request.set_user_id(id);
    request.set_password(password);
    return Block(service_->SetPassword(context_, request)).status();
  }
  StatusOr<std::string> SignIn(const std::string& id, const std::string& password) {
    v1::CreateSessionRequest request;
    request.set_user_id(id);
    request.set_password(password);
    const auto session = Block(service_->CreateSession(context_, request));
    if (!session.ok()) return session.status();
    return session->access_token();
  }
  // Whose session the token is; "" when nobody's.
  std::string WhoseIs(const std::string& token) {
    v1::ResolveSessionRequest request;
    request.set_token_hash(std::string(security::HashToken(token)->view()));
    const auto session = Block(service_->ResolveSession(context_, request));
    return session.ok() ? session->user_id() : "";
  }

  // Appends events as ingestion does and waits until the service has consumed them.
  void Tell(const std::vector<ingestion::v1::UserEvent>& events) {
    std::vector<messaging::Event> batch;
    batch.reserve(events.size());
    for (const auto& event : events) {
      batch.push_back({.id = event.event_id(),
                       .source = "/ingestion",
                       .type = "starling.user.event.v1",
                       .partitionkey = event.user_id(),
                       .data = event.SerializeAsString()});
    }
    ASSERT_TRUE(Block(environment_.events().AppendBatch("user-events", batch)).ok());
    while (*environment_.events().Lag("user-events", "profile") > 0) (void)WhoseIs("st_none");
  }
  static ingestion::v1::UserEvent View(const std::string& id, const std::string& user,
                                       int64_t seconds) {
    ingestion::v1::UserEvent event;
    event.set_event_id(id);
    event.set_user_id(user);
    event.set_product_id("p");
    event.set_type("view");
    event.mutable_occurred_at()->set_seconds(seconds);
    return event;
  }
  std::vector<std::string> History(const std::string& user, int limit = 500) {
    v1::GetHistoryRequest request;
    request.set_user_id(user);
    request.set_limit(limit);
    const auto history = Block(service_->GetHistory(context_, request));
    EXPECT_TRUE(history.ok()) << history.status();
    std::vector<std::string> ids;
    for (const auto& interaction : history->interactions()) ids.push_back(interaction.event_id());
    return ids;
  }
};

TEST_F(ProfileServiceTest, ASessionEndsWithItsWeek) {
  ASSERT_TRUE(AddUser("ada", "correct horse").ok());
  const auto token = SignIn("ada", "correct horse");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(WhoseIs(*token), "ada");
  environment_.clock().Advance(std::chrono::hours(24 * 7) - std::chrono::seconds(1));
  EXPECT_EQ(WhoseIs(*token), "ada");
  environment_.clock().Advance(std::chrono::seconds(1));
  EXPECT_EQ(WhoseIs(*token), "");
}

TEST_F(ProfileServiceTest, SessionsAndUsersSurviveTheProcess) {
  ASSERT_TRUE(AddUser("ada", "correct horse").ok());
  const auto token = SignIn("ada", "correct horse");
  ASSERT_TRUE(token.ok()) << token.status();
  Close();
  Open();
  EXPECT_EQ(WhoseIs(*token), "ada");
  EXPECT_TRUE(SignIn("ada", "correct horse").ok());
}

TEST_F(ProfileServiceTest, ANewPasswordEndsTheSessionsAndTheOldPassword) {
  ASSERT_TRUE(AddUser("ada", "correct horse").ok());
  const auto token = SignIn("ada", "correct horse");
  ASSERT_TRUE(SetPassword("ada", "battery staple").ok());
  EXPECT_EQ(WhoseIs(*token), "");
  EXPECT_EQ(SignIn("ada", "correct horse").status().code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(SignIn("ada", "battery staple").ok());
}

TEST_F(ProfileServiceTest, NobodyLearnsFromARefusalWhoIsAUser) {
  ASSERT_TRUE(AddUser("ada", "correct horse").ok());
  ASSERT_TRUE(AddUser("bob").ok());  // without a password
  const Status wrong = SignIn("ada", "wrong horse").status();
  EXPECT_EQ(wrong.code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(SignIn("bob", "wrong horse").status(), wrong);
  EXPECT_EQ(SignIn("nobody", "wrong horse").status(), wrong);
}

TEST_F(ProfileServiceTest, ASessionWithoutAPasswordIsForUsersThereAreAndEndsAsAnyOther) {
  ASSERT_TRUE(AddUser("ada").ok());
  const auto open = [&](const std::string& id) {
    v1::CreateSessionForUserRequest request;
    request.set_user_id(id);
    return Block(service_->CreateSessionForUser(context_, request));
  };
  const auto session = open("ada");
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(WhoseIs(session->access_token()), "ada");
  EXPECT_EQ(open("bob").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(open("").status().code(), StatusCode::kInvalidArgument);
  environment_.clock().Advance(std::chrono::hours(24 * 7));
  EXPECT_EQ(WhoseIs(session->access_token()), "");
}

TEST_F(ProfileServiceTest, AStaleEtagChangesNoUser) {
  ASSERT_TRUE(AddUser("ada").ok());
  v1::UpdateUserRequest update;
  update.mutable_user()->set_user_id("ada");
  (*update.mutable_user()->mutable_preferences())["tea"] = 0.5;
  update.mutable_user()->set_etag("1");
  update.mutable_update_mask()->add_paths("preferences");
  const auto updated = Block(service_->UpdateUser(context_, update));
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->display_name(), "ada");
  EXPECT_EQ(Reason(Block(service_->UpdateUser(context_, update)).status()), reason::kEtagMismatch);
}

TEST_F(ProfileServiceTest, PagesCoverTheUsersOnce) {
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(AddUser("u" + std::to_string(i)).ok());
  std::vector<std::string> ids;
  v1::ListUsersRequest list;
  list.set_page_size(3);
  do {
    const auto page = Block(service_->ListUsers(context_, list));
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::User& user : page->users()) ids.push_back(user.user_id());
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  EXPECT_THAT(ids, ElementsAre("u0", "u1", "u2", "u3", "u4", "u5", "u6"));
}

TEST_F(ProfileServiceTest, TheHistoryIsNewestFirstAndHoldsTheNewest500) {
  std::vector<ingestion::v1::UserEvent> events;
  events.reserve(520);
  for (int i = 0; i < 520; ++i) events.push_back(View("e" + std::to_string(i), "ada", 1'000 + i));
  Tell(events);
  Tell({View("late", "ada", 1)});  // older than all that are kept
  Tell({View("other", "bob", 5'000)});
  const std::vector<std::string> history = History("ada");
  ASSERT_EQ(history.size(), 500u);
  EXPECT_EQ(history.front(), "e519");
  EXPECT_EQ(history.back(), "e20");
  EXPECT_THAT(History("bob"), ElementsAre("other"));
  EXPECT_THAT(History("ada", 2), ElementsAre("e519", "e518"));
}

TEST_F(ProfileServiceTest, AnEventThatComesAgainCountsOnce) {
  Tell({View("e1", "ada", 1), View("e1", "ada", 1)});
  Tell({View("e1", "ada", 1), View("e2", "ada", 2)});
  EXPECT_THAT(History("ada"), ElementsAre("e2", "e1"));
}

// Else each reading of a history sorts all of it.
TEST_F(ProfileServiceTest, TheHistoryIsIndexedInTheOrderInWhichItIsRead) {
  Close();
  const auto database = environment_.get().OpenDatabase("profile", kMigrations);
  ASSERT_TRUE(database.ok()) << database.status();
  const auto defined = [&](const char* query) {
    return Block((*database)->Read([&](sql::Connection& connection) {
      return connection.QueryOne(query,
                                 [](const sql::Row& row) { return std::string(row.Text(0)); });
    }));
  };
  auto index = defined("SELECT sql FROM sqlite_master WHERE name = 'history_by_user'");
  if (!index.ok())  // PostgreSQL
    index = defined("SELECT indexdef FROM pg_indexes WHERE indexname = 'history_by_user'");
  ASSERT_TRUE(index.ok()) << index.status();
  ASSERT_TRUE(index->has_value());
  EXPECT_THAT(**index, HasSubstr("(user_id, occurred_at, event_id)"));
}

// A few more than are read stay for a while: that none of the last 1,000 events is drawn has a
// probability of 2e-14.
TEST_F(ProfileServiceTest, WhatIsTooOldGoesFromTheDiskToo) {
  for (int i = 0; i < 3'000;) {
    std::vector<ingestion::v1::UserEvent> batch;
    for (int end = i + 100; i < end; ++i)
      batch.push_back(View("e" + std::to_string(i), "ada", 1'000 + i));
    Tell(batch);
  }
  Close();
  const auto database = environment_.get().OpenDatabase("profile", kMigrations);
  ASSERT_TRUE(database.ok()) << database.status();
  const auto rows = Block((*database)->Read([](sql::Connection& connection) {
    return connection.QueryOne("SELECT count(*) FROM history",
                               [](const sql::Row& row) { return row.Int(0); });
  }));
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_GE(**rows, 500);
  EXPECT_LT(**rows, 1'500);
}

TEST_F(ProfileServiceTest, AHistoryThatWasReadBeforeHasTheNextEvent) {
  Tell({View("e1", "ada", 1)});
  EXPECT_THAT(History("ada", 10), ElementsAre("e1"));
  Tell({View("e2", "ada", 2), View("e1", "ada", 1)});
  EXPECT_THAT(History("ada", 10), ElementsAre("e2", "e1"));
  EXPECT_THAT(History("ada", 500), ElementsAre("e2", "e1"));
  EXPECT_THAT(History("bob", 10), ElementsAre());
  Tell({View("e3", "bob", 3)});
  EXPECT_THAT(History("bob", 10), ElementsAre("e3"));
}

TEST_F(ProfileServiceTest, AnImpressionIsNoInteraction) {
  ingestion::v1::UserEvent seen = View("e1", "ada", 1);
  seen.set_type("impression");
  Tell({seen, View("e2", "ada", 2)});
  EXPECT_THAT(History("ada"), ElementsAre("e2"));
}

TEST_F(ProfileServiceTest, WhatAForgottenUserDidStaysForgotten) {
  const int64_t now = environment_.clock().Now().time_since_epoch() / std::chrono::seconds(1);
  Tell({View("e1", "ada", now - 5)});
  EXPECT_THAT(History("ada", 10), ElementsAre("e1"));
  v1::DeleteUserRequest forget;
  forget.set_user_id("ada");
  ASSERT_TRUE(Block(service_->DeleteUser(context_, forget)).ok());
  EXPECT_THAT(History("ada", 10), ElementsAre());
  Tell({View("e1", "ada", now - 5), View("late", "ada", now - 1), View("e2", "ada", now + 5)});
  EXPECT_THAT(History("ada", 10), ElementsAre("e2"));
  EXPECT_THAT(History("ada", 500), ElementsAre("e2"));
}

TEST_F(ProfileServiceTest, AnEventThatCannotBeReadIsSetAsideAndKeepsNobodyBack) {
  messaging::Event poison{.id = "poison", .source = "/x", .type = "starling.user.event.v1"};
  poison.data = "\xff\xff";
  ASSERT_TRUE(Block(environment_.events().Append("user-events", poison)).ok());
  Tell({View("e1", "ada", 1)});
  EXPECT_THAT(History("ada"), ElementsAre("e1"));
  const auto dead = environment_.events().Read("user-events.dead-letter", 1, 10);
  ASSERT_TRUE(dead.ok()) << dead.status();
  EXPECT_EQ(dead->front().event.id, "poison");
}

TEST_F(ProfileServiceTest, AForgottenUserLeavesNothing) {
  ASSERT_TRUE(AddUser("ada", "correct horse").ok());
  const auto token = SignIn("ada", "correct horse");
  Tell({View("e1", "ada", 1)});
  v1::DeleteUserRequest request;
  request.set_user_id("ada");
  ASSERT_TRUE(Block(service_->DeleteUser(context_, request)).ok());
  EXPECT_EQ(WhoseIs(*token), "");
  EXPECT_EQ(SignIn("ada", "correct horse").status().code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(History("ada").empty());
  EXPECT_EQ(Block(service_->DeleteUser(context_, request)).status().code(), StatusCode::kNotFound);
}

TEST_F(ProfileServiceTest, OnlyASessionCanBeSignedOut) {
  const Status status = Block(service_->DeleteCurrentSession(context_, {})).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("only sessions"));
}

TEST(SessionTable, RefusesMoreSessionsThanItMayHold) {
  SessionTable table(2);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(table.CheckRoom().ok());
    table.Add(security::NewSessionToken().hash, {"u", TimePoint::max()});
  }
  EXPECT_EQ(table.CheckRoom().code(), StatusCode::kResourceExhausted);
  table.RemoveUser("u");
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(table.CheckRoom().ok());
}

}  // namespace
}  // namespace starling::profile
