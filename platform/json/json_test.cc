#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "platform/json/base64.h"
#include "platform/json/codec.h"
#include "platform/json/number.h"
#include "platform/json/time_text.h"
#include "platform/json/utf8.h"

namespace starling::json {
namespace {

using google::protobuf::Value;

std::string Written(std::string_view text) {
  Writer writer;
  writer.String(text);
  return std::string(writer.text());
}

// RFC 8259, byte by byte.
std::string Escaped(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    static constexpr std::string_view kShort = "\"\\\b\f\n\r\t";
    if (const size_t i = kShort.find(c); i != std::string_view::npos) {
      out += std::string("\\") + "\"\\bfnrt"[i];
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

TEST(Writer, EscapesEveryByteAtEveryPlaceOfShortAndLongStrings) {
  for (size_t size = 1; size <= 40; ++size) {
    for (size_t place = 0; place < size; ++place) {
      for (int byte = 0; byte < 0x80; ++byte) {
        std::string text(size, 'x');
        text[place] = static_cast<char>(byte);
        ASSERT_EQ(Written(text), Escaped(text))
            << "byte " << byte << " at " << place << " of " << size;
      }
      std::string text(size, 'x');
      text.insert(place, "\xc3\xa4");
      ASSERT_EQ(Written(text), Escaped(text));
      text.erase(place, 1);
      text.replace(place, 1, "\x80");
      ASSERT_NE(Written(text).find("\xef\xbf\xbd"), std::string::npos) << place << " of " << size;
    }
  }
}

TEST(Writer, GrowsWithItsText) {
  Writer writer;
  writer.BeginArray();
  std::string expected = "[";
  for (int i = 0; i < 20'000; ++i) {
    writer.Int32(i);
    writer.String("\n");
    writer.Bytes("abc");
    expected += std::to_string(i) + ",\"\\n\",\"YWJj\",";
  }
  writer.EndArray();
  expected.back() = ']';
  EXPECT_EQ(writer.text(), expected);
}

TEST(Writer, TwoOnOneThreadDoNotMeet) {
  Writer one;
  Writer two;
  one.Int32(1);
  two.Int32(2);
  EXPECT_EQ(one.text(), "1");
  EXPECT_EQ(two.text(), "2");
}

TEST(Reader, TwoOnOneThreadDoNotMeet) {
  Reader one("[1]");
  Reader two("[2]");
  int32_t value = 0;
  EXPECT_TRUE(one.Array([&] { return one.Int32(&value); }));
  EXPECT_EQ(value, 1);
  EXPECT_TRUE(two.Array([&] { return two.Int32(&value); }));
  EXPECT_EQ(value, 2);
}

TEST(Reader, ServesManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&right, thread] {
      const std::string text = "{\"n\":[" + std::to_string(thread) + ",\"\\u00e4\"]}";
      for (int i = 0; i < 1000; ++i) {
        Value value;
        right += FromJson(text, &value).ok() &&
                 ToJson(value) == "{\"n\":[" + std::to_string(thread) + ",\"\xc3\xa4\"]}";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4000);
}

// What simdjson's own parser says of a text, beside what ours says of it as a
// google.protobuf.Value.
struct Verdicts {
  bool simdjson = false;
  Status ours;
};

Verdicts Judge(const std::string& text) {
  Verdicts verdicts;
  simdjson::dom::parser parser;
  verdicts.simdjson = parser.parse(text).error() == simdjson::SUCCESS;
  Value value;
  verdicts.ours = FromJson(text, &value);
  return verdicts;
}

TEST(Reader, TakesWhatSimdjsonTakesAndNothingElse) {
  const std::string document =
      R"({"a":[1,-2.5e3,true,false,null,"x\u00e4\ud83d\ude00\n"],"b":{"c":{},"d":[]}, "e" : "" ,"f":0.1})";
  static constexpr std::string_view kBytes =
      "\"\\{}[]:,0123456789.eE+-truefalsn \n\t\x01\x80\xc3\xf0\xff/u";
  std::mt19937_64 random(7);
  int taken = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = document;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0 && !text.empty();
         --changes) {
      const size_t place = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(place, 1);
          break;
        case 1:
          text.insert(place, 1, kBytes[random() % kBytes.size()]);
          break;
        case 2:
          text[place] = kBytes[random() % kBytes.size()];
          break;
        default:
          text.resize(place);
          text += ' ';
          break;
      }
    }
    const auto [simdjson, ours] = Judge(text);
    taken += ours.ok();
    if (ours.message().find("the map has this key twice") != std::string::npos) continue;
    ASSERT_EQ(ours.ok(), simdjson) << text << "\n" << ours;
  }
  EXPECT_GT(taken, 10'000);
}

TEST(Number, ReadsIntegersExactlyInAnyNotation) {
  const auto int64 = [](std::string_view text) { return ParseInteger<int64_t>(text); };
  EXPECT_EQ(int64("0").value, 0);
  EXPECT_EQ(int64("-0").value, 0);
  EXPECT_EQ(int64("9223372036854775807.0").value, INT64_MAX);
  EXPECT_EQ(int64("-9.223372036854775808E18").value, INT64_MIN);
  EXPECT_EQ(int64("1200e-2").value, 12);
  EXPECT_EQ(int64("0e999999999999999999999").value, 0);
  EXPECT_EQ(int64("9223372036854775808").fault, NumberFault::kRange);
  EXPECT_EQ(int64("1e19").fault, NumberFault::kRange);
  EXPECT_EQ(int64("1e-1").fault, NumberFault::kFraction);
  EXPECT_EQ(int64("0.1e-999999999999999999999").fault, NumberFault::kFraction);
  for (const std::string_view bad : {"", "-", "+1", "01", "-01", "1.", ".1", "1e", "1e+", "0x1",
                                     "1 ", " 1", "1_0", "--1", "NaN"}) {
    EXPECT_EQ(int64(bad).fault, NumberFault::kNotANumber) << bad;
    EXPECT_EQ(ParseFloating<double>(bad).fault, NumberFault::kNotANumber) << bad;
    EXPECT_FALSE(IsJsonNumber(bad)) << bad;
  }
  EXPECT_EQ(ParseInteger<uint64_t>("18446744073709551615").value, UINT64_MAX);
  EXPECT_EQ(ParseInteger<uint64_t>("-0").value, 0u);
  EXPECT_EQ(ParseInteger<uint64_t>("-1").fault, NumberFault::kRange);
  EXPECT_EQ(ParseInteger<int32_t>("-2147483649").fault, NumberFault::kRange);
}

TEST(Number, RoundsWhatIsTooSmallToZeroAndRefusesWhatIsTooLarge) {
  EXPECT_EQ(ParseFloating<double>("4.9e-324").value, 4.9e-324);
  EXPECT_EQ(ParseFloating<double>("1e-400").value, 0);
  EXPECT_EQ(ParseFloating<double>("1e-400").fault, NumberFault::kNone);
  EXPECT_TRUE(std::signbit(ParseFloating<double>("-1e-400").value));
  EXPECT_EQ(ParseFloating<double>("1e400").fault, NumberFault::kRange);
  EXPECT_EQ(ParseFloating<float>("3.5e38").fault, NumberFault::kRange);
  EXPECT_EQ(ParseFloating<float>("3.4028235e38").value, std::numeric_limits<float>::max());
}

TEST(Number, ComesBackFromItsText) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const auto number = std::bit_cast<double>(random());
    const auto small = std::bit_cast<float>(static_cast<uint32_t>(random()));
    Writer writer;
    writer.Double(number);
    if (std::isfinite(number)) {
      ASSERT_EQ(ParseFloating<double>(writer.text()).value, number);
    }
    Writer of_float;
    of_float.Float(small);
    if (std::isfinite(small)) {
      ASSERT_EQ(ParseFloating<float>(of_float.text()).value, small);
    }
  }
}

