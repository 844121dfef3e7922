// The memory of the cache: its bound, by what is counted and by what the heap really holds, and
// what it evicts.
#include "platform/gateway/cache/store.h"

#include <malloc.h>

#include <atomic>
#include <new>
#include <random>
#include <thread>

#include "platform/gateway/cache/cache_test.h"

namespace {

// Every byte of this binary's heap that `new` gave and `delete` has not taken back.
std::atomic<int64_t> live_bytes{0};

}  // namespace

void* operator new(size_t size) {
  void* const block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  live_bytes += static_cast<int64_t>(malloc_usable_size(block)) + 8;  // and its header
  return block;
}
void* operator new(size_t size, std::align_val_t alignment) {
  void* const block = std::aligned_alloc(static_cast<size_t>(alignment), size);
  if (block == nullptr) throw std::bad_alloc();
  live_bytes += static_cast<int64_t>(malloc_usable_size(block)) + 8;
  return block;
}
void operator delete(void* block) noexcept {
  if (block != nullptr) live_bytes -= static_cast<int64_t>(malloc_usable_size(block)) + 8;
  std::free(block);
}
void operator delete(void* block, size_t) noexcept { operator delete(block); }
void operator delete(void* block, std::align_val_t) noexcept { operator delete(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { operator delete(block); }

namespace starling::gateway {
namespace {

StoredPtr Made(std::string key, size_t body_bytes, Fields fields = {}, Fields vary_values = {}) {
  const auto response = std::make_shared<StoredResponse>();
  response->key = std::move(key);
  response->headers = MakeHeaders(fields);
  response->headers = http::Headers(std::as_const(response->headers));
  response->selecting = SelectingFields::Of(response->headers, MakeHeaders(vary_values));
  response->body = std::make_shared<const std::string>(body_bytes, 'x');
  return response;
}

bool Put(Store& store, StoredPtr response) {
  const uint64_t hash = store.HashOf(response->key);
  return store.Put(std::move(response), hash);
}

bool Has(Store& store, std::string_view key) {
  return store.Find(key, store.HashOf(key), {}).response != nullptr;
}

// One shard, and room for about `answers` of a kilobyte.
StoreOptions RoomFor(size_t answers) {
  const size_t one = BytesOf(*Made("0000", 1000)) + 100;
  return {.max_bytes = answers * one, .max_object_bytes = answers * one};
}

TEST(Store, WhatIsUsedAgainSurvivesAFloodOfWhatIsNot) {
  Store store(RoomFor(100));
  for (int i = 0; i < 20; ++i) Put(store, Made(fmt::format("hot{}", i), 1000));
  for (int i = 0; i < 5000; ++i) {
    Put(store, Made(fmt::format("cold{}", i), 1000));
    if (i % 3 == 0) Has(store, fmt::format("hot{}", i / 3 % 20));
  }
  int hot = 0;
  for (int i = 0; i < 20; ++i) hot += Has(store, fmt::format("hot{}", i)) ? 1 : 0;
  EXPECT_EQ(hot, 20);
  EXPECT_FALSE(Has(store, "cold0"));
  EXPECT_GT(store.Stats().evicted, 4800);
}

TEST(Store, WithoutUseTheOldestGoesFirst) {
  Store store(RoomFor(10));
  int i = 0;
  while (store.Stats().evicted == 0) Put(store, Made(fmt::format("{}", i++), 1000));
  EXPECT_FALSE(Has(store, "0"));
  EXPECT_TRUE(Has(store, "1"));
  EXPECT_GE(store.Stats().objects, 8);
}

TEST(Store, WhatIsTooLargeIsNotTakenAndEndsWhatWasThere) {
  Store store({.max_bytes = 100'000, .max_object_bytes = 1'000'000});
  EXPECT_TRUE(Put(store, Made("a", 1000)));
  EXPECT_FALSE(Put(store, Made("a", store.largest() + 1)));
  EXPECT_FALSE(Has(store, "a"));
  EXPECT_EQ(store.Stats().refused, 1);
}

TEST(Store, ACacheOfNoBytesTakesNothing) {
  Store store({.max_bytes = 0});
  EXPECT_FALSE(Put(store, Made("a", 0)));
}

TEST(Store, AnAnswerOfTheLargestSizeFitsAnEmptyCacheOfTheUsualSizes) {
  for (const size_t megabytes : {8, 64, 1024}) {
    Store store({.max_bytes = megabytes << 20});
    EXPECT_TRUE(Put(store, Made("a", 1 << 20))) << megabytes;
  }
}

TEST(Store, WhatSomebodyReadsWhenItIsEvictedStaysWhole) {
  Store store(RoomFor(10));
  Put(store, Made("a", 1000));
  const StoredPtr read = store.Find("a", store.HashOf("a"), {}).response;
  EXPECT_EQ(store.RemovePrefix(""), 1);
  EXPECT_EQ(read->body->size(), 1000);
}

// Random keys, sizes, fields, variants and removals: never above the bound, as it is counted, and
// as the heap has it.
TEST(Store, NeverTakesMoreMemoryThanItsBound) {
  for (const uint32_t seed : {1, 2, 3, 4}) {
    std::mt19937 random(seed);
    const auto below = [&](size_t n) { return random() % n; };
    const size_t bound = 200'000 + below(3'000'000);
    const int64_t before = live_bytes;
    Store store({.max_bytes = bound, .max_object_bytes = 10'000 + below(50'000)});
    int64_t most = 0;
    for (int i = 0; i < 20'000; ++i) {
      std::string key = fmt::format("{:0{}}", below(3000), 1 + below(4) * 40);
      switch (below(16)) {
        case 0:
          store.RemoveKey(key, store.HashOf(key));
          break;
        case 1:
          if (below(200) == 0) store.RemovePrefix(std::string(3, '0'));
          break;
        case 2:
        case 3:
        case 4:
          Has(store, key);
          break;
        default: {
          const std::string language(1 + below(60), static_cast<char>('a' + below(4)));
          const size_t body = below(4) == 0 ? below(80'000) : below(3000);
          Put(store, Made(std::move(key), body,
                          {{"ETag", "\"0123456789\""}, {"Vary", "Accept-Language, X-B"}},
                          {{"Accept-Language", language}}));
        }
      }
      most = std::max(most, live_bytes - before);
      ASSERT_LE(store.Stats().bytes, bound);
    }
    // What is counted is what the heap holds, with the room for an allocator's worst case: not
    // more, and not so much less that the bound would be wasted. A Put holds the new one and what
    // it pushes out at a time.
    const int64_t held = live_bytes - before;
    EXPECT_LE(held, static_cast<int64_t>(store.Stats().bytes));
    EXPECT_GE(held, static_cast<int64_t>(store.Stats().bytes) * 7 / 10);
    EXPECT_LE(most, static_cast<int64_t>(bound + 2 * 100'000));
    EXPECT_GT(store.Stats().evicted, 100);
  }
}

TEST(Store, ItsBoundHoldsUnderThreads) {
  constexpr size_t kBound = 2'000'000;
  Store store({.max_bytes = kBound, .max_object_bytes = 20'000});
  std::atomic<bool> ended = false;
  std::thread watcher([&] {
    while (!ended) EXPECT_LE(store.Stats().bytes, kBound);
  });
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 20'000; ++i) {
        const std::string key = std::to_string(random() % 2000);
        if (random() % 2 == 0) {
          const StoredPtr found = store.Find(key, store.HashOf(key), {}).response;
          EXPECT_TRUE(found == nullptr || found->key == key);
        } else if (random() % 100 == 0) {
          store.RemoveKey(key, store.HashOf(key));
        } else {
          Put(store, Made(key, random() % 5000));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ended = true;
  watcher.join();
  const uint64_t left = store.Stats().objects;
  EXPECT_GT(left, 0);
  EXPECT_EQ(store.RemovePrefix(""), left);
}

}  // namespace
}  // namespace starling::gateway
