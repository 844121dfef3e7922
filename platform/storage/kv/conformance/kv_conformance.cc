#include "platform/storage/kv/conformance/kv_conformance.h"

#include <gmock/gmock.h>

#include <latch>

namespace starling::kv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(KvConformance, KeepsWhatIsPutAndForgetsWhatIsDeleted) {
  EXPECT_EQ(Get("key"), std::nullopt);
  ASSERT_TRUE(Put("key", "first").ok());
  EXPECT_EQ(Get("key"), "first");
  ASSERT_TRUE(Put("key", "second").ok());
  EXPECT_EQ(Get("key"), "second");
  ASSERT_TRUE(Delete("key").ok());
  EXPECT_EQ(Get("key"), std::nullopt);
  EXPECT_TRUE(Delete("key").ok()) << "deleting what is not there is no error";
}

TEST_P(KvConformance, AnyBytesAreAKeyAndAValue) {
  const std::string odd("\0\xff\x01 \n", 5);
  ASSERT_TRUE(Put(odd, odd).ok());
  ASSERT_TRUE(Put("empty", "").ok());
  ASSERT_TRUE(Put("large", std::string(1 << 20, 'x')).ok());
  EXPECT_EQ(Get(odd), odd);
  EXPECT_EQ(Get("empty"), "");
  EXPECT_EQ(Get("large")->size(), size_t{1} << 20);
}

TEST_P(KvConformance, SurvivesReopening) {
  ASSERT_TRUE(Put("synced", "1").ok());
  ASSERT_TRUE(Put("buffered", "2", {.durability = Durability::kBuffered}).ok());
  Reopen();
  EXPECT_EQ(Get("synced"), "1");
  EXPECT_EQ(Get("buffered"), "2");
  EXPECT_TRUE(runtime_.Block(store_->Check()).ok());
}

TEST_P(KvConformance, ABatchIsAppliedInOrderAndWhole) {
  ASSERT_TRUE(Put("gone", "x").ok());
  Batch batch;
  batch.Put("a", "1").Put("b", "2").Delete("gone").Put("a", "3").Put("c", "x").Delete("c");
  ASSERT_TRUE(Apply(batch).ok());
  EXPECT_THAT(Keys(""), ElementsAre("a", "b"));
  EXPECT_EQ(Get("a"), "3");
  Batch refused;
  refused.Put("d", "1").Put("", "2");
  EXPECT_EQ(Apply(refused).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Get("d"), std::nullopt);
  EXPECT_TRUE(Apply(Batch()).ok());
}

TEST_P(KvConformance, ScansAPrefixInByteOrderPageByPage) {
  for (const std::string_view key :
       {"user/", "user/1", "user/10", "user/2", "user/\xff", "user/\xff\xff", "user0", "use",
        "user", "\xff", "\xff\xff", "a"}) {
    ASSERT_TRUE(Put(key, key, {.durability = Durability::kBuffered}).ok());
  }
  const std::vector<std::string> expected = {"user/",  "user/1",    "user/10",
                                             "user/2", "user/\xff", "user/\xff\xff"};
  for (const size_t limit : {1, 2, 3, 5, 6, 7, 100}) EXPECT_EQ(Keys("user/", limit), expected);
  EXPECT_THAT(Keys("\xff"), ElementsAre("\xff", "\xff\xff"));
  EXPECT_EQ(Keys("").size(), 12u);
  EXPECT_THAT(Keys("absent"), IsEmpty());
  EXPECT_EQ(Scan({.prefix = "user/1"})->entries,
            (std::vector<Entry>{{"user/1", "user/1"}, {"user/10", "user/10"}}));
  EXPECT_EQ(Scan({.prefix = "user/", .after = "user/15", .limit = 1})->entries.front().key,
            "user/2");
  EXPECT_EQ(Scan({.prefix = "user/", .after = "a", .limit = 1})->entries.front().key, "user/");
  EXPECT_THAT(Scan({.prefix = "user/", .after = "z"})->entries, IsEmpty());
}

