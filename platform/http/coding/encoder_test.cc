#include "platform/http/coding/encoder.h"

#include <gtest/gtest.h>

#include "platform/base/id.h"
#include "platform/http/coding/decode_for_tests.h"

namespace starling::http {
namespace {

std::string Products(size_t bytes) {
  std::string text = "[";
  for (int i = 0; text.size() < bytes; ++i) {
    text += fmt::format(R"({{"id":"p-{}","title":"Cup {:x}","price":{}}},)", i,
                        static_cast<uint32_t>(i) * 2654435761u, i * 37 % 1000);
  }
  return text;
}

class Codings : public testing::TestWithParam<Coding> {};
INSTANTIATE_TEST_SUITE_P(All, Codings,
                         testing::Values(Coding::kGzip, Coding::kBrotli, Coding::kZstd),
                         [](const auto& info) { return std::string(CodingName(info.param)); });

TEST_P(Codings, GiveBackWhatWentIn) {
  std::string noise(300'000, '\0');
  for (char& c : noise) c = static_cast<char>(FastRandom());
  for (const std::string& body : {std::string(), std::string("x"), Products(1000),
                                  Products(2'000'000), std::string(5'000'000, 'a'), noise}) {
    for (int level : {-5, 1, 4, 9}) {
      const std::string packed = Encode(GetParam(), level, body);
      EXPECT_TRUE(DecodeForTests(GetParam(), packed) == body) << body.size() << " at " << level;
    }
  }
}

TEST_P(Codings, MakeTextSmaller) {
  const std::string body = Products(10'000);
  EXPECT_LT(Encode(GetParam(), CodingLevels().Of(GetParam()), body).size(), body.size() / 2);
}

// The client sees each event when it is written, not when the next one is.
TEST_P(Codings, GiveAllThatWasWrittenAtEachFlush) {
  const EncoderLease encoder = EncoderLease::Take(GetParam(), 3);
  std::string out, written;
  for (int i = 0; i < 50; ++i) {
    const std::string piece = i == 20 ? Products(200'000) : fmt::format("event {}\n", i);
    written += piece;
    encoder->Write(piece, Encoder::kFlush, out);
    ASSERT_TRUE(DecodeForTests(GetParam(), out) == written) << i;
  }
  encoder->Write("", Encoder::kEnd, out);
  EXPECT_TRUE(DecodeForTests(GetParam(), out) == written);
}

// What the one before left behind, half way through, is not in the next.
TEST_P(Codings, AnEncoderThatIsUsedAgainBeginsAnew) {
  const std::string body = Products(50'000);
  const std::string first = Encode(GetParam(), 3, body);
  {
    const EncoderLease broken = EncoderLease::Take(GetParam(), 3);
    std::string unused;
    broken->Write("what was not finished", Encoder::kFlush, unused);
  }
  EXPECT_TRUE(Encode(GetParam(), 3, body) == first);
}

}  // namespace
}  // namespace starling::http
