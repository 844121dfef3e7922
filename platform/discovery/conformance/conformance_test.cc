#include "platform/discovery/conformance/suite.h"

namespace starling::discovery {
namespace {

using ::testing::IsEmpty;

const Endpoint kA = At("127.0.0.1:9001", "a", "x");
const Endpoint kB = At("127.0.0.2:9001", "b", "y", 3);
const Endpoint kC = At("127.0.0.3:9001", "c", "x");

INSTANTIATE_TEST_SUITE_P(Resolvers, ResolverConformance,
                         ::testing::Values(Source{"Static", MakeStaticWorld},
                                           Source{"Etcd", MakeEtcdWorld},
                                           Source{"Dns", MakeDnsWorld}),
                         NameOf);

TEST_P(ResolverConformance, TellsTheWholeListSorted) {
  world_->Serve("catalog", {kB, kA});
  Heard heard;
  const auto watch = Watch("catalog", heard);
  EXPECT_TRUE(heard.Becomes(AsTold({kA, kB})));
}

TEST_P(ResolverConformance, TellsThatNobodyServesIt) {
  world_->Serve("catalog", {kA});
  Heard heard;
  const auto watch = Watch("nobody", heard);
  EXPECT_TRUE(heard.Becomes({}));
}

TEST_P(ResolverConformance, TellsEachChange) {
  world_->Serve("catalog", {kA});
  Heard heard;
  const auto watch = Watch("catalog", heard);
  ASSERT_TRUE(heard.Becomes(AsTold({kA})));
  world_->Serve("catalog", {kA, kB, kC});
  EXPECT_TRUE(heard.Becomes(AsTold({kA, kB, kC})));
  world_->Serve("catalog", {kC});
  EXPECT_TRUE(heard.Becomes(AsTold({kC})));
  world_->Serve("catalog", {});
  EXPECT_TRUE(heard.Becomes({}));
  world_->Serve("catalog", {kB});
  EXPECT_TRUE(heard.Becomes(AsTold({kB})));
}

TEST_P(ResolverConformance, ServicesAreTheirOwn) {
  world_->Serve("catalog", {kA});
  world_->Serve("catalog2", {kB});
  Heard first, second;
  const auto watch = Watch("catalog", first);
  const auto other = Watch("catalog2", second);
  EXPECT_TRUE(first.Becomes(AsTold({kA})));
  EXPECT_TRUE(second.Becomes(AsTold({kB})));
  world_->Serve("catalog2", {kC});
  EXPECT_TRUE(second.Becomes(AsTold({kC})));
  EXPECT_EQ(first.Lists().back(), AsTold({kA}));
}

TEST_P(ResolverConformance, SeveralMayWatchOneService) {
  world_->Serve("catalog", {kA});
  Heard first, second;
  const auto watch = Watch("catalog", first);
  ASSERT_TRUE(first.Becomes(AsTold({kA})));
  const auto other = Watch("catalog", second);
  EXPECT_TRUE(second.Becomes(AsTold({kA})));
  world_->Serve("catalog", {kA, kB});
  EXPECT_TRUE(first.Becomes(AsTold({kA, kB})));
  EXPECT_TRUE(second.Becomes(AsTold({kA, kB})));
}

TEST_P(ResolverConformance, NeverTellsTheSameListTwice) {
  world_->Serve("catalog", {kA, kB});
  Heard heard;
  const auto watch = Watch("catalog", heard);
  ASSERT_TRUE(heard.Becomes(AsTold({kA, kB})));
  world_->Serve("catalog", {kB, kA});
  world_->Serve("catalog", {kC});
  ASSERT_TRUE(heard.Becomes(AsTold({kC})));
  const auto lists = heard.Lists();
  for (size_t i = 1; i < lists.size(); ++i) EXPECT_NE(lists[i - 1], lists[i]);
}

TEST_P(ResolverConformance, NothingIsToldAfterTheWatch) {
  world_->Serve("catalog", {kA});
  Heard ended, goes_on;
  auto watch = Watch("catalog", ended);
  const auto other = Watch("catalog", goes_on);
  ASSERT_TRUE(ended.Becomes(AsTold({kA})));
  watch.reset();
  const size_t before = ended.Lists().size();
  world_->Serve("catalog", {kB});
  ASSERT_TRUE(goes_on.Becomes(AsTold({kB})));
  EXPECT_EQ(ended.Lists().size(), before);
}

TEST_P(ResolverConformance, AWatchMayEndWithinItsOwnCall) {
  world_->Serve("catalog", {kA});
  std::unique_ptr<discovery::Watch> watch;
  std::atomic<int> ended = 0, calls_after = 0;
  Heard goes_on;
  auto watching = resolver_->Watch("catalog", [&](const std::vector<Endpoint>& now) {
    if (ended > 0) ++calls_after;
    if (now != AsTold({kB})) return;
    ++ended;
    watch.reset();
  });
  ASSERT_TRUE(watching.ok());
  watch = *std::move(watching);
  const auto other = Watch("catalog", goes_on);
  ASSERT_TRUE(goes_on.Becomes(AsTold({kA})));
  world_->Serve("catalog", {kB});
  ASSERT_TRUE(goes_on.Becomes(AsTold({kB})));
  world_->Serve("catalog", {kC});
  ASSERT_TRUE(goes_on.Becomes(AsTold({kC})));
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(calls_after, 0);
}

TEST_P(ResolverConformance, KeepsTheLastListWhileItsSourceIsAway) {
  if (!world_->CanBreak()) return;  // a list in the configuration is never away
  world_->Serve("catalog", {kA});
  Heard heard;
  const auto watch = Watch("catalog", heard);
  ASSERT_TRUE(heard.Becomes(AsTold({kA})));
  world_->Break();
  Heard late;
  const auto other = Watch("catalog", late);
  EXPECT_TRUE(late.Becomes(AsTold({kA})));
  world_->Mend();
  world_->Serve("catalog", {kA, kB});
  EXPECT_TRUE(heard.Becomes(AsTold({kA, kB})));
  for (const auto& list : heard.Lists()) EXPECT_FALSE(list.empty());
}

TEST_P(ResolverConformance, RefusesWhatIsNoName) {
  for (const char* name : {"", "a/b", "a b", ".", "catalog.", "..", "\xff"}) {
    Heard heard;
    EXPECT_EQ(resolver_->Watch(name, heard.Callback()).status().code(),
              StatusCode::kInvalidArgument)
        << name;
    EXPECT_THAT(heard.Lists(), IsEmpty());
  }
}

TEST_P(ResolverConformance, AWatchMayOutliveItsResolver) {
  world_->Serve("catalog", {kA});
  Heard heard;
  auto watch = Watch("catalog", heard);
  ASSERT_TRUE(heard.Becomes(AsTold({kA})));
  resolver_.reset();
  const size_t before = heard.Lists().size();
  world_->Serve("catalog", {kB});
  watch.reset();
  EXPECT_EQ(heard.Lists().size(), before);
}

}  // namespace
}  // namespace starling::discovery
