#include "platform/identity/certificate_rules.h"

#include <gtest/gtest.h>

namespace starling::identity {
namespace {

http::ClientCertificate With(std::string subject, std::vector<std::string> names = {}) {
  return {.subject = std::move(subject), .alternative_names = std::move(names)};
}

TEST(CertificatePattern, AStarStaysWithinOnePartOfAName) {
  EXPECT_EQ(MatchPattern("URI:spiffe://x/*/till", "URI:spiffe://x/a/till", "/"), "a");
  EXPECT_EQ(MatchPattern("a*b*c", "aXbYc", "/"), "X");
  EXPECT_EQ(MatchPattern("same", "same", "/"), "");
  for (const char* other : {"URI:spiffe://x/a/b/till", "URI:spiffe://x//till",
                            "URI:spiffe://x/a/till2", "URI:spiffe://y/a/till", "URI:spiffe://x/"}) {
    EXPECT_EQ(MatchPattern("URI:spiffe://x/*/till", other, "/"), std::nullopt) << other;
  }
}

TEST(CertificateRules, GiveAServiceItsScopesAndNeverThePowersOfOurOwnProcesses) {
  const CertificateRules rules({{.san = "URI:spiffe://shop.example/till/*",
                                 .name = "till-{1}",
                                 .scopes = {"catalog.read"}}});
  const auto caller = rules.Find(With("CN=x", {"DNS:x", "URI:spiffe://shop.example/till/7"}));
  ASSERT_NE(caller, nullptr);
  EXPECT_EQ(caller->kind, security::Identity::kKey);
  EXPECT_EQ(caller->subject, "certificate:till-7");
  EXPECT_EQ(caller->user(), "");
  EXPECT_TRUE(caller->scopes.Holds("catalog.read"));
  EXPECT_FALSE(caller->scopes.Holds("catalog.write"));
}

TEST(CertificateRules, TakeTheFirstThatFits) {
  const CertificateRules rules(
      {{.subject = "CN=ada,O=Shop", .identity = CertificateRuleConfig::Kind::kUser, .name = "ada"},
       {.subject = "CN=*,O=Shop",
        .identity = CertificateRuleConfig::Kind::kUser,
        .name = "u-{1}"}});
  EXPECT_EQ(rules.Find(With("CN=ada,O=Shop"))->user(), "ada");
  EXPECT_EQ(rules.Find(With("CN=eve,O=Shop"))->user(), "u-eve");
  EXPECT_EQ(rules.Find(With("CN=eve,O=Other")), nullptr);
  // A common name that holds what looks like another part is escaped in RFC 2253.
  EXPECT_EQ(rules.Find(With("CN=eve\\,O=Shop,O=Other")), nullptr);
  EXPECT_EQ(rules.Find(With("CN=a\\,b,O=Shop")), nullptr);
}

TEST(CertificateRules, AnotherKindOfNameIsAnother) {
  const CertificateRules rules({{.san = "DNS:*.tills.example"}});
  EXPECT_NE(rules.Find(With("CN=x", {"DNS:a.tills.example"})), nullptr);
  EXPECT_EQ(rules.Find(With("CN=x", {"URI:a.tills.example"})), nullptr);
  EXPECT_EQ(rules.Find(With("CN=x", {"DNS:a.b.tills.example"})), nullptr);
  EXPECT_EQ(rules.Find(With("CN=a.tills.example")), nullptr);
}

}  // namespace
}  // namespace starling::identity