TEST_P(KvConformance, AValueExpiresWhenItsTimeHasComeAndNotBefore) {
  ASSERT_TRUE(Put("short", "s", {.ttl = std::chrono::seconds(10)}).ok());
  ASSERT_TRUE(Put("long", "l", {.ttl = std::chrono::hours(10)}).ok());
  ASSERT_TRUE(Put("ever", "e").ok());
  clock_.Advance(std::chrono::milliseconds(9'999));
  EXPECT_EQ(Get("short"), "s");
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(Get("short"), std::nullopt);
  EXPECT_THAT(Keys(""), ElementsAre("ever", "long"));
  Reopen();
  EXPECT_EQ(Get("short"), std::nullopt);
  EXPECT_EQ(Get("long"), "l");
  ASSERT_TRUE(Put("short", "again").ok());
  EXPECT_EQ(Get("short"), "again");
  ASSERT_TRUE(Put("long", "for ever").ok()) << "a later put takes the expiry away";
  clock_.Advance(std::chrono::hours(1000));
  EXPECT_EQ(Get("long"), "for ever");
}

TEST_P(KvConformance, APageLooksAtABoundedNumberOfExpiredEntriesAndStillEnds) {
  Batch batch;
  for (int i = 0; i < 2000; ++i) batch.Put(fmt::format("k{:05}", i), "x", std::chrono::seconds(1));
  batch.Put("k99999", "kept");
  ASSERT_TRUE(Apply(batch, Durability::kBuffered).ok());
  clock_.Advance(std::chrono::seconds(2));
  const Page first = Scan({.prefix = "k", .limit = 1}).value();
  EXPECT_TRUE(first.entries.size() == 1 || !first.next.empty());
  EXPECT_THAT(Keys("k", 1), ElementsAre("k99999"));
}

TEST_P(KvConformance, BeyondTheBoundsIsRefusedNamingThem) {
  Batch many;
  for (size_t i = 0; i <= kMaxBatchChanges; ++i) many.Delete("k");
  Batch heavy;
  for (int i = 0; i < 5; ++i) heavy.Put("k", std::string(kMaxValueBytes, 'x'));
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  struct Case {
    Status status;
    std::string_view message;
  };
  const Case cases[] = {
      {Put("", "v"), "1 to 4096"},
      {Put(long_key, "v"), "4097 bytes"},
      {Put("k", std::string(kMaxValueBytes + 1, 'x')), "the limit of 16777216"},
      {Put("k", "v", {.ttl = Duration(0)}), "below a millisecond"},
      {Put("k", "v", {.ttl = std::chrono::seconds(-1)}), "below a millisecond"},
      {Delete(""), "1 to 4096"},
      {TryGet("").status(), "1 to 4096"},
      {TryGet(long_key).status(), "4097 bytes"},
      {Apply(many), "10001 changes"},
      {Apply(heavy), "in parts"},
      {Scan({.limit = 0}).status(), "1 to 10000"},
      {Scan({.limit = kMaxPageEntries + 1}).status(), "1 to 10000"},
      {Scan({.prefix = long_key}).status(), "4096"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(c.status.code(), StatusCode::kInvalidArgument) << c.message << ": " << c.status;
    EXPECT_THAT(std::string(c.status.message()), HasSubstr(std::string(c.message)));
  }
  EXPECT_THAT(Keys(""), IsEmpty());
  EXPECT_TRUE(Put(long_key.substr(1), "v").ok());
}

TEST_P(KvConformance, ConcurrentBatchesStayWhole) {
  constexpr int kWriters = 8, kRounds = 25;
  std::latch done(kWriters);
  for (int writer = 0; writer < kWriters; ++writer) {
    Spawn(runtime_.executor(0), [](Store& store, int writer, std::latch& done) -> Task<void> {
      for (int round = 0; round < kRounds; ++round) {
        Batch batch;
        const std::string value = fmt::format("{}-{}", writer, round);
        batch.Put("left", value).Put("right", value);
        const Status status = co_await store.Apply(batch, Durability::kBuffered);
        EXPECT_TRUE(status.ok()) << status;
        const StatusOr<Page> page = co_await store.Scan({.limit = 10});
        EXPECT_EQ(page->entries.at(0).value, page->entries.at(1).value);
      }
      done.count_down();
    }(*store_, writer, done));
  }
  done.wait();
}

}  // namespace
}  // namespace starling::kv