TEST(Base64, GivesTheVectorsOfRfc4648) {
  const std::pair<std::string_view, std::string_view> kVectors[] = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : kVectors) {
    std::string encoded(Base64Size(bytes.size()), '?');
    EXPECT_EQ(EncodeBase64(bytes, encoded.data()), encoded.data() + encoded.size());
    EXPECT_EQ(encoded, text);
    EXPECT_EQ(DecodeBase64(text), bytes);
    EXPECT_EQ(DecodeBase64(text.substr(0, text.find('='))), bytes);
  }
}

TEST(Base64, RefusesWhatIsNotBase64) {
  for (const std::string_view bad :
       {"Z", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v=", "====", "=", "Zm 9", "-/aa", "Zm9v\n"}) {
    EXPECT_EQ(DecodeBase64(bad), std::nullopt) << bad;
  }
}

TEST(Timestamp, IsRfc3339InUtc) {
  const std::pair<SecondsAndNanos, std::string_view> kTimes[] = {
      {{0, 0}, "1970-01-01T00:00:00Z"},
      {{-1, 999'999'999}, "1969-12-31T23:59:59.999999999Z"},
      {{1'709'208'000, 500'000'000}, "2024-02-29T12:00:00.500Z"},
      {{951'782'400, 1'000}, "2000-02-29T00:00:00.000001Z"},
      {{-62'135'596'800, 0}, "0001-01-01T00:00:00Z"},
      {{253'402'300'799, 999'999'999}, "9999-12-31T23:59:59.999999999Z"},
  };
  for (const auto& [time, text] : kTimes) {
    EXPECT_EQ(TimestampText(time), text);
    EXPECT_EQ(ParseTimestamp(text), time);
  }
  EXPECT_EQ(ParseTimestamp("1970-01-01T01:30:00+01:30"), (SecondsAndNanos{0, 0}));
  EXPECT_EQ(ParseTimestamp("1969-12-31T16:00:00.5-08:00"), (SecondsAndNanos{0, 500'000'000}));
  EXPECT_EQ(TimestampText({253'402'300'800, 0}), std::nullopt);
  EXPECT_EQ(TimestampText({0, -1}), std::nullopt);
  EXPECT_EQ(TimestampText({0, 1'000'000'000}), std::nullopt);
}

TEST(Timestamp, RefusesWhatIsNoTime) {
  for (const std::string_view bad : {"",
                                     "1970-01-01",
                                     "1970-01-01T00:00:00",
                                     "1970-01-01t00:00:00Z",
                                     "1970-01-01T00:00:00z",
                                     "1970-01-01 00:00:00Z",
                                     "1970-13-01T00:00:00Z",
                                     "1970-00-01T00:00:00Z",
                                     "1970-02-30T00:00:00Z",
                                     "1900-02-29T00:00:00Z",
                                     "1970-01-01T24:00:00Z",
                                     "1970-01-01T00:60:00Z",
                                     "1970-01-01T00:00:60Z",
                                     "0000-12-31T00:00:00Z",
                                     "1970-01-01T00:00:00.Z",
                                     "1970-01-01T00:00:00.0000000001Z",
                                     "1970-01-01T00:00:00+1:00",
                                     "1970-01-01T00:00:00+24:00",
                                     "1970-01-01T00:00:00ZZ",
                                     "+1970-01-01T00:00:00Z",
                                     "0001-01-01T00:00:00+00:01",
                                     "9999-12-31T23:59:59-00:01"}) {
    EXPECT_EQ(ParseTimestamp(bad), std::nullopt) << bad;
  }
}

TEST(Duration, IsSecondsWithAnS) {
  const std::pair<SecondsAndNanos, std::string_view> kDurations[] = {
      {{0, 0}, "0s"},
      {{1, 500'000'000}, "1.500s"},
      {{-1, -500'000'000}, "-1.500s"},
      {{0, -500}, "-0.000000500s"},
      {{0, 500'000}, "0.000500s"},
      {{315'576'000'000, 0}, "315576000000s"},
  };
  for (const auto& [duration, text] : kDurations) {
    EXPECT_EQ(DurationText(duration), text);
    EXPECT_EQ(ParseDuration(text), duration);
  }
  EXPECT_EQ(DurationText({-1, 1}), std::nullopt);
  EXPECT_EQ(DurationText({315'576'000'001, 0}), std::nullopt);
  for (const std::string_view bad :
       {"", "s", "1", "1.s", ".5s", "1.0000000000s", "--1s", "+1s", "1 s", "1ss", "315576000001s",
        "99999999999999999999s", "-s", "1e3s"}) {
    EXPECT_EQ(ParseDuration(bad), std::nullopt) << bad;
  }
}

TEST(Utf8, KnowsEveryCodePoint) {
  for (uint32_t code_point = 1; code_point <= 0x10ffff; ++code_point) {
    if (code_point >= 0xd800 && code_point <= 0xdfff) continue;
    std::string text;
    AppendUtf8(code_point, text);
    ASSERT_EQ(Utf8SequenceLength(text), text.size()) << code_point;
    ASSERT_TRUE(simdjson::validate_utf8(text)) << code_point;
    if (text.size() > 1) {
      ASSERT_EQ(Utf8SequenceLength(std::string_view(text).substr(0, text.size() - 1)), 0u);
    }
  }
}

TEST(Utf8, AgreesWithSimdjsonOnAnyFourBytes) {
  std::mt19937_64 random(3);
  static constexpr unsigned char kLeads[] = {0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed,
                                             0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff, 0x80};
  for (int i = 0; i < 1'000'000; ++i) {
    std::string text(4, '\0');
    for (char& byte : text) byte = static_cast<char>(0x80 | (random() & 0x3f));
    text[0] = static_cast<char>(kLeads[random() % std::size(kLeads)]);
    const size_t length = Utf8SequenceLength(text);
    ASSERT_EQ(length > 0, simdjson::validate_utf8(text.data(), length > 0 ? length : 4))
        << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace starling::json
