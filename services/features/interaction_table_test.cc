#include "services/features/interaction_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace starling::features {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Incoming = InteractionTable::Incoming;

Incoming One(std::string_view user, std::string_view product, uint64_t id, uint32_t time,
             Kind kind = Kind::kView) {
  return {user, product, {.id = id, .time = time, .kind = kind}};
}

struct Sizes {
  size_t added, removed;
  bool operator==(const Sizes&) const = default;
};

Sizes Tell(InteractionTable& table, const std::vector<Incoming>& incoming,
           InteractionTable::Source source = InteractionTable::kNew) {
  auto change = table.Plan(incoming, source);
  const Sizes sizes{change.added().size(), change.removed().size()};
  table.Publish(std::move(change));
  return sizes;
}

std::vector<uint64_t> Ids(const InteractionTable& table, std::string_view user) {
  const History history = table.Find(user);
  return {history.ids().begin(), history.ids().end()};
}

TEST(InteractionTable, KeepsAUsersInteractionsInTheOrderOfTheirTimes) {
  InteractionTable table({});
  Tell(table, {One("ada", "p", 1, 30), One("bob", "p", 2, 5), One("ada", "q", 3, 10)});
  Tell(table, {One("ada", "r", 4, 20)});
  EXPECT_THAT(Ids(table, "ada"), ElementsAre(3, 4, 1));
  EXPECT_THAT(Ids(table, "bob"), ElementsAre(2));
  EXPECT_THAT(Ids(table, "eve"), IsEmpty());
}

TEST(InteractionTable, TakesAnIdOfAUserOnceWhateverItComesWith) {
  InteractionTable table({});
  EXPECT_EQ(Tell(table, {One("ada", "p", 1, 10), One("ada", "p", 1, 11)}), (Sizes{1, 0}));
  EXPECT_EQ(Tell(table, {One("ada", "q", 1, 99), One("bob", "p", 1, 10)}), (Sizes{1, 0}));
  std::vector<Incoming> many;
  for (uint64_t id = 0; id < 20; ++id) many.push_back(One("ada", "p", id % 10, 50 + id));
  EXPECT_EQ(Tell(table, many), (Sizes{9, 0}));
  EXPECT_EQ(table.Count().interactions, 11);
}

TEST(InteractionTable, AChangeIsInvisibleUntilPublishedAndCanBePlannedAgain) {
  InteractionTable table({});
  Tell(table, {One("ada", "p", 1, 10), One("ada", "p", 2, 11)});
  const History before = table.Find("ada");
  (void)table.Plan(std::vector{One("ada", "q", 3, 12)}, InteractionTable::kNew);
  EXPECT_THAT(Ids(table, "ada"), ElementsAre(1, 2));
  EXPECT_EQ(Tell(table, {One("ada", "q", 4, 13)}), (Sizes{1, 0}));
  EXPECT_THAT(Ids(table, "ada"), ElementsAre(1, 2, 4));
  EXPECT_EQ(before.size(), 2u);
  EXPECT_EQ(before[1].id, 2u);
}

