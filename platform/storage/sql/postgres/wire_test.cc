#include "platform/storage/sql/postgres/wire.h"

#include <gtest/gtest.h>

#include <limits>

namespace starling::sql {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

TEST(PostgresWire, ReadsNumbersOfEverySize) {
  EXPECT_EQ((Column{PostgresType::kInt8, "\x80\0\0\0\0\0\0\0"sv}.Int()),
            std::numeric_limits<int64_t>::min());
  EXPECT_EQ((Column{PostgresType::kInt4, "\xff\xff\xff\xfe"sv}.Int()), -2);
  EXPECT_EQ((Column{PostgresType::kInt2, "\x01\x02"sv}.Int()), 258);
  EXPECT_EQ((Column{PostgresType::kBool, "\x01"sv}.Int()), 1);
  EXPECT_EQ((Column{PostgresType::kFloat4, "\x3f\xc0\0\0"sv}.Real()), 1.5);
  EXPECT_EQ((Column{PostgresType::kFloat8, "\xbf\xf8\0\0\0\0\0\0"sv}.Real()), -1.5);
  EXPECT_EQ((Column{PostgresType::kFloat8, "\xbf\xf8\0\0\0\0\0\0"sv}.Get()), Value(-1.5));
}

// 12345678.0625 is the digits 1234 5678 0625 with weight 1.
TEST(PostgresWire, ReadsNumeric) {
  const Column fraction{PostgresType::kNumeric, "\0\3\0\1\0\0\0\4\x04\xd2\x16\x2e\x02\x71"sv};
  EXPECT_EQ(fraction.Real(), 12345678.0625);
  EXPECT_EQ(fraction.Int(), 12345678);
  EXPECT_EQ(fraction.Get(), Value(12345678.0625));
  // -70,000 is the digit 7 with weight 1, negative.
  const Column whole{PostgresType::kNumeric, "\0\1\0\1\x40\0\0\0\0\7"sv};
  EXPECT_EQ(whole.Get(), Value(int64_t{-70'000}));
  std::string scratch;
  EXPECT_EQ(whole.Text(scratch), "-70000");
  const Column nothing{PostgresType::kNumeric, "\0\0\0\0\0\0\0\0"sv};
  EXPECT_EQ(nothing.Get(), Value(int64_t{0}));
  // 10,000^20 is beyond 64 bits.
  const Column huge{PostgresType::kNumeric, "\0\1\0\x14\0\0\0\0\0\1"sv};
  EXPECT_EQ(huge.Int(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ((Column{PostgresType::kNumeric, "\0\x7f\0\1"sv}.Int()), 0) << "cut short";
}

TEST(PostgresWire, TextReadsAsTheNumberItBeginsWithAndNumbersAsText) {
  EXPECT_EQ((Column{PostgresType::kText, "12 eggs"}.Int()), 12);
  EXPECT_EQ((Column{PostgresType::kText, "eggs"}.Int()), 0);
  EXPECT_EQ((Column{PostgresType::kText, "1.5x"}.Real()), 1.5);
  std::string scratch;
  EXPECT_EQ((Column{PostgresType::kInt4, "\0\0\0\7"sv}.Text(scratch)), "7");
  EXPECT_EQ((Column{PostgresType::kFloat8, "\x3f\xf8\0\0\0\0\0\0"sv}.Text(scratch)), "1.5");
  EXPECT_EQ((Column{PostgresType::kText, {}, true}.Get()), Value(nullptr));
  EXPECT_EQ((Column{PostgresType::kBytes, "\0a"sv}.Get()), Value(Blob{"\0a"s}));
}

TEST(PostgresWire, ArgumentsSayTheirTypes) {
  const Argument arguments[] = {7, 1.5, "text", BlobView{"\0b"sv}, nullptr, std::string_view()};
  Parameters parameters;
  ASSERT_TRUE(parameters.Encode(arguments).ok());
  ASSERT_EQ(parameters.size(), 6);
  EXPECT_EQ(parameters.signature(), "irtbnt");
  EXPECT_EQ(std::string_view(parameters.values()[0], 8), "\0\0\0\0\0\0\0\7"sv);
  EXPECT_EQ(std::string_view(parameters.values()[1], 8), "\x3f\xf8\0\0\0\0\0\0"sv);
  EXPECT_EQ(parameters.lengths()[3], 2);
  EXPECT_EQ(parameters.values()[4], nullptr);
  EXPECT_NE(parameters.values()[5], nullptr) << "an empty text is not NULL";
}

}  // namespace
}  // namespace starling::sql
