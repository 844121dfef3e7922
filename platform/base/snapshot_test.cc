#include "platform/base/snapshot.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace starling {
namespace {

TEST(Snapshot, GivesWhatWasStoredLastAndKeepsWhatIsHeld) {
  Snapshot<int> snapshot(std::make_shared<const int>(1));
  const std::shared_ptr<const int> held = snapshot.load();
  snapshot.store(std::make_shared<const int>(2));
  EXPECT_EQ(*held, 1);
  EXPECT_EQ(*snapshot.load(), 2);
}

TEST(Snapshot, IsNotKeptAliveByAThreadThatReadIt) {
  Snapshot<int> snapshot(std::make_shared<const int>(1));
  const std::weak_ptr<const int> old = snapshot.load();
  snapshot.store(std::make_shared<const int>(2));
  EXPECT_TRUE(old.expired());
}

TEST(Snapshot, GivesWholeValuesThatNeverGoBackWhileOthersStore) {
  struct Pair {
    int a, b;
  };
  Snapshot<Pair> snapshot(std::make_shared<const Pair>(Pair{0, 0}));
  std::vector<std::thread> readers;
  readers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      int newest = 0;
      while (newest < 2000) {
        const std::shared_ptr<const Pair> now = snapshot.load();
        ASSERT_EQ(now->a, now->b);
        ASSERT_GE(now->a, newest);
        newest = now->a;
      }
    });
  }
  for (int i = 1; i <= 2000; ++i) snapshot.store(std::make_shared<const Pair>(Pair{i, i}));
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace starling
