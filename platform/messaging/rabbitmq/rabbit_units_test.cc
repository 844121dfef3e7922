// What of the RabbitMQ adapter needs no broker: addresses, and statements about groups.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/messaging/rabbitmq/address.h"
#include "platform/messaging/rabbitmq/statement.h"

namespace starling::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

TEST(RabbitAddress, HasDefaultsForAllButTheHost) {
  const auto address = ParseRabbitUrl("amqp://rabbit");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_FALSE(address->tls);
  EXPECT_THAT(address->hosts, ElementsAre(Pair("rabbit", 5672)));
  EXPECT_EQ(address->user, "guest");
  EXPECT_EQ(address->vhost, "/");
}

TEST(RabbitAddress, TakesSeveralNodesEscapesAndAuthorities) {
  const auto address = ParseRabbitUrl(
      "amqps://sh%40p:p%3Aa%2Fss%25@a:1234,[::1],c/v%2Fh?cacertfile=%2Fetc%2Fca.pem");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_TRUE(address->tls);
  EXPECT_THAT(address->hosts, ElementsAre(Pair("a", 1234), Pair("::1", 5671), Pair("c", 5671)));
  EXPECT_EQ(address->user, "sh@p");
  EXPECT_EQ(address->password, "p:a/ss%");
  EXPECT_EQ(address->vhost, "v/h");
  EXPECT_EQ(address->ca_file, "/etc/ca.pem");
}

TEST(RabbitAddress, SaysWhatIsWrongWithoutThePassword) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"sesame@rabbit:5672", "amqp://"},
      {"http://me:sesame@rabbit", "amqp://"},
      {"amqp://", "a host is empty"},
      {"amqp://me:sesame@", "a host is empty"},
      {"amqp://me:sesame@a,,b", "a host is empty"},
      {"amqp://me@rabbit", "without a password"},
      {"amqp://me:sesame@rabbit:0", "a port is no number"},
      {"amqp://me:sesame@rabbit:65536", "a port is no number"},
      {"amqp://me:sesame@rabbit:amqp", "a port is no number"},
      {"amqp://me:sesame@[::1:5672", "has no ']'"},
      {"amqp://me:sesame%zz@rabbit", "the password has a '%'"},
      {"amqp://me:/sesame@rabbit", "a port is no number"},
      {"amqp://me:?sesame@rabbit", "a parameter other than"},
      {"amqp://me:sesame@rabbit/a/b", "write %2F"},
      {"amqp://me:sesame@rabbit/%2", "the vhost has a '%'"},
      {"amqps://me:sesame@rabbit?verify=none", "a parameter other than"},
      {"amqp://me:sesame@rabbit?cacertfile=x", "is for amqps"}};
  for (const auto& [url, why] : wrong) {
    const auto address = ParseRabbitUrl(url);
    EXPECT_EQ(address.status().code(), StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(address.status().message(), HasSubstr(why)) << url;
    EXPECT_THAT(address.status().message(), Not(HasSubstr("sesame"))) << url;
  }
}

rabbitmq::Statement Made() {
  return {.from = "process-1",
          .number = 7,
          .running = {"a", "b"},
          .offsets = {{"a", {1, 0, 1ull << 40}}, {"b", {}}, {"gone", {3}}}};
}

TEST(Statement, IsReadAsItWasWritten) {
  const auto read = rabbitmq::DecodeStatement(rabbitmq::EncodeStatement(Made()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, Made());
}

TEST(Statement, CutOrChangedInItsFormItIsRefused) {
  const std::string whole = rabbitmq::EncodeStatement(Made());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(rabbitmq::DecodeStatement(whole.substr(0, size)).status().code(),
              StatusCode::kDataLoss)
        << size;
  }
  EXPECT_FALSE(rabbitmq::DecodeStatement(whole + "x").ok());
  EXPECT_FALSE(rabbitmq::DecodeStatement("\x02" + whole.substr(1)).ok());
}

TEST(Statement, MergedOffsetsAreTheFartherOnesInAnyOrder) {
  const rabbitmq::Offsets one = {5, 0, 3}, other = {4, 2};
  rabbitmq::Offsets a = one, b = other;
  rabbitmq::Merge(other, a);
  rabbitmq::Merge(one, b);
  EXPECT_EQ(a, b);
  EXPECT_THAT(a, ElementsAre(5, 2, 3));
  rabbitmq::Merge(other, a);
  EXPECT_EQ(a, b);
}

}  // namespace
}  // namespace starling::messaging
