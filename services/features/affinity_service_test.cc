// What the service says of what users like, and how it follows the catalogue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "contracts/catalog/v1/catalog.service.h"
#include "services/features/features_service_fixture.h"

namespace starling::features {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::NanSensitiveDoubleEq;

constexpr char kDeleted[] = "starling.catalog.product.deleted.v1";

// Has a range, and is away for the first calls.
class FakeCatalog final : public catalog::v1::Catalog {
 public:
  Task<Status> ExportProducts(CallContext&, const catalog::v1::ExportProductsRequest&,
                              rpc::Stream<catalog::v1::Product>& out) override {
    if (calls++ < away_for) co_return Unavailable("away");
    for (const catalog::v1::Product& product : products) {
      CO_RETURN_IF_ERROR(co_await out.Write(product));
    }
    co_return OkStatus();
  }
  std::vector<catalog::v1::Product> products;
  int away_for = 0;
  std::atomic<int> calls{0};

#define STARLING_NOT_ASKED(Method, Answer)                                                    \
  Task<StatusOr<Answer>> Method(CallContext&, const catalog::v1::Method##Request&) override { \
    co_return Unimplemented("the features service does not ask this");                        \
  }
  STARLING_NOT_ASKED(CreateProduct, catalog::v1::Product)
  STARLING_NOT_ASKED(PutProduct, catalog::v1::Product)
  STARLING_NOT_ASKED(UpdateProduct, catalog::v1::Product)
  STARLING_NOT_ASKED(DeleteProduct, google::protobuf::Empty)
  STARLING_NOT_ASKED(GetProduct, catalog::v1::Product)
  STARLING_NOT_ASKED(ListProducts, catalog::v1::ListProductsResponse)
  STARLING_NOT_ASKED(BatchGetProducts, catalog::v1::BatchGetProductsResponse)
  STARLING_NOT_ASKED(BatchUpsertProducts, catalog::v1::BatchUpsertProductsResponse)
#undef STARLING_NOT_ASKED
};

class AffinityServiceTest : public FeaturesServiceTest {
 protected:
  v1::ReadAffinitiesResponse Ask(const std::vector<std::string>& users, int limit = 0,
                                 std::optional<int64_t> at = {}) {
    v1::ReadAffinitiesRequest request;
    for (const std::string& user : users) request.add_user_ids(user);
    request.set_limit(limit);
    if (at) request.mutable_at()->set_seconds(*at);
    const auto response = Block(service_->ReadAffinities(context_, request));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : v1::ReadAffinitiesResponse();
  }
  // "food/tea 0.75", in the order of the answer.
  static std::vector<std::string> Categories(const v1::UserAffinity& user) {
    std::vector<std::string> all;
    for (const auto& category : user.categories()) {
      std::string path;
      for (const std::string& name : category.path()) path += (path.empty() ? "" : "/") + name;
      all.push_back(fmt::format("{} {:.4g}", path, category.share()));
    }
    return all;
  }
  static std::vector<std::string> Brands(const v1::UserAffinity& user) {
    std::vector<std::string> all;
    for (const auto& brand : user.brands())
      all.push_back(fmt::format("{} {:.4g}", brand.brand(), brand.share()));
    return all;
  }
  // Ada has 3 of tea and 1 of milk, all today.
  void TellOfAda() {
    Tell({Event("e1", "ada", "green", "purchase", Ago(Duration(0))),
          Event("e2", "ada", "black", "purchase", Ago(Duration(0))),
          Event("e3", "ada", "black", "purchase", Ago(Duration(0))),
          Event("e4", "ada", "whole", "purchase", Ago(Duration(0)))});
  }
  void TellOfRange() {
    TellOfProducts({MakeProduct("green", "food/tea", "Hill", 1.29),
                    MakeProduct("black", "food/tea", "Hill", 4.5),
                    MakeProduct("whole", "food/milk", "Dale", 2)});
  }
};

TEST_F(AffinityServiceTest, SaysWhatUsersLikeByCategoryBrandAndPrice) {
  TellOfAda();
  TellOfRange();
  const auto response = Ask({"nobody", "ada", "ada"});
  ASSERT_EQ(response.users_size(), 3);
  const v1::UserAffinity& ada = response.users(1);
  EXPECT_EQ(ada.user_id(), "ada");
  EXPECT_THAT(Categories(ada), ElementsAre("food 1", "food/tea 0.75", "food/milk 0.25"));
  EXPECT_THAT(Brands(ada), ElementsAre("Hill 0.75", "Dale 0.25"));
  EXPECT_THAT(ada.price_level(), DoubleEq((0.25 + 0.75 + 0.75 + 0.5) / 4));
  EXPECT_THAT(ada.weight(), DoubleEq(4));
  EXPECT_EQ(response.users(2).SerializeAsString(), ada.SerializeAsString());
  const v1::UserAffinity& nobody = response.users(0);
  EXPECT_EQ(nobody.user_id(), "nobody");
  EXPECT_THAT(Categories(nobody), IsEmpty());
  EXPECT_THAT(Brands(nobody), IsEmpty());
  EXPECT_TRUE(std::isnan(nobody.price_level()));
  EXPECT_EQ(nobody.weight(), 0);

  EXPECT_THAT(Read({"user.price_level", "user.categories", "user.category_share_top"}, "ada"),
              ElementsAre(DoubleEq(2.25 / 4), 2, DoubleEq(0.75)));
  EXPECT_THAT(Read({"product.price", "product.price_level"}, "", "green"),
              ElementsAre(DoubleEq(1.29), DoubleEq(0.25)));
  const auto nan = NanSensitiveDoubleEq(std::nan(""));
  EXPECT_THAT(Read({"product.price", "product.price_level", "user.price_level"}, "", "none"),
              ElementsAre(nan, nan, nan));
  EXPECT_THAT(Ask({"ada"}, 0, Ago(kDays)).users(0).weight(), 0) << "as it was yesterday";
}

TEST_F(AffinityServiceTest, GivesTheGreatestOfEachLevelAndTiesByName) {
  TellOfAda();
  TellOfProducts({MakeProduct("green", "food/tea/b", "Hill"),
                  MakeProduct("black", "food/tea/a", "Hill"),
                  MakeProduct("whole", "drinks/milk/b", "Dale")});
  EXPECT_THAT(Categories(Ask({"ada"}, 2).users(0)),
              ElementsAre("food 0.75", "drinks 0.25", "food/tea 0.75", "drinks/milk 0.25",
                          "food/tea/a 0.5", "drinks/milk/b 0.25"));
  EXPECT_THAT(Categories(Ask({"ada"}, 1).users(0)),
              ElementsAre("food 0.75", "food/tea 0.75", "food/tea/a 0.5"));
  EXPECT_THAT(Brands(Ask({"ada"}, 1).users(0)), ElementsAre("Hill 0.75"));
}

TEST_F(AffinityServiceTest, AProductThatChangesOrGoesCountsAsItIsNow) {
  TellOfRange();
  TellOfAda();
  TellOfProducts({MakeProduct("black", "drinks", "Dale", 4.5)});
  EXPECT_THAT(Categories(Ask({"ada"}).users(0)),
              ElementsAre("drinks 0.5", "food 0.5", "food/milk 0.25", "food/tea 0.25"));
  EXPECT_THAT(Brands(Ask({"ada"}).users(0)), ElementsAre("Dale 0.75", "Hill 0.25"));
  EXPECT_THAT(Read({"product.price_level"}, "", "green"), ElementsAre(DoubleEq(0.5)))
      << "it is alone in its category now";
  TellOfProducts({MakeProduct("black", "", "")}, kDeleted);
  EXPECT_THAT(Categories(Ask({"ada"}).users(0)),
              ElementsAre("food 1", "food/milk 0.5", "food/tea 0.5"));
  EXPECT_THAT(Read({"product.price"}, "", "black"),
              ElementsAre(NanSensitiveDoubleEq(std::nan(""))));
  EXPECT_THAT(Ask({"ada"}).users(0).weight(), DoubleEq(4)) << "what was done is not undone";
  // In one batch the last one counts, also when it is what was before.
  const auto green = MakeProduct("green", "food/tea", "Hill", 1.29);
  auto dear = green;
  dear.mutable_price()->set_units(99);
  TellOfProducts({dear, green});
  EXPECT_THAT(Read({"product.price"}, "", "green"), ElementsAre(DoubleEq(1.29)));
  TellOfProducts({green, dear});
  EXPECT_THAT(Read({"product.price"}, "", "green"), ElementsAre(DoubleEq(99.29)));
}

TEST_F(AffinityServiceTest, WhatTheCatalogueSaidIsThereAgainAfterARestart) {
  TellOfRange();
  TellOfAda();
  TellOfProducts({MakeProduct("whole", "food/cream", "Dale", 3)});
  TellOfProducts({MakeProduct("green", "", "")}, kDeleted);
  const std::string before = Ask({"ada"}).SerializeAsString();
  Close();
  Open();  // the group has heard it all: what is known comes from this service's own disk
  EXPECT_EQ(Ask({"ada"}).SerializeAsString(), before);
  EXPECT_THAT(Read({"product.price"}, "", "whole"), ElementsAre(DoubleEq(3)));
  EXPECT_THAT(Read({"product.price"}, "", "green"),
              ElementsAre(NanSensitiveDoubleEq(std::nan(""))));
  SettleProducts();
  TellOfProducts({MakeProduct("whole", "food/cream", "Dale", 5)});
  EXPECT_THAT(Read({"product.price"}, "", "whole"), ElementsAre(DoubleEq(5)));
}

TEST_F(AffinityServiceTest, ReadsTheWholeCatalogueOnceForWhatTheLogNoLongerHas) {
  const auto catalog = std::make_shared<FakeCatalog>();
  for (int i = 0; i < 3'000; ++i)
    catalog->products.push_back(MakeProduct(fmt::format("old{}", i), "food", "", i + 1));
  catalog->products.push_back(MakeProduct("green", "food/tea", "Hill", 7));
  catalog->away_for = 2;
  TellOfRange();  // newer than what the catalogue exports
  Close();
  environment_.registry().AddLocal<catalog::v1::Catalog>(catalog, environment_.telemetry(), nullptr,
                                                         {});
  Open();
  while (std::isnan(Read({"product.price"}, "", "old2999")[0]) || catalog->calls < 3) Statistics();
  EXPECT_EQ(catalog->calls, 3);
  EXPECT_THAT(Read({"product.price"}, "", "old0"), ElementsAre(DoubleEq(1)));
  EXPECT_THAT(Read({"product.price"}, "", "whole"), ElementsAre(DoubleEq(2)));
  SettleProducts();
  TellOfProducts({MakeProduct("old7", "", "")}, kDeleted);
  Close();
  Open();
  SettleProducts();
  TellOfProducts({MakeProduct("green", "food/tea", "Hill", 8)});
  EXPECT_EQ(catalog->calls, 3) << "once is enough";
  EXPECT_THAT(Read({"product.price"}, "", "green"), ElementsAre(DoubleEq(8)));
  EXPECT_THAT(Read({"product.price"}, "", "old2999"), ElementsAre(DoubleEq(3'000)));
  EXPECT_THAT(Read({"product.price"}, "", "old7"), ElementsAre(NanSensitiveDoubleEq(std::nan(""))));
}

TEST_F(AffinityServiceTest, ACatalogueThatStaysAwayHoldsUpNeitherCallsNorTheEnd) {
  Close();
  const auto catalog = std::make_shared<FakeCatalog>();
  catalog->away_for = 1'000'000;
  environment_.registry().AddLocal<catalog::v1::Catalog>(catalog, environment_.telemetry(), nullptr,
                                                         {});
  Open();
  TellOfAda();
  EXPECT_THAT(Ask({"ada"}).users(0).weight(), DoubleEq(4));
  while (catalog->calls < 3) Statistics();
  Close();  // which does not end when something still waits for the catalogue
}

TEST_F(AffinityServiceTest, SaysWhatExportedInteractionsGiveAtAnyTime) {
  std::vector<UserEvent> events;
  const char* types[] = {"view", "click", "cart", "purchase", "rate", "impression", "custom"};
  events.reserve(600);
  for (int i = 0; i < 600; ++i) {
    events.push_back(Event("e" + std::to_string(i), "u" + std::to_string(i % 7),
                           "p" + std::to_string(i * 11 % 31), types[i * 3 / 7 % 7],
                           Ago(std::chrono::hours(11 * i % 9'000))));
  }
  Tell(events);
  std::vector<catalog::v1::Product> catalogue;
  catalogue.reserve(28);
  for (int i = 0; i < 28; ++i) {
    catalogue.push_back(MakeProduct("p" + std::to_string(i), fmt::format("d{}/c{}", i % 2, i % 6),
                                    i % 5 == 0 ? "" : fmt::format("b{}", i % 5), i % 9 * 0.7));
  }
  TellOfProducts(catalogue);

  // From what a trainer is given, and from nothing else.
  ProductTable table;
  for (auto product = catalogue.rbegin(); product != catalogue.rend(); ++product)
    table.Put(*product);
  table.Finish();
  const Exported exported = Export();
  ASSERT_EQ(exported.users.size(), 7u);
  for (const Duration ago : {Duration(0), Duration(kDays * 20), Duration(kDays * 200)}) {
    const int64_t at = Ago(ago);
    for (const v1::UserInteractions& user : exported.users) {
      std::vector<Interaction> interactions;
      std::vector<ProductTraits> traits;
      for (int i = 0; i < user.product_ids_size(); ++i) {
        if (user.occurred_at(i) > at) continue;  // the history is cut there
        interactions.push_back({user.occurred_at(i), static_cast<uint32_t>(traits.size()),
                                static_cast<Kind>(user.types(i)), user.quantities(i),
                                user.prices(i)});
        traits.push_back(table.Find(ProductTable::KeyOf(user.product_ids(i))));
      }
      const Affinity trained = AffinityOf(interactions, at, table, traits);
      const v1::UserAffinity served = Ask({user.user_id()}, 50, at).users(0);
      ASSERT_EQ(static_cast<size_t>(served.categories_size()), trained.categories.size());
      ASSERT_EQ(static_cast<size_t>(served.brands_size()), trained.brands.size());
      ASSERT_GT(served.categories_size(), 0);
      std::map<std::vector<std::string>, double> categories, brands;
      for (const auto& one : served.categories())
        categories[{one.path().begin(), one.path().end()}] = one.share();
      for (const auto& one : served.brands()) brands[{one.brand()}] = one.share();
      for (const auto& [group, share] : trained.categories) {
        const auto path = table.categories().Path(group);
        EXPECT_NEAR(categories.at({path.begin(), path.end()}), share, 1e-12);
      }
      for (const auto& [group, share] : trained.brands)
        EXPECT_NEAR(brands.at({table.brands().Name(group)}), share, 1e-12);
      EXPECT_NEAR(served.price_level(), trained.price_level, 1e-12);
      EXPECT_NEAR(served.weight(), trained.weight, 1e-9);
    }
  }
}

TEST_F(AffinityServiceTest, BadInputIsRefusedNamingTheFieldTheValueAndTheRemedy) {
  const auto request = [](int users, int limit) {
    v1::ReadAffinitiesRequest request;
    for (int i = 0; i < users; ++i) request.add_user_ids("ada");
    request.set_limit(limit);
    return request;
  };
  auto empty = request(1, 0);
  empty.add_user_ids("");
  auto late = request(1, 0);
  late.mutable_at()->set_seconds(253'402'300'800);
  const std::tuple<v1::ReadAffinitiesRequest, std::string, std::string> cases[] = {
      {request(1, -1), "limit", "-1 is outside 0 to 50"},
      {request(1, 51), "limit", "51 is outside 0 to 50"},
      {request(1'001, 1), "user_ids", "has 1001 users; at most 1000"},
      {request(201, 50), "limit", "50 for each of 201 users is too much"},
      {empty, "user_ids[1]", "is empty"},
      {late, "at", "9999"},
  };
  for (const auto& [wrong, field, description] : cases) {
    const Status status = Block(service_->ReadAffinities(context_, wrong)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << ": " << status;
    const auto violations = FieldViolations(status);
    ASSERT_EQ(violations.size(), 1u) << status;
    EXPECT_EQ(violations[0].field, field);
    EXPECT_THAT(violations[0].description, HasSubstr(description));
  }
  EXPECT_EQ(Ask(std::vector<std::string>(1'000, "ada")).users_size(), 1'000);
  EXPECT_EQ(Ask({}).users_size(), 0);
}

TEST_F(AffinityServiceTest, AnEventOfTheCatalogueThatCannotBeReadIsSetAside) {
  for (const std::string& data : {std::string("\xff\xff"), std::string()}) {
    messaging::Event poison{
        .id = NewId(), .source = "/x", .type = "starling.catalog.product.put.v1", .data = data};
    ASSERT_TRUE(Block(environment_.events().Append("catalog", poison)).ok());
  }
  messaging::Event other{
      .id = NewId(), .source = "/x", .type = "starling.other.v1", .data = "\xff"};
  ASSERT_TRUE(Block(environment_.events().Append("catalog", other)).ok());
  TellOfRange();
  EXPECT_THAT(Read({"product.price"}, "", "whole"), ElementsAre(DoubleEq(2)));
  const auto dead = environment_.events().Read("catalog.dead-letter", 1, 10);
  ASSERT_TRUE(dead.ok()) << dead.status();
  EXPECT_EQ(dead->size(), 2u);
}

TEST_F(AffinityServiceTest, ADamagedEntryOnTheDiskIsNamedAndNoCallIsAnswered) {
  Close();
  {
    auto store = environment_.get().OpenStore("features", "products");
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(Block((*store)->Put("pmilk", "\xff\xff")).ok());
  }
  auto made = FeaturesService::Create(environment_.get());
  ASSERT_TRUE(made.ok()) << made.status();
  const Status started = (*made)->Start();
  EXPECT_EQ(started.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(started.message()), HasSubstr("706d696c6b"));
  EXPECT_THAT(std::string(started.message()), HasSubstr("features/products"));
  (*made)->Stop();
}

TEST_F(AffinityServiceTest, ReadersSeeOneStateWhileTheCatalogueChanges) {
  TellOfAda();
  TellOfRange();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) {
      const std::string category = fmt::format("new{}/sub{}", i, i);
      TellOfProducts({MakeProduct("green", category, "Hill", 1),
                      MakeProduct("black", category, "Hill", 2),
                      MakeProduct("whole", category, "Hill", 3)});
    }
    done = true;
  });
  while (!done) {
    const v1::UserAffinity ada = Ask({"ada"}).users(0);
    double widest = 0;
    for (const auto& category : ada.categories())
      widest += category.path_size() == 1 ? category.share() : 0;
    EXPECT_NEAR(widest, 1, 1e-12);
  }
  writer.join();
  EXPECT_THAT(Categories(Ask({"ada"}).users(0)), ElementsAre("new49 1", "new49/sub49 1"));
}

}  // namespace
}  // namespace starling::features
