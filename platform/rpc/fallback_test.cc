#include "platform/rpc/fallback.h"

#include <gtest/gtest.h>

#include "platform/rpc/call_context.h"
#include "platform/rpc/descriptor.h"

namespace starling::rpc {
namespace {

using std::chrono::seconds;

TEST(LastGoodAnswersTest, HoldsSoManyBytesAndForgetsWhatWasUsedLongestAgo) {
  LastGoodAnswers answers(3'500);
  const Instant now{};
  const std::string text(900, 'x');  // about 1,100 with what it takes beside
  for (const char* key : {"a", "b", "c"}) answers.Keep(key, text, now);
  EXPECT_TRUE(answers.Find("a", seconds(1), now));
  answers.Keep("d", text, now);
  EXPECT_TRUE(answers.Find("a", seconds(1), now));
  EXPECT_FALSE(answers.Find("b", seconds(1), now));
  EXPECT_LE(answers.bytes(), 3'500u);
  answers.Keep("e", std::string(10'000, 'x'), now);
  EXPECT_FALSE(answers.Find("e", seconds(1), now));
  EXPECT_TRUE(answers.Find("a", seconds(1), now)) << "what cannot be kept pushes nothing out";
  answers.SetLimit(0);
  answers.Keep("f", text, now);
  EXPECT_EQ(answers.bytes(), 0u);
}

TEST(LastGoodAnswersTest, AnOldAnswerIsNone) {
  LastGoodAnswers answers(10'000);
  const Instant kept{};
  answers.Keep("a", "apples", kept);
  answers.Keep("a", "avocados", kept + seconds(1));
  EXPECT_EQ(answers.Find("a", seconds(5), kept + seconds(6)), "avocados");
  EXPECT_EQ(answers.Find("a", seconds(5), kept + seconds(7)), std::nullopt);
}

TEST(FallbackKeyTest, WhoAsksCountsUnlessOneOfOursAsksForWhatIsTheSameForAll) {
  constexpr MethodDescriptor kForAll{
      .name = "List", .full_name = "Shop/List", .access = {.scope = "r"}};
  constexpr MethodDescriptor kOfUsers{
      .name = "Mine", .full_name = "Shop/Mine", .access = {.user = true}};
  const auto key = [](const MethodDescriptor& method, const char* user, const char* via) {
    CallContext context(std::make_shared<const security::Identity>(
                            security::Identity{.kind = security::Identity::kUser, .subject = user}),
                        Instant::max());
    context.via_service = via;
    return FallbackKey(method, context, "request");
  };
  EXPECT_EQ(key(kForAll, "ann", "recommendation"), key(kForAll, "bob", "recommendation"));
  EXPECT_NE(key(kForAll, "ann", ""), key(kForAll, "bob", ""));
  EXPECT_NE(key(kOfUsers, "ann", "recommendation"), key(kOfUsers, "bob", "recommendation"));
  EXPECT_NE(key(kForAll, "ann", ""), key(kOfUsers, "ann", ""));
}

}  // namespace
}  // namespace starling::rpc