TEST(InteractionTable, KeepsTheNewestOfAUserAndOnlySomeImpressions) {
  InteractionTable table({.interactions = 4, .impressions = 2});
  Tell(table, {One("ada", "a", 1, 1, Kind::kPurchase), One("ada", "b", 2, 2, Kind::kImpression),
               One("ada", "c", 3, 3, Kind::kImpression)});
  EXPECT_EQ(Tell(table, {One("ada", "d", 4, 4, Kind::kImpression)}), (Sizes{1, 1}));
  EXPECT_THAT(Ids(table, "ada"), ElementsAre(1, 3, 4));
  EXPECT_EQ(Tell(table, {One("ada", "d", 5, 5), One("ada", "d", 6, 6)}), (Sizes{2, 1}));
  EXPECT_THAT(Ids(table, "ada"), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(Tell(table, {One("ada", "z", 7, 0)}), (Sizes{0, 0})) << "older than all that is kept";
  EXPECT_EQ(Tell(table, {One("ada", "z", 8, 5)}), (Sizes{1, 1}));
  EXPECT_THAT(Ids(table, "ada"), ElementsAre(4, 5, 8, 6));
  const auto counted = table.Count();
  EXPECT_EQ(counted.interactions, 4);
  EXPECT_EQ(counted.products, 2);
  EXPECT_EQ(counted.oldest, 4);
  EXPECT_EQ(counted.newest, 6);
}

TEST(InteractionTable, WhatLoweredBoundsDropOfTheDiskIsToBeRemoved) {
  InteractionTable table({.interactions = 2, .impressions = 1});
  EXPECT_EQ(Tell(table, {One("ada", "a", 1, 1), One("ada", "b", 2, 2), One("ada", "c", 3, 3)},
                 InteractionTable::kStored),
            (Sizes{2, 1}));
  EXPECT_THAT(Ids(table, "ada"), ElementsAre(2, 3));
  EXPECT_EQ(table.Count().interactions, 2);
  EXPECT_EQ(table.Count().products, 2);
}

TEST(InteractionTable, FindsEveryUserOfSomeProductsOnce) {
  InteractionTable table({});
  Tell(table, {One("ada", "p", 1, 1), One("ada", "q", 2, 2), One("bob", "q", 3, 3)});
  const std::string p = "p", q = "q", x = "x";
  const std::vector<const std::string*> all = {&p, &x, &q};
  const auto owners = table.FindOwners(all);
  EXPECT_THAT(owners.users, SizeIs(2));
  EXPECT_EQ(owners.rows, 3u);
  EXPECT_FALSE(owners.products[1].has_value());
  const std::vector<const std::string*> one = {&p};
  EXPECT_THAT(table.FindOwners(one).users, SizeIs(1));
}

TEST(InteractionTable, ANumberOfAProductThatIsGoneWaitsForWhoMayStillLookItUp) {
  InteractionTable table({.interactions = 1, .impressions = 0});
  Tell(table, {One("ada", "old", 1, 1), One("bob", "stays", 2, 1)});
  const auto snapshot = table.Copy();
  Tell(table, {One("ada", "new", 3, 2)});
  Tell(table, {One("ada", "newer", 4, 3)});
  ASSERT_THAT(snapshot.users(), SizeIs(2));
  EXPECT_EQ(snapshot.ProductId(snapshot.users()[0].history.products()[0]), "old");
  EXPECT_EQ(table.Count().products, 2);
}

// What the table must be, written as plainly as can be.
class Model {
 public:
  explicit Model(InteractionTable::Bounds bounds) : bounds_(bounds) {}
  void Add(const Incoming& one) {
    Rows& rows = users_[std::string(one.user_id)];
    for (const auto& [key, product] : rows) {
      if (key.second == one.row.id) return;
    }
    rows[{one.row.time, one.row.id}] = {std::string(one.product_id), one.row.kind};
    const auto is_impression = [](const auto& row) {
      return row.second.second == Kind::kImpression;
    };
    if (std::count_if(rows.begin(), rows.end(), is_impression) > bounds_.impressions)
      rows.erase(std::find_if(rows.begin(), rows.end(), is_impression));
    if (rows.size() > bounds_.interactions) rows.erase(rows.begin());
  }
  void Check(const InteractionTable& table) const {
    const auto snapshot = table.Copy();
    int64_t interactions = 0;
    std::set<std::string> products;
    std::map<std::string, double> popularity;
    size_t user = 0;
    for (const auto& [id, rows] : users_) {
      if (rows.empty()) continue;
      ASSERT_LT(user, snapshot.users().size());
      EXPECT_EQ(*snapshot.users()[user].id, id);
      const History& history = snapshot.users()[user++].history;
      ASSERT_EQ(history.size(), rows.size());
      uint32_t i = 0;
      for (const auto& [key, product] : rows) {
        const Row row = history[i++];
        EXPECT_EQ(row.time, key.first);
        EXPECT_EQ(row.id, key.second);
        EXPECT_EQ(row.kind, product.second);
        EXPECT_EQ(snapshot.ProductId(row.product), product.first);
        ++interactions;
        products.insert(product.first);
        if (PopularityWeight(row.kind) > 0) {
          popularity[product.first] +=
              PopularityWeight(row.kind) * Decay(2'000 - int64_t{row.time}, bounds_.half_life);
        }
      }
    }
    EXPECT_EQ(snapshot.users().size(), user);
    const auto counted = table.Count();
    EXPECT_EQ(counted.interactions, interactions);
    EXPECT_EQ(counted.users, static_cast<int64_t>(user));
    EXPECT_EQ(counted.products, static_cast<int64_t>(products.size()));
    const auto popular = table.MostPopular(2'000, 1'000);
    EXPECT_EQ(popular.size(), popularity.size());
    for (const auto& one : popular) EXPECT_NEAR(one.score, popularity[one.product_id], 1e-6);
  }

 private:
  using Rows = std::map<std::pair<uint32_t, uint64_t>, std::pair<std::string, Kind>>;
  const InteractionTable::Bounds bounds_;
  std::map<std::string, Rows> users_;
};

TEST(InteractionTable, IsWhatAPlainModelSaysForAnyOrderOfEvents) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const InteractionTable::Bounds bounds{.interactions = 12, .impressions = 4, .half_life = 500};
    InteractionTable table(bounds);
    Model model(bounds);
    for (int round = 0; round < 40; ++round) {
      std::vector<std::string> names;
      std::vector<Incoming> batch;
      names.reserve(64);
      for (size_t i = 0; i < 1 + random() % 3; ++i) {
        names.push_back("u" + std::to_string(random() % 5));
        names.push_back("p" + std::to_string(random() % 30));
        // Mostly in order, sometimes late, sometimes again.
        const uint32_t time = static_cast<uint32_t>(round) * 20 +
                              static_cast<uint32_t>(random() % (random() % 4 == 0 ? 1'000 : 30));
        batch.push_back(One(names[names.size() - 2], names.back(), random() % 400, time,
                            static_cast<Kind>(1 + random() % 7)));
      }
      // One at a time, since what a bound drops depends on what came with it in one batch.
      for (const Incoming& one : batch) {
        Tell(table, {one});
        model.Add(one);
      }
      model.Check(table);
      if (HasFailure()) FAIL() << "seed " << seed << ", round " << round;
    }
  }
}

TEST(InteractionTable, ReadersSeeWholeHistoriesWhileOneThreadWrites) {
  InteractionTable table({.interactions = 50, .impressions = 10});
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      while (!done) {
        const History history = table.Find("u1");
        for (uint32_t i = 1; i < history.size(); ++i) {
          if (!history[i - 1].Before(history[i])) ADD_FAILURE() << "out of order";
        }
        for (const auto& popular : table.MostPopular(10'000, 5)) EXPECT_GT(popular.score, 0);
        const auto snapshot = table.Copy();
        // A batch is one event of each of 8 users: they are all as far as each other.
        for (const auto& user : snapshot.users())
          EXPECT_EQ(user.history.size(), snapshot.users()[0].history.size());
      }
    });
  }
  for (uint32_t round = 0; round < 2'000; ++round) {
    std::vector<std::string> names;
    for (int user = 0; user < 8; ++user) names.push_back("u" + std::to_string(user));
    const std::string product = "p" + std::to_string(round / 3);
    std::vector<Incoming> batch;
    for (const std::string& name : names) {
      // Every tenth comes late, so that histories are rewritten too.
      batch.push_back(One(name, product, round, round % 10 == 9 ? round - 5 : round));
    }
    Tell(table, batch);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace starling::features
