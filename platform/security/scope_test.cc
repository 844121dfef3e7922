#include "platform/security/scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/security/authenticator.h"
#include "platform/security/identity.h"

namespace starling::security {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ScopeSet, HoldsWhatItNamesAWildcardItsAreaAndAdminEverything) {
  const ScopeSet scopes = *ScopeSet::Parse({"events.write", "catalog.*"});
  EXPECT_TRUE(scopes.Holds("events.write"));
  EXPECT_FALSE(scopes.Holds("events.read"));
  EXPECT_TRUE(scopes.Holds("catalog.read"));
  EXPECT_TRUE(scopes.Holds("catalog.write"));
  EXPECT_FALSE(scopes.Holds("catalogue.read"));
  EXPECT_FALSE(scopes.Holds("admin"));
  EXPECT_FALSE(scopes.Holds(""));
  EXPECT_TRUE(ScopeSet::Admin().Holds("anything.at_all"));
  EXPECT_TRUE(ScopeSet::Parse({"a.b", "admin"})->IsAdmin());
  EXPECT_FALSE(ScopeSet().Holds("catalog.read"));
}

TEST(ScopeSet, IsWrittenSortedWithoutWhatIsCoveredAndReadBack) {
  const ScopeSet scopes =
      *ScopeSet::ParseText(" events.write, catalog.read catalog.* catalog.write,events.write ");
  EXPECT_THAT(scopes.ToVector(), ElementsAre("catalog.*", "events.write"));
  EXPECT_EQ(scopes.ToText(), "catalog.* events.write");
  EXPECT_EQ(*ScopeSet::ParseText(scopes.ToText()), scopes);
  EXPECT_EQ(ScopeSet::Admin().ToText(), "admin");
  EXPECT_TRUE(ScopeSet::ParseText("")->empty());
}

TEST(ScopeSet, HoldsAllOfASmallerSetOnly) {
  const ScopeSet area = *ScopeSet::ParseText("catalog.*");
  const ScopeSet one = *ScopeSet::ParseText("catalog.read");
  EXPECT_TRUE(area.HoldsAll(one));
  EXPECT_TRUE(area.HoldsAll(area));
  EXPECT_FALSE(one.HoldsAll(area));
  EXPECT_TRUE(ScopeSet::Admin().HoldsAll(area));
  EXPECT_FALSE(area.HoldsAll(ScopeSet::Admin()));
  EXPECT_TRUE(one.HoldsAll(ScopeSet()));
}

TEST(ScopeSet, RefusesWhatIsNoScopeAndNamesIt) {
  for (const char* bad : {"", "catalog", "catalog.", ".read", "*", "*.read", "catalog.re*",
                          "Catalog.read", "catalog.read.all", "catalog read", "administrator"}) {
    const Status status = ScopeSet::Parse({"a.b", bad}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("scopes: '" + std::string(bad) + "' is no scope"));
  }
  EXPECT_FALSE(ScopeSet::ParseText(fmt::format("{:a<70}.b", "")).ok());
  std::vector<std::string> many;
  for (int i = 0; i < 65; ++i) many.push_back(fmt::format("a{}.b", i));
  EXPECT_THAT(std::string(ScopeSet::Parse(many).status().message()),
              HasSubstr("above the limit of 64"));
}

TEST(Identity, TravelsAsBytes) {
  Identity key{.kind = Identity::kKey,
               .subject = "k1",
               .scopes = *ScopeSet::ParseText("catalog.* events.write")};
  key.on_behalf_of = "u7";
  key.session = std::string(32, '\xff');
  key.expires_at = ParseRfc3339("2026-01-02T03:04:05Z");
  const Identity admin{.kind = Identity::kUser, .subject = "u1", .scopes = ScopeSet::Admin()};
  for (const Identity& identity : {key, admin, *ServiceIdentity("features"), *Anonymous()}) {
    const auto back = ParseIdentity(SerializeIdentity(identity));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(**back, identity) << IdentityName(identity);
  }
  EXPECT_EQ(*ParseIdentity(SerializeIdentity(*Anonymous())), Anonymous())
      << "the one identity of nobody";
}

TEST(Identity, RefusesDamagedBytes) {
  const std::string bytes = SerializeIdentity(*UserIdentity("u1", *ScopeSet::ParseText("a.b")));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ParseIdentity(bytes.substr(0, size)).status().code(), StatusCode::kInvalidArgument)
        << size;
  }
  EXPECT_FALSE(ParseIdentity(bytes + "x").ok());
  std::string wrong = bytes;
  wrong[1] = 9;
  EXPECT_FALSE(ParseIdentity(wrong).ok());
  wrong = bytes;
  wrong[0] = 2;
  EXPECT_FALSE(ParseIdentity(wrong).ok());
}

TEST(Identity, NamesItselfAndTheUserWhoseDataItMaySee) {
  EXPECT_EQ(IdentityName(*Anonymous()), "anonymous");
  EXPECT_EQ(IdentityName(*UserIdentity("u1")), "user:u1");
  EXPECT_EQ(UserIdentity("u1")->user(), "u1");
  EXPECT_EQ(ServiceIdentity("features")->user(), "");
  Identity key{.kind = Identity::kKey, .subject = "k1"};
  key.on_behalf_of = "u7";
  EXPECT_EQ(key.user(), "u7");
}

// Knows tokens that start with its name.
class NamedAuthenticator final : public Authenticator {
 public:
  explicit NamedAuthenticator(std::string name) : name_(std::move(name)) {}
  Task<StatusOr<std::shared_ptr<const Identity>>> Authenticate(std::string_view) override {
    co_return UserIdentity(name_);
  }
  bool Recognises(std::string_view token) const override { return token.starts_with(name_); }

 private:
  const std::string name_;
};

TEST(AuthenticatorChain, AsksTheFirstThatRecognisesTheToken) {
  NamedAuthenticator a("a"), b("b");
  AuthenticatorChain chain({&a, &b});
  EXPECT_EQ((*RunSync(chain.Authenticate("b-token")))->subject, "b");
  EXPECT_EQ((*RunSync(chain.Authenticate("a-token")))->subject, "a");
  const Status status = RunSync(chain.Authenticate("c-secret")).status();
  EXPECT_EQ(status.code(), StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(status.message()), testing::Not(HasSubstr("c-secret")));
  EXPECT_FALSE(chain.Recognises("c"));
}

}  // namespace
}  // namespace starling::security
