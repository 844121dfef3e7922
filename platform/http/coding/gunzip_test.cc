#include "platform/http/coding/gunzip.h"

#include <gtest/gtest.h>

#include "platform/http/coding/encoder.h"
#include "platform/http/problem.h"

namespace starling::http {
namespace {

std::string Gzip(std::string_view body) { return Encode(Coding::kGzip, 9, body); }

TEST(Gunzip, GivesBackWhatWentIn) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i);
  for (const std::string& body : {std::string(), std::string("{}"), text}) {
    const auto plain = Gunzip(Gzip(body), {.max_bytes = 1 << 20});
    ASSERT_TRUE(plain.ok()) << plain.status();
    EXPECT_EQ(*plain, body);
  }
}

TEST(Gunzip, TakesSeveralMembers) {
  EXPECT_EQ(Gunzip(Gzip("[1,") + Gzip("2]"), {}).value_or(""), "[1,2]");
}

TEST(Gunzip, TakesExactlyAsMuchAsIsAllowed) {
  const std::string body(1000, 'a');
  EXPECT_TRUE(Gunzip(Gzip(body), {.max_bytes = 1000}).ok());
  EXPECT_EQ(HttpStatus(Gunzip(Gzip(body), {.max_bytes = 999}).status()), 413);
  EXPECT_EQ(HttpStatus(Gunzip(Gzip("a"), {.max_bytes = 0}).status()), 413);
}

TEST(Gunzip, RefusesABombByItsRatio) {
  const std::string bomb = Gzip(std::string(2'000'000, '0'));
  EXPECT_EQ(HttpStatus(Gunzip(bomb, {.max_bytes = 10'000'000}).status()), 413);
  EXPECT_TRUE(Gunzip(bomb, {.max_bytes = 10'000'000, .max_ratio = 1100}).ok());
  // A small one is none.
  EXPECT_TRUE(Gunzip(Gzip(std::string(60'000, '0')), {.max_bytes = 10'000'000}).ok());
}

// Each member by itself is harmless, together they are not.
TEST(Gunzip, CountsAllMembersTogether) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += Gzip(std::string(50'000, '0'));
  EXPECT_EQ(HttpStatus(Gunzip(many, {.max_bytes = 1 << 20}).status()), 413);
}

TEST(Gunzip, RefusesWhatIsNoGzip) {
  const std::string good = Gzip("hello, this is a text");
  std::string flipped = good;
  flipped[good.size() - 6] = static_cast<char>(flipped[good.size() - 6] ^ 1);  // its checksum
  const std::string rows[] = {"",
                              "hello",
                              good.substr(0, good.size() - 1),
                              good.substr(0, 12),
                              good + "x",
                              good + good.substr(0, 15),
                              flipped};
  for (const std::string& row : rows)
    EXPECT_EQ(HttpStatus(Gunzip(row, {}).status()), 400) << row.size();
}

}  // namespace
}  // namespace starling::http
