#include "platform/security/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "platform/base/id.h"

namespace starling::security {
namespace {

TEST(Token, IsRandomHasItsPrefixAndIsFoundByItsHash) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const Token session = NewSessionToken();
    const Token key = NewApiKey();
    EXPECT_EQ(session.text.size(), kTokenLength);
    EXPECT_TRUE(IsSessionToken(session.text));
    EXPECT_FALSE(IsApiKey(session.text));
    EXPECT_TRUE(IsApiKey(key.text));
    EXPECT_EQ(HashToken(session.text), session.hash);
    EXPECT_EQ(HashToken(key.text), key.hash);
    seen.insert(session.text);
    seen.insert(key.text);
  }
  EXPECT_EQ(seen.size(), 200u);
}

TEST(Token, WhatHasAnotherFormIsNotHashed) {
  const std::string good = NewApiKey().text;
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "a", good.substr(0, 45), "xx_" + good.substr(3),
        good.substr(0, 45) + "+", good.substr(0, 45) + " ", std::string(46, '\0')}) {
    EXPECT_EQ(HashToken(bad), std::nullopt) << bad;
  }
}

TEST(Token, HintShowsFourCharactersOfAToken) {
  const std::string token = NewApiKey().text;
  EXPECT_EQ(TokenHint(token), token.substr(0, 7) + "...");
  EXPECT_EQ(TokenHint("hunter2"), "...");
}

TEST(TokenHash, IsSha256AndRoundTripsAsBytes) {
  // FIPS 180-4's example.
  const TokenHash hash = Sha256("abc");
  EXPECT_EQ(ToHex(hash.view()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abc"), hash) << "a context that is used again starts afresh";
  EXPECT_NE(Sha256("abd"), hash);
  EXPECT_EQ(TokenHash::FromBytes(hash.view()), hash);
  EXPECT_EQ(TokenHash::FromBytes(hash.view().substr(1)), std::nullopt);
}

TEST(ConstantTimeEqual, ComparesContent) {
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "ab"));
}

}  // namespace
}  // namespace starling::security
