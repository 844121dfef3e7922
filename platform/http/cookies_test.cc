#include "platform/http/cookies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::http {
namespace {

Headers With(std::initializer_list<std::string_view> fields) {
  Headers headers;
  for (const std::string_view field : fields) headers.Add("Cookie", field);
  return headers;
}

TEST(Cookies, AreFoundByTheirExactName) {
  const Headers headers = With({"a=1; session=st_x; b=\"2\"", "c=3"});
  EXPECT_EQ(FindCookie(headers, "session")->value(), "st_x");
  EXPECT_EQ(FindCookie(headers, "b")->value(), "2");
  EXPECT_EQ(FindCookie(headers, "c")->value(), "3");
  EXPECT_EQ(*FindCookie(headers, "Session"), std::nullopt);
}

TEST(Cookies, WhatIsMalformedIsNone) {
  for (const char* bad :
       {"session", "=st_x", "session=a b", "session=a,b", "session=\"a", "sess ion=a",
        "session=a\\b", "session=\xc3\xa4", "xsession=a", "session =a"}) {
    EXPECT_EQ(*FindCookie(With({bad}), "session"), std::nullopt) << bad;
  }
}

TEST(Cookies, TwoValuesOfOneNameAreRefused) {
  EXPECT_FALSE(FindCookie(With({"session=a; session=b"}), "session").ok());
  EXPECT_FALSE(FindCookie(With({"session=a", "session=b"}), "session").ok());
  EXPECT_EQ(FindCookie(With({"session=a; session=a"}), "session")->value(), "a");
}

TEST(Cookies, AreTakenOutAndTheOthersStay) {
  Headers headers = With({"a=1; session=st_x; weird;b=2", "session=other"});
  RemoveCookies(headers, [](std::string_view name) { return name == "session"; });
  EXPECT_EQ(headers.Joined("cookie"), "a=1; weird; b=2");
  RemoveCookies(headers, [](std::string_view) { return true; });
  EXPECT_FALSE(headers.Has("cookie"));
}

TEST(Cookies, AreSetForTheServerAlone) {
  EXPECT_EQ(SetCookie({.name = "s", .value = "v", .max_age = std::chrono::minutes(1)}),
            "s=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60");
  EXPECT_EQ(SetCookie({.name = "s", .value = "v", .secure = false}),
            "s=v; Path=/; HttpOnly; SameSite=Lax");
}

}  // namespace
}  // namespace starling::http
