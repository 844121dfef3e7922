#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "platform/base/clock.h"
#include "platform/base/hash.h"
#include "platform/base/html.h"
#include "platform/base/id.h"
#include "platform/base/nearest.h"
#include "platform/base/status.h"

namespace starling {
namespace {

using std::chrono::milliseconds;

TEST(Status, CarriesFieldsReasonAndDelayThroughAnnotation) {
  Status status = InvalidFields({{"product.price", "is missing"}, {"limit", "-1 is below 0"}});
  status = WithRetryAfter(WithReason(status, "BAD_SHAPE"), milliseconds(1500));
  status = Annotate(status, "catalog");
  EXPECT_EQ(ToString(status),
            "INVALID_ARGUMENT: catalog: product.price: is missing; limit: -1 is below 0");
  EXPECT_THAT(FieldViolations(status),
              testing::ElementsAre(FieldViolation{"product.price", "is missing"},
                                   FieldViolation{"limit", "-1 is below 0"}));
  EXPECT_EQ(Reason(status), "BAD_SHAPE");
  EXPECT_EQ(RetryAfter(status), milliseconds(1500));
}

TEST(Status, WithoutPayloadNamesNothing) {
  EXPECT_TRUE(FieldViolations(NotFound("no {}", 7)).empty());
  EXPECT_EQ(Reason(OkStatus()), "");
  EXPECT_EQ(RetryAfter(Internal("x")), std::nullopt);
}

TEST(Status, ShowsOutsidersNothingOfTheInside) {
  for (const Status& inside :
       {Internal("null at /srv/x"), DataLoss("'/srv/x' is damaged"), DiskFull("/srv/x"),
        StorageFailed(Unavailable("'/srv/x' is locked"))}) {
    const Status shown = ForOutsiders(inside);
    EXPECT_TRUE(IsInternalFailure(inside));
    EXPECT_EQ(shown.message().find("/srv"), absl::string_view::npos) << shown;
    EXPECT_EQ(shown.code(), inside.code());
    EXPECT_EQ(Reason(shown), Reason(inside));
    EXPECT_EQ(RetryAfter(shown), RetryAfter(inside));
  }
  const Status said = InvalidField("limit", "-1 is below 0");
  EXPECT_EQ(ForOutsiders(said), said);
  EXPECT_EQ(ForOutsiders(OkStatus()), OkStatus());
}

TEST(Rfc3339, FormatsWithAsManyDigitsAsNeeded) {
  const TimePoint second = *ParseRfc3339("2026-01-02T03:04:05Z");
  EXPECT_EQ(FormatRfc3339(second), "2026-01-02T03:04:05Z");
  EXPECT_EQ(FormatRfc3339(second + milliseconds(250)), "2026-01-02T03:04:05.250Z");
  EXPECT_EQ(FormatRfc3339(second + Duration(1)), "2026-01-02T03:04:05.000000001Z");
  EXPECT_EQ(FormatRfc3339(*ParseRfc3339("1969-12-31T23:59:59.5Z")), "1969-12-31T23:59:59.500Z");
}

TEST(Rfc3339, ReadsOffsetsAndRefusesWhatIsNoTime) {
  EXPECT_EQ(ParseRfc3339("2026-01-02T05:04:05+02:00"), ParseRfc3339("2026-01-02T03:04:05Z"));
  for (const char* bad :
       {"", "2026-01-02", "2026-13-02T03:04:05Z", "2026-02-30T03:04:05Z", "2026-01-02T24:04:05Z",
        "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05+2:00", "9999-01-01T00:00:00Z"}) {
    EXPECT_EQ(ParseRfc3339(bad), std::nullopt) << bad;
  }
}

TEST(DurationText, RoundTripsAndNeedsAUnit) {
  EXPECT_EQ(ParseDuration("1.5s"), Duration(1'500'000'000));
  EXPECT_EQ(ParseDuration("250ms"), Duration(250'000'000));
  EXPECT_EQ(ParseDuration("10"), std::nullopt);
  EXPECT_EQ(ParseDuration("10 s"), std::nullopt);
  EXPECT_EQ(ParseDuration("1e30h"), std::nullopt);
  EXPECT_EQ(FormatDuration(Duration(1'500'000'000)), "1500ms");
  EXPECT_EQ(FormatDuration(std::chrono::hours(48)), "2d");
}

TEST(Id, IsUniqueAndSortsByTime) {
  std::set<std::string> ids;
  for (int i = 0; i < 10'000; ++i) ids.insert(NewId());
  EXPECT_EQ(ids.size(), 10'000u);
  EXPECT_EQ(ids.begin()->size(), 32u);
  EXPECT_EQ((*ids.begin())[12], '7');
}

TEST(Base64Url, RoundTripsEveryLength) {
  for (size_t size = 0; size < 40; ++size) {
    std::string bytes(size, '\0');
    if (size > 0) SecureRandom(bytes.data(), size);
    std::string back;
    ASSERT_TRUE(Base64UrlDecode(Base64UrlEncode(bytes), back));
    EXPECT_EQ(back, bytes);
  }
  std::string out;
  EXPECT_FALSE(Base64UrlDecode("a", out));
  EXPECT_FALSE(Base64UrlDecode("ab+/", out));
}

TEST(Crc32c, GivesTheKnownAnswers) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);  // RFC 3720, B.4's check value
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c("456789", Crc32c("123")), Crc32c("123456789"));
}

TEST(Hash64, IsStableAndSpreads) {
  EXPECT_NE(Hash64("a"), Hash64(std::string_view("a\0", 2)));
  std::set<uint64_t> low;
  for (int i = 0; i < 4096; ++i) low.insert(Hash64(std::to_string(i)) % 64);
  EXPECT_EQ(low.size(), 64u);
}

TEST(EscapeHtml, LeavesNothingThatEndsAnElementOrAnAttribute) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\" id='y'>Q&A</a>"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;Q&amp;A&lt;/a&gt;");
  EXPECT_EQ(EscapeHtml(std::string_view("a\0b\n\x1b é", 8)), "a b   é");
}

TEST(Nearest, NamesTheKeyThatWasMeant) {
  const std::vector<std::string> keys = {"http.port", "http.host", "log.level"};
  EXPECT_EQ(Nearest("http.prot", keys), "http.port");
  EXPECT_EQ(DidYouMean("log.levle", keys), " (did you mean 'log.level'?)");
  EXPECT_EQ(Nearest("zzz", keys), "");
}

}  // namespace
}  // namespace starling
