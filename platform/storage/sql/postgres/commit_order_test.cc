#include "platform/storage/sql/postgres/commit_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <optional>
#include <thread>
#include <vector>

namespace starling::sql {
namespace {

TEST(CommitOrder, ALaterTicketWaitsForAnEarlierOneAndNotTheOtherWayRound) {
  CommitOrder order;
  std::optional<CommitOrder::Ticket> first(std::in_place, order);
  CommitOrder::Ticket second(order);
  std::mutex mutex;
  std::vector<int> ran;
  const auto note = [&](int number) {
    const std::lock_guard lock(mutex);
    ran.push_back(number);
  };
  std::latch begun(1);
  std::thread later([&] {
    begun.count_down();
    second.WaitForTurn();
    note(2);
  });
  begun.wait();
  for (int i = 0; i < 1'000; ++i) std::this_thread::yield();  // time to be wrong in
  first->WaitForTurn();
  note(1);
  first.reset();
  later.join();
  EXPECT_THAT(ran, testing::ElementsAre(1, 2));
}

}  // namespace
}  // namespace starling::sql
