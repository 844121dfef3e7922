#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "services/features/features_service_fixture.h"
#include "services/features/user_events.h"

namespace starling::features {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::NanSensitiveDoubleEq;

TEST_F(FeaturesServiceTest, CountsWhatUsersDidAndWithWhichProducts) {
  Tell({Event("e1", "ada", "milk", "purchase", Ago(kDays * 2), 1.5),
        Event("e2", "ada", "milk", "view", Ago(kDays / 2)),
        Event("e3", "ada", "tea", "purchase", Ago(kDays * 40), 4.5),
        Event("e4", "bob", "milk", "purchase", Ago(kDays * 3), 2.5)});
  EXPECT_THAT(Read({"user.purchases_7d", "user.purchases_365d", "user.views_1d", "user.mean_price",
                    "user.distinct_products", "user.days_since_purchase"},
                   "ada"),
              ElementsAre(1, 2, 1, 3, 2, 2));
  EXPECT_THAT(Read({"product.purchases_7d", "product.distinct_users_7d", "product.mean_price",
                    "product.days_since_event"},
                   "", "milk"),
              ElementsAre(2, 2, 2, 0.5));
  EXPECT_THAT(Read({"user.purchases", "product.purchases"}, "", "milk"),
              ElementsAre(NanSensitiveDoubleEq(std::nan("")), 2))
      << "a user's feature has no value for a product";
  EXPECT_THAT(Read({"user.purchases"}, "nobody"), ElementsAre(0));
  EXPECT_THAT(Read({"product.purchases"}, "", "nothing"), ElementsAre(0));
  EXPECT_THAT(Read({"user.purchases", "user.views"}, "ada", "", Ago(kDays)), ElementsAre(2, 0))
      << "as it was yesterday";
}

TEST_F(FeaturesServiceTest, GivesARowForEachUserAndThenEachProductInTheOrderAskedFor) {
  Tell({Event("e1", "ada", "milk", "view", Ago(kDays)),
        Event("e2", "bob", "tea", "view", Ago(kDays))});
  v1::ReadFeaturesRequest request;
  request.add_features("user.views");
  request.add_features("product.views");
  for (const char* user : {"bob", "eve", "ada", "bob"}) request.add_user_ids(user);
  for (const char* product : {"tea", "none", "milk", "tea"}) request.add_product_ids(product);
  const auto response = Block(service_->ReadFeatures(context_, request));
  ASSERT_TRUE(response.ok()) << response.status();
  std::vector<std::string> rows;
  for (const auto& row : response->rows())
    rows.push_back(fmt::format("{} {} {}", row.entity_id(), row.values(0), row.values(1)));
  EXPECT_THAT(rows, ElementsAre("bob 1 nan", "eve 0 nan", "ada 1 nan", "bob 1 nan", "tea nan 1",
                                "none nan 0", "milk nan 1", "tea nan 1"));
}

TEST_F(FeaturesServiceTest, AnEventThatComesAgainCountsOnceEvenWithAnotherTime) {
  const UserEvent event = Event("e1", "ada", "milk", "purchase", Ago(kDays));
  UserEvent later = event;  // sent again without a time: ingestion gives it that of the second try
  later.mutable_occurred_at()->set_seconds(Ago(kDays / 2));
  Tell({event, event, later});
  Tell({event, later});
  EXPECT_EQ(Statistics().interactions(), 1);
  EXPECT_THAT(Read({"user.purchases"}, "ada"), ElementsAre(1));
  Close();
  Open();
  Tell({event, later});
  EXPECT_EQ(Statistics().interactions(), 1);
}

TEST_F(FeaturesServiceTest, LeavesOutWhatHasNoUserOrNoProductAndEventsOfOtherTypes) {
  Tell({Event("e1", "", "milk", "view", 1), Event("e2", "ada", "", "custom", 1),
        Event("e3", "ada", "milk", "view", 1)});
  messaging::Event other{.id = "x", .source = "/x", .type = "starling.other.v1", .data = "\xff"};
  ASSERT_TRUE(Block(environment_.events().Append("user-events", other)).ok());
  Tell({Event("e4", "ada", "milk", "view", 2)});
  EXPECT_EQ(Statistics().interactions(), 2);
}

TEST_F(FeaturesServiceTest, AnEventThatCannotBeReadIsSetAsideAndKeepsNobodyBack) {
  messaging::Event poison{
      .id = "poison", .source = "/x", .type = "starling.user.event.v1", .data = "\xff\xff"};
  ASSERT_TRUE(Block(environment_.events().Append("user-events", poison)).ok());
  Tell({Event("e1", "ada", "milk", "view", 1)});
  EXPECT_EQ(Statistics().interactions(), 1);
  const auto dead = environment_.events().Read("user-events.dead-letter", 1, 10);
  ASSERT_TRUE(dead.ok()) << dead.status();
  EXPECT_EQ(dead->front().event.id, "poison");
}

TEST_F(FeaturesServiceTest, AnEventThatNoInteractionCanBeIsRefusedNamingTheFieldAndTheValue) {
  const auto event = [](const std::function<void(UserEvent&)>& change) {
    UserEvent event = Event("e1", "ada", "milk", "purchase", 1, 2);
    change(event);
    return event;
  };
  const std::pair<UserEvent, std::string> cases[] = {
      {event([](UserEvent& e) { e.set_price(-1); }), "price: -1 is below 0"},
      {event([](UserEvent& e) { e.set_quantity(std::nan("")); }), "quantity: nan is"},
      {event([](UserEvent& e) { e.mutable_occurred_at()->set_seconds(-5); }), "occurred_at: -5 s"},
      {event([](UserEvent& e) { e.mutable_occurred_at()->set_seconds(4'294'967'296); }),
       "occurred_at: 4294967296 s"},
      {event([](UserEvent& e) { e.set_user_id(std::string(1'025, 'u')); }),
       "user_id: has 1025 bytes"},
      {event([](UserEvent& e) { e.set_product_id(std::string(1'025, 'p')); }),
       "product_id: has 1025 bytes"},
  };
  for (const auto& [wrong, message] : cases) {
    const messaging::Delivered delivered{
        .event = {.id = "e1", .type = "starling.user.event.v1", .data = wrong.SerializeAsString()}};
    const Status status = UserEvents::From(std::span(&delivered, 1)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr("event 'e1': " + message));
  }
}

TEST_F(FeaturesServiceTest, EverythingIsThereAgainAfterARestart) {
  std::vector<UserEvent> events;
  events.reserve(900);
  for (int i = 0; i < 900; ++i) {
    events.push_back(Event("e" + std::to_string(i), "u" + std::to_string(i % 7),
                           "p" + std::to_string(i % 50), i % 3 == 0 ? "purchase" : "view",
                           Ago(kDays * (i % 200)), i % 10));
  }
  Tell(events);
  environment_.clock().Advance(std::chrono::seconds(1));
  const auto statistics = Statistics().SerializeAsString();
  const auto popular = Popular();
  const auto exported = Export();
  const auto features = Read({"user.purchases_30d", "user.distinct_products"}, "u3");
  Close();
  Open();
  EXPECT_EQ(Statistics().SerializeAsString(), statistics);
  EXPECT_EQ(Read({"user.purchases_30d", "user.distinct_products"}, "u3"), features);
  const auto popular_again = Popular();
  ASSERT_EQ(popular_again.size(), popular.size());
  for (size_t i = 0; i < popular.size(); ++i)
    EXPECT_NEAR(popular_again[i].second, popular[i].second, 1e-9);
  const auto exported_again = Export();
  ASSERT_EQ(exported_again.users.size(), exported.users.size());
  for (size_t i = 0; i < exported.users.size(); ++i) {
    EXPECT_EQ(exported_again.users[i].SerializeAsString(), exported.users[i].SerializeAsString());
  }
}

TEST_F(FeaturesServiceTest, KeepsAUsersNewestOnTheDiskTooAndTheBoundMayBeLowered) {
  Close();
  ASSERT_TRUE(environment_
                  .Configure<FeaturesConfig>({{"features.max_interactions_per_user", "20"},
                                              {"features.max_impressions_per_user", "5"}})
                  .ok());
  Open();
  std::vector<UserEvent> events;
  events.reserve(40);
  for (int i = 0; i < 40; ++i) {
    events.push_back(Event("e" + std::to_string(i), "ada", "p" + std::to_string(i),
                           i % 2 == 0 ? "impression" : "view", 1'000 + i));
  }
  Tell(events);
  EXPECT_EQ(Statistics().interactions(), 20);
  EXPECT_EQ(Statistics().oldest().seconds(), 1'011);
  EXPECT_THAT(Read({"user.impressions", "user.views"}, "ada"), ElementsAre(5, 15));
  Close();
  ASSERT_TRUE(environment_
                  .Configure<FeaturesConfig>({{"features.max_interactions_per_user", "10"},
                                              {"features.max_impressions_per_user", "0"}})
                  .ok());
  Open();
  EXPECT_EQ(Statistics().interactions(), 10);
  EXPECT_THAT(Read({"user.impressions", "user.views"}, "ada"), ElementsAre(0, 10));
  Close();
  ASSERT_TRUE(environment_
                  .Configure<FeaturesConfig>({{"features.max_interactions_per_user", "1000"},
                                              {"features.max_impressions_per_user", "1000"}})
                  .ok());
  Open();
  EXPECT_EQ(Statistics().interactions(), 10) << "what was dropped is gone from the disk";
}

TEST_F(FeaturesServiceTest, ServesWhatExportedInteractionsGiveAtAnyTime) {
  std::vector<UserEvent> events;
  const char* types[] = {"view", "click", "cart", "purchase", "rate", "impression", "custom"};
  for (int i = 0; i < 800; ++i) {
    UserEvent event = Event("e" + std::to_string(i), "u" + std::to_string(i % 9),
                            "p" + std::to_string(i * 7 % 23), types[i % 7],
                            Ago(std::chrono::hours(7 * i % 9'000)), i % 5 * 1.25);
    event.set_quantity(1 + i % 3);
    events.push_back(event);
  }
  Tell(events);
  std::vector<catalog::v1::Product> catalogue;
  catalogue.reserve(20);
  for (int i = 0; i < 20; ++i) {  // the last three are not in it, and one in four has no price
    catalogue.push_back(MakeProduct("p" + std::to_string(i), i % 3 == 0 ? "food/tea" : "food/milk",
                                    i % 2 == 0 ? "Hill" : "", i % 4 * 1.5));
  }
  TellOfProducts(catalogue);
  // From what a trainer is given, and from nothing else.
  ProductTable table;
  for (const catalog::v1::Product& product : catalogue) table.Put(product);
  table.Finish();
  std::map<std::string, std::vector<Interaction>> users, products;
  std::map<std::string, uint32_t> numbers;
  const auto number = [&](const std::string& id) {
    return numbers.emplace(id, static_cast<uint32_t>(numbers.size())).first->second;
  };
  const Exported exported = Export();
  for (const auto& user : exported.users) {
    for (int i = 0; i < user.product_ids_size(); ++i) {
      Interaction interaction{user.occurred_at(i), number(user.product_ids(i)),
                              static_cast<Kind>(user.types(i)), user.quantities(i), user.prices(i)};
      users[user.user_id()].push_back(interaction);
      interaction.other = number(user.user_id());
      products[user.product_ids(i)].push_back(interaction);
    }
  }
  ASSERT_EQ(users.size(), 9u);
  ASSERT_EQ(products.size(), 23u);
  std::vector<ProductTraits> traits(numbers.size());
  for (const auto& [id, its_number] : numbers)
    traits[its_number] = table.Find(ProductTable::KeyOf(id));
  for (const Duration ago : {Duration(0), Duration(kDays * 20), Duration(kDays * 200)}) {
    const int64_t at = Ago(ago);
    for (const FeatureDefinition& feature : FeatureDefinitions()) {
      const bool of_user = feature.entity == FeatureDefinition::kUser;
      for (const auto& [id, interactions] : of_user ? users : products) {
        Summary summary = Summarize(interactions, at);
        if (of_user) {
          summary.SetAffinity(AffinityOf(interactions, at, table, traits));
        } else {
          summary.SetProduct(table.Find(ProductTable::KeyOf(id)));
        }
        const double trained = feature.value(summary);
        const auto served = Read({feature.name}, of_user ? id : "", of_user ? "" : id, at);
        ASSERT_EQ(served.size(), 1u);
        if (std::isnan(trained)) {
          EXPECT_TRUE(std::isnan(served[0])) << feature.name << " of " << id;
        } else {
          EXPECT_NEAR(served[0], trained, 1e-9 * std::max(1.0, trained))
              << feature.name << " of " << id;
        }
      }
    }
  }
}

TEST_F(FeaturesServiceTest, BadInputIsRefusedNamingTheFieldTheValueAndTheRemedy) {
  const auto request = [](const std::function<void(v1::ReadFeaturesRequest&)>& change) {
    v1::ReadFeaturesRequest request;
    request.add_features("user.views");
    request.add_user_ids("ada");
    change(request);
    return request;
  };
  struct Case {
    v1::ReadFeaturesRequest request;
    std::string field, description;
  };
  const Case cases[] = {
      {request([](auto& r) { r.set_features(0, "user.purchase_30d"); }), "features[0]",
       "'user.purchase_30d' is no feature (did you mean 'user.purchases_30d'?)"},
      {request([](auto& r) { r.add_features("qqqqqqqqqqqqqqqq"); }), "features[1]",
       "'qqqqqqqqqqqqqqqq' is no feature; GET /v1/features lists them"},
      {request([](auto& r) { r.add_features(""); }), "features[1]", "'' is no feature"},
      {request([](auto& r) { r.clear_features(); }), "features", "names no feature"},
      {request([](auto& r) {
         for (int i = 0; i < 64; ++i) r.add_features("user.views");
       }),
       "features", "has 65 names; at most 64"},
      {request([](auto& r) { r.add_user_ids(""); }), "user_ids[1]", "is empty"},
      {request([](auto& r) { r.add_product_ids(""); }), "product_ids[0]", "is empty"},
      {request([](auto& r) {
         for (int i = 0; i < 1'000; ++i) r.add_product_ids("p");
       }),
       "product_ids", "1 users and 1000 products are asked for; at most 1000"},
      {request([](auto& r) { r.mutable_at()->set_seconds(-1); }), "at", "-1 s since 1970"},
      {request([](auto& r) { r.mutable_at()->set_seconds(253'402'300'800); }), "at", "9999"},
  };
  for (const Case& c : cases) {
    const Status status = Block(service_->ReadFeatures(context_, c.request)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << c.field << ": " << status;
    const auto violations = FieldViolations(status);
    ASSERT_EQ(violations.size(), 1u) << status;
    EXPECT_EQ(violations[0].field, c.field);
    EXPECT_THAT(violations[0].description, HasSubstr(c.description));
  }
  for (const int limit : {-1, 1'001}) {
    v1::ListPopularRequest popular;
    popular.set_limit(limit);
    const Status status = Block(service_->ListPopular(context_, popular)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(FieldViolations(status)[0].field, "limit");
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(limit)));
  }
}

TEST_F(FeaturesServiceTest, PopularityIsWeightedByKindAndHalvesInAHalfLife) {
  Tell({Event("e1", "ada", "old", "purchase", Ago(kDays * 30)),
        Event("e2", "ada", "new", "view", Ago(Duration(0))),
        Event("e3", "bob", "cart", "cart", Ago(kDays * 60)),
        Event("e4", "bob", "click", "click", Ago(Duration(0))),
        Event("e5", "bob", "shown", "impression", Ago(Duration(0))),
        Event("e6", "bob", "rated", "rate", Ago(Duration(0)))});
  EXPECT_THAT(Popular(), IsEmpty()) << "the answer is at most a second old, not newer";
  environment_.clock().Advance(std::chrono::seconds(1));
  const auto popular = Popular();
  ASSERT_EQ(popular.size(), 4u);
  const std::pair<std::string, double> expected[] = {
      {"old", 0.5}, {"click", 0.2}, {"cart", 0.125}, {"new", 0.1}};
  for (size_t i = 0; i < popular.size(); ++i) {
    EXPECT_EQ(popular[i].first, expected[i].first);
    EXPECT_NEAR(popular[i].second, expected[i].second, 1e-6);
    EXPECT_NEAR(Read({"product.popularity"}, "", popular[i].first)[0], popular[i].second, 1e-9);
  }
  EXPECT_EQ(Popular(2).size(), 2u);
  environment_.clock().Advance(kDays * 15);
  EXPECT_NEAR(Popular()[0].second, 0.5 * std::exp2(-0.5), 1e-6);
}

TEST_F(FeaturesServiceTest, LastYearsDataHasPopularProductsToo) {
  Tell({Event("e1", "ada", "milk", "purchase", Ago(kDays * 400)),
        Event("e2", "ada", "tea", "purchase", Ago(kDays * 430))});
  environment_.clock().Advance(std::chrono::seconds(1));
  EXPECT_THAT(Popular(), ElementsAre(std::pair("milk", 1.0), std::pair("tea", 0.5)));
}

TEST_F(FeaturesServiceTest, ListsPopularProductsBestFirstAndTiesById) {
  Tell({Event("e1", "ada", "b", "view", Ago(kDays)), Event("e2", "ada", "c", "view", Ago(kDays)),
        Event("e3", "ada", "a", "view", Ago(kDays))});
  environment_.clock().Advance(std::chrono::seconds(1));
  std::vector<std::string> ids;
  for (const auto& [id, score] : Popular()) ids.push_back(id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

TEST_F(FeaturesServiceTest, AnExportIsOneStateHoweverMuchIsWrittenMeanwhile) {
  std::vector<UserEvent> events;
  events.reserve(1'000);
  for (int i = 0; i < 1'000; ++i) {
    events.push_back(Event("e" + std::to_string(i), "u" + std::to_string(100 + i % 100),
                           "p" + std::to_string(i % 30), "view", 10'000 + i));
  }
  Tell(events);
  // Late ones and new ones, of known and unknown users and products.
  int written = 0;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done) {
      const std::string n = std::to_string(written++);
      Append({Event("late" + n, "u1" + n, "p1", "purchase", 1),
              Event("more" + n, "u150", "fresh" + n, "view", 50'000),
              Event("other" + n, "a" + n, "p2", "view", 20'000)});
    }
  });
  for (int i = 0; i < 20; ++i) {
    const Exported now = Export();
    // Each batch of the writer is whole or not there, and each user's list is in order.
    std::map<std::string, int> kinds;
    std::string last_user;
    for (const auto& user : now.users) {
      EXPECT_LT(last_user, user.user_id());
      last_user = user.user_id();
      EXPECT_EQ(user.product_ids_size(), user.types_size());
      EXPECT_EQ(user.product_ids_size(), user.occurred_at_size());
      EXPECT_EQ(user.product_ids_size(), user.quantities_size());
      EXPECT_EQ(user.product_ids_size(), user.prices_size());
      EXPECT_TRUE(std::is_sorted(user.occurred_at().begin(), user.occurred_at().end()));
      for (const int64_t at : user.occurred_at()) {
        if (at == 1) ++kinds["late"];
        if (at == 50'000) ++kinds["more"];
        if (at == 20'000) ++kinds["other"];
      }
    }
    EXPECT_EQ(kinds["late"], kinds["more"]);
    EXPECT_EQ(kinds["late"], kinds["other"]);
  }
  done = true;
  writer.join();
}

TEST_F(FeaturesServiceTest, StatisticsSayHowMuchThereIsAndFromWhenToWhen) {
  EXPECT_EQ(Statistics().interactions(), 0);
  EXPECT_FALSE(Statistics().has_oldest());
  Tell({Event("e1", "ada", "milk", "view", 300), Event("e2", "bob", "milk", "view", 100),
        Event("e3", "bob", "tea", "view", 200)});
  const v1::Statistics statistics = Statistics();
  EXPECT_EQ(statistics.interactions(), 3);
  EXPECT_EQ(statistics.users(), 2);
  EXPECT_EQ(statistics.products(), 2);
  EXPECT_EQ(statistics.oldest().seconds(), 100);
  EXPECT_EQ(statistics.newest().seconds(), 300);
}

TEST_F(FeaturesServiceTest, ListsEveryFeatureInTheOrderOfTheNames) {
  const auto list = Block(service_->ListFeatures(context_, {}));
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(static_cast<size_t>(list->features_size()), FeatureDefinitions().size());
  for (int i = 0; i < list->features_size(); ++i) {
    const auto& feature = list->features(i);
    EXPECT_EQ(feature.entity(),
              feature.name().starts_with("user.") ? v1::ENTITY_USER : v1::ENTITY_PRODUCT);
    if (i > 0) {
      EXPECT_LT(list->features(i - 1).name(), feature.name());
    }
  }
}

TEST_F(FeaturesServiceTest, ADamagedEntryOnTheDiskIsNamedAndNoCallIsAnswered) {
  Close();
  {
    auto store = environment_.get().OpenStore("features", "interactions");
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(Block((*store)->Put("nonsense", "value")).ok());
  }
  auto made = FeaturesService::Create(environment_.get());
  ASSERT_TRUE(made.ok()) << made.status();
  const Status started = (*made)->Start();
  EXPECT_EQ(started.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(started.message()), HasSubstr("6e6f6e73656e7365"));
  EXPECT_EQ((*made)->Health(), started);
  EXPECT_EQ(Block((*made)->GetStatistics(context_, {})).status(), started);
  (*made)->Stop();
}

}  // namespace
}  // namespace starling::features
