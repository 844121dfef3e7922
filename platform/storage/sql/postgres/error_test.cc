#include "platform/storage/sql/postgres/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::sql {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(PostgresErrors, HaveThePortsCodes) {
  struct Case {
    std::string_view sqlstate;
    StatusCode code;
    std::string_view says;
  };
  const Case cases[] = {
      {"23505", StatusCode::kAlreadyExists, "item.id, part"},
      {"23503", StatusCode::kFailedPrecondition, "FOREIGN KEY"},
      {"23502", StatusCode::kInvalidArgument, "said"},
      {"23514", StatusCode::kInvalidArgument, "said"},
      {"22003", StatusCode::kInvalidArgument, "said"},
      {"25006", StatusCode::kFailedPrecondition, "use Write"},
      {"40001", StatusCode::kAborted, "retry"},
      {"40P01", StatusCode::kAborted, "retry"},
      {"42601", StatusCode::kInternal, "SELEC 1"},
      {"42501", StatusCode::kFailedPrecondition, "refuses this user"},
      {"28P01", StatusCode::kFailedPrecondition, "refuses this user"},
      {"3D000", StatusCode::kFailedPrecondition, "refuses this user"},
      {"53100", StatusCode::kResourceExhausted, "server"},
      {"53200", StatusCode::kResourceExhausted, "nothing was acknowledged"},
      {"53300", StatusCode::kUnavailable, "server"},
      {"55P03", StatusCode::kUnavailable, "holds the lock"},
      {"57014", StatusCode::kDeadlineExceeded, "statement_timeout"},
      {"57P01", StatusCode::kUnavailable, "server"},
      {"58030", StatusCode::kUnavailable, "nothing was acknowledged"},
      {"XX001", StatusCode::kDataLoss, "backup"},
      {"", StatusCode::kUnavailable, "cannot be reached"},
  };
  for (const Case& c : cases) {
    const Status status = PostgresStatus(
        {std::string(c.sqlstate), "said", "item", "", "Key (id, part)=(1, secret) already exists."},
        "the server", "SELEC 1");
    EXPECT_EQ(status.code(), c.code) << c.sqlstate << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(c.says))) << c.sqlstate;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret"))) << c.sqlstate;
  }
}

TEST(PostgresErrors, OnlyClashesRunAgain) {
  EXPECT_TRUE(IsConflict("40001"));
  EXPECT_TRUE(IsConflict("40P01"));
  for (const std::string_view state : {"23505", "57014", "08006", ""})
    EXPECT_FALSE(IsConflict(state)) << state;
}

TEST(PostgresErrors, AColumnIsNamed) {
  const Status status =
      PostgresStatus({"23502", "null value", "item", "name", ""}, "the server", "INSERT");
  EXPECT_THAT(std::string(status.message()), HasSubstr("item.name"));
}

TEST(PostgresErrors, ALostConnectionSaysWhenToComeAgain) {
  const Status status = PostgresUnavailable("PostgreSQL at h:1", "refused\n");
  EXPECT_EQ(Reason(status), reason::kStorageFailed);
  EXPECT_TRUE(RetryAfter(status).has_value());
  EXPECT_EQ(status.message().back(), 'd');
}

}  // namespace
}  // namespace starling::sql
