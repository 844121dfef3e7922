#include "platform/identity/sealed.h"

#include <gtest/gtest.h>

#include "platform/base/id.h"
#include "platform/identity/oidc_login.h"

namespace starling::identity {
namespace {

TEST(Sealer, OpensWhatItHasSealedAndNothingElse) {
  const Sealer sealer("login", "secret");
  const std::string sealed = sealer.Seal("state=1");
  EXPECT_EQ(sealer.Open(sealed), "state=1");
  EXPECT_EQ(Sealer("login", "secret").Open(sealed), "state=1");
  EXPECT_EQ(Sealer("login", "other").Open(sealed), std::nullopt);
  EXPECT_EQ(Sealer("other", "secret").Open(sealed), std::nullopt);
  EXPECT_NE(sealer.Seal("state=1"), sealed);
  std::string bytes;
  ASSERT_TRUE(Base64UrlDecode(sealed, bytes));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(sealer.Open(Base64UrlEncode(changed)), std::nullopt) << i;
  }
  for (const char* bad : {"", "x", "!!", "AAAA"}) EXPECT_EQ(sealer.Open(bad), std::nullopt) << bad;
  EXPECT_EQ(sealer.Open(sealer.Seal("")), "");
}

TEST(ReturnTo, IsAPathOfThisSite) {
  for (const char* good : {"/", "/cart", "/a//b?c=d&e=/f", "/%2F%2Fevil.example"})
    EXPECT_TRUE(CheckReturnTo(good).ok()) << good;
  for (const char* bad :
       {"", "cart", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
        "https://evil.example", "/\r\nSet-Cookie: a=b", "javascript:alert(1)", " /", "/ä"}) {
    EXPECT_FALSE(CheckReturnTo(bad).ok()) << bad;
  }
  EXPECT_FALSE(CheckReturnTo("/" + std::string(2000, 'a')).ok());
}

TEST(UserId, IsOfIssuerAndSubjectTogether) {
  EXPECT_EQ(UserIdOf("https://a", "1"), UserIdOf("https://a", "1"));
  EXPECT_NE(UserIdOf("https://a", "1"), UserIdOf("https://b", "1"));
  EXPECT_EQ(UserIdOf("https://a", "1").size(), 45u);
}

}  // namespace
}  // namespace starling::identity
