#include "platform/security/password.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace starling::security {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr PasswordParameters kFast = {.memory_kib = 64, .passes = 1, .lanes = 1};

TEST(Password, IsRightOnlyForWhatWasHashed) {
  PasswordHasher passwords;
  const StatusOr<std::string> hash = passwords.Hash("correct horse");
  ASSERT_TRUE(hash.ok()) << hash.status();
  EXPECT_THAT(*hash, StartsWith("$argon2id$v=19$m=19456,t=2,p=1$"));
  EXPECT_THAT(*hash, Not(HasSubstr("correct")));
  EXPECT_TRUE(passwords.Verify("correct horse", *hash)->right);
  EXPECT_FALSE(passwords.Verify("correct horse", *hash)->rehash);
  EXPECT_FALSE(passwords.Verify("correct horsf", *hash)->right);
  EXPECT_FALSE(passwords.Verify("", *hash)->right);
  EXPECT_FALSE(passwords.Verify(std::string(2000, 'x'), *hash)->right);
  EXPECT_FALSE(passwords.VerifyNothing("correct horse")->right);
}

TEST(Password, HasASaltOfItsOwn) {
  PasswordHasher passwords({.parameters = kFast});
  EXPECT_NE(*passwords.Hash("correct horse"), *passwords.Hash("correct horse"));
}

TEST(Password, VerifiesWhatAnotherImplementationHashed) {
  // The reference implementation's test vector for argon2id, v=19 (argon2's test.c).
  PasswordHasher passwords({.parameters = kFast});
  const std::string reference =
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  EXPECT_TRUE(passwords.Verify("password", reference)->right);
  EXPECT_FALSE(passwords.Verify("passwore", reference)->right);
}

TEST(Password, AsksForANewHashWhenParametersWereRaised) {
  PasswordHasher old({.parameters = kFast});
  PasswordHasher more_memory({.parameters = {.memory_kib = 128, .passes = 1}});
  PasswordHasher more_passes({.parameters = {.memory_kib = 64, .passes = 2}});
  const std::string hash = *old.Hash("correct horse");
  for (PasswordHasher* today : {&more_memory, &more_passes}) {
    EXPECT_TRUE(today->Verify("correct horse", hash)->right);
    EXPECT_TRUE(today->Verify("correct horse", hash)->rehash);
    EXPECT_FALSE(today->Verify("wrong horse", hash)->rehash);
  }
  EXPECT_FALSE(old.Verify("correct horse", *more_memory.Hash("correct horse"))->rehash);
}

TEST(Password, BreaksARuleThatIsNamedWithoutThePassword) {
  PasswordHasher passwords({.parameters = kFast});
  const std::pair<std::string, const char*> rows[] = {
      {"", "shorter than 8"},
      {"1234567", "shorter than 8"},
      {std::string(1025, 'x'), "longer than 1024"},
      {"hunter2\nhunter2", "control character"},
      {"hunter2\xff\xff", "not UTF-8"},
      {std::string("hunter2\0x", 9), "control character"},
  };
  for (const auto& [password, rule] : rows) {
    const Status status = passwords.Hash(password).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << rule;
    ASSERT_EQ(FieldViolations(status).size(), 1u);
    EXPECT_EQ(FieldViolations(status)[0].field, "password");
    EXPECT_THAT(FieldViolations(status)[0].description, HasSubstr(rule));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hunter2")));
  }
  EXPECT_EQ(CheckPassword("12345678"), OkStatus());
  EXPECT_EQ(CheckPassword(std::string(1024, 'x')), OkStatus());
  EXPECT_EQ(CheckPassword("pässwörd ☃"), OkStatus());
}

TEST(Password, RefusesStoredHashesThatAreDamagedOrAskForTooMuch) {
  PasswordHasher passwords({.parameters = kFast});
  for (const char* bad :
       {"", "x", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$m=64,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=2097152,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=64,t=1000000,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=64,t=1,p=255$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=99999999999,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$v=19$m=64,t=1,p=1$!!!!$AAAA", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=64,t=1,p=1"}) {
    EXPECT_EQ(passwords.Verify("correct horse", bad).status().code(), StatusCode::kDataLoss) << bad;
  }
}

TEST(Password, ShedsWhenNoTurnIsFree) {
  PasswordHasher nobody_may({.parameters = kFast, .max_concurrent = 0, .max_waiting = 0});
  const Status full = nobody_may.Hash("correct horse").status();
  EXPECT_EQ(full.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Reason(full), reason::kOverloaded);
  EXPECT_TRUE(RetryAfter(full).has_value());
  PasswordHasher nobody_ends(
      {.parameters = kFast, .max_concurrent = 0, .max_wait = std::chrono::milliseconds(1)});
  const Status late = nobody_ends.VerifyNothing("correct horse").status();
  EXPECT_EQ(late.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(late.message()), HasSubstr("no password check ended in 1ms"));
}

TEST(Password, GivesTurnsBack) {
  PasswordHasher passwords({.parameters = kFast, .max_concurrent = 1, .max_waiting = 100});
  const std::string hash = *passwords.Hash("correct horse");
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) right += passwords.Verify("correct horse", hash)->right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 40);
}

}  // namespace
}  // namespace starling::security
