#include "services/catalog/catalog_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/host/service_test.h"

namespace starling::catalog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::Product Make(const std::string& id, const std::string& title) {
  v1::Product product;
  product.set_product_id(id);
  product.set_title(title);
  return product;
}

class CatalogServiceTest : public host::ServiceTest<CatalogService> {
 protected:
  StatusOr<v1::Product> Put(v1::Product product) {
    v1::PutProductRequest request;
    *request.mutable_product() = std::move(product);
    return Block(service_->PutProduct(context_, request));
  }
  StatusOr<v1::Product> Get(const std::string& id) {
    v1::GetProductRequest request;
    request.set_product_id(id);
    return Block(service_->GetProduct(context_, request));
  }
  StatusOr<v1::Product> Update(v1::Product product, const std::vector<std::string>& fields) {
    v1::UpdateProductRequest request;
    *request.mutable_product() = std::move(product);
    for (const std::string& field : fields) request.mutable_update_mask()->add_paths(field);
    return Block(service_->UpdateProduct(context_, request));
  }
  Status Delete(const std::string& id, const std::string& etag = "") {
    v1::DeleteProductRequest request;
    request.set_product_id(id);
    request.set_etag(etag);
    return Block(service_->DeleteProduct(context_, request)).status();
  }
};

TEST_F(CatalogServiceTest, ManyProductsCanBeReadInPart) {
  v1::Product bread = Make("p", "Bread");
  bread.set_description("Baked here");
  bread.add_categories("bakery");
  bread.mutable_price()->set_currency_code("EUR");
  bread.mutable_price()->set_units(2);
  (*bread.mutable_attributes())["size"] = "500 g";
  bread = *Put(bread);
  const auto read = [&](std::vector<std::string> fields) {
    v1::BatchGetProductsRequest request;
    request.add_product_ids("p");
    for (const std::string& field : fields) request.mutable_read_mask()->add_paths(field);
    return Block(service_->BatchGetProducts(context_, request));
  };
  EXPECT_EQ(read({})->products(0).SerializeAsString(), bread.SerializeAsString());
  EXPECT_EQ(read({"*"})->products(0).SerializeAsString(), bread.SerializeAsString());
  // Each field alone, as reflection has it.
  const auto* const type = v1::Product::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    v1::Product expected = bread;
    for (int other = 0; other < type->field_count(); ++other) {
      if (other != i && type->field(other)->name() != "product_id")
        expected.GetReflection()->ClearField(&expected, type->field(other));
    }
    EXPECT_EQ(read({type->field(i)->name()})->products(0).SerializeAsString(),
              expected.SerializeAsString())
        << type->field(i)->name();
  }
  const Status unknown = read({"titel"}).status();
  ASSERT_EQ(FieldViolations(unknown).size(), 1u) << unknown;
  EXPECT_EQ(FieldViolations(unknown)[0].field, "read_mask");
  EXPECT_THAT(FieldViolations(unknown)[0].description, HasSubstr("did you mean 'title'"));
}

TEST_F(CatalogServiceTest, AReplacedProductKeepsWhenItWasAdded) {
  const auto first = Put(Make("p", "Bread"));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->create_time().seconds(), first->update_time().seconds());
  environment_.clock().Advance(std::chrono::hours(1));
  const auto second = Put(Make("p", "Rye bread"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->create_time().seconds(), first->create_time().seconds());
  EXPECT_EQ(second->update_time().seconds(), first->update_time().seconds() + 3600);
  EXPECT_NE(second->etag(), first->etag());
}

TEST_F(CatalogServiceTest, APutThatSaysNothingNewChangesNothing) {
  const auto first = Put(Make("p", "Bread"));
  environment_.clock().Advance(std::chrono::hours(1));
  const auto second = Put(Make("p", "Bread"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->SerializeAsString(), first->SerializeAsString());
}

TEST_F(CatalogServiceTest, AStaleEtagChangesNothing) {
  const std::string stale = Put(Make("p", "one"))->etag();
  ASSERT_TRUE(Put(Make("p", "two")).ok());
  v1::Product late = Make("p", "three");
  late.set_etag(stale);
  for (const Status& status :
       {Put(late).status(), Update(late, {"title"}).status(), Delete("p", stale)}) {
    EXPECT_EQ(Reason(status), reason::kEtagMismatch) << status;
  }
  EXPECT_EQ(Get("p")->title(), "two");
}

TEST_F(CatalogServiceTest, AnEtagOfAProductThatDoesNotExistIsStale) {
  v1::Product gone = Make("p", "one");
  gone.set_etag("7");
  EXPECT_EQ(Reason(Put(gone).status()), reason::kEtagMismatch);
}

TEST_F(CatalogServiceTest, AnUpdateChangesTheNamedFieldsAndNoOther) {
  v1::Product product = Make("p", "Bread");
  product.set_brand("Baker");
  product.add_categories("bakery");
  ASSERT_TRUE(Put(product).ok());
  v1::Product change = Make("p", "ignored");
  change.set_brand("Miller");
  const auto updated = Update(change, {"brand", "categories"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->title(), "Bread");
  EXPECT_EQ(updated->brand(), "Miller");
  EXPECT_EQ(updated->categories_size(), 0);
}

TEST_F(CatalogServiceTest, AnUpdateNamesTheFieldThatThereIsNot) {
  ASSERT_TRUE(Put(Make("p", "Bread")).ok());
  const Status status = Update(Make("p", "x"), {"titel"}).status();
  ASSERT_EQ(FieldViolations(status).size(), 1u) << status;
  EXPECT_EQ(FieldViolations(status)[0].field, "update_mask");
  EXPECT_THAT(FieldViolations(status)[0].description, HasSubstr("did you mean 'title'"));
  EXPECT_EQ(FieldViolations(Update(Make("p", "x"), {}).status())[0].field, "update_mask");
  EXPECT_EQ(FieldViolations(Update(Make("p", ""), {"title"}).status())[0].field, "title");
}

TEST_F(CatalogServiceTest, ABatchIsTakenWholeOrNotAtAll) {
  const std::string stale = Put(Make("b", "one"))->etag();
  ASSERT_TRUE(Put(Make("b", "two")).ok());
  v1::BatchUpsertProductsRequest batch;
  *batch.add_products() = Make("a", "new");
  *batch.add_products() = Make("b", "late");
  batch.mutable_products(1)->set_etag(stale);
  EXPECT_EQ(Reason(Block(service_->BatchUpsertProducts(context_, batch)).status()),
            reason::kEtagMismatch);
  EXPECT_EQ(Get("a").status().code(), StatusCode::kNotFound);

  batch.mutable_products(1)->clear_etag();
  *batch.add_products() = Make("a", "twice");
  batch.add_products();
  const Status wrong = Block(service_->BatchUpsertProducts(context_, batch)).status();
  std::vector<std::string> fields;
  for (const FieldViolation& violation : FieldViolations(wrong)) fields.push_back(violation.field);
  EXPECT_THAT(fields,
              ElementsAre("products[2].product_id", "products[3].product_id", "products[3].title"));
}

TEST_F(CatalogServiceTest, EveryChangeIsToldOnceInOrderAndSurvivesTheProcess) {
  ASSERT_TRUE(Put(Make("a", "A")).ok());
  ASSERT_TRUE(Put(Make("b", "B")).ok());
  ASSERT_TRUE(Put(Make("b", "B")).ok());  // says nothing new: no event
  ASSERT_TRUE(Delete("a").ok());
  const std::string before = Get("b")->SerializeAsString();
  Close();
  Open();
  EXPECT_EQ(Get("b")->SerializeAsString(), before);
  EXPECT_EQ(Get("a").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(Put(Make("c", "C")).ok());
  Close();

  const auto events = environment_.events().Read("catalog", 1, 100);
  ASSERT_TRUE(events.ok()) << events.status();
  std::vector<std::string> told;
  int64_t sequence = 0;
  for (const messaging::Delivered& delivered : *events) {
    v1::ProductChanged changed;
    ASSERT_TRUE(changed.ParseFromString(delivered.event.data));
    EXPECT_EQ(changed.sequence(), ++sequence);
    EXPECT_EQ(delivered.event.partitionkey, changed.product().product_id());
    told.push_back(delivered.event.type + " " + changed.product().product_id());
  }
  EXPECT_THAT(
      told,
      ElementsAre("starling.catalog.product.put.v1 a", "starling.catalog.product.put.v1 b",
                  "starling.catalog.product.deleted.v1 a", "starling.catalog.product.put.v1 c"));
}

TEST_F(CatalogServiceTest, APageGoesOnAfterItsLastProductWhateverHappenedToIt) {
  for (const char* id : {"a", "b", "d", "e"}) ASSERT_TRUE(Put(Make(id, "T")).ok());
  v1::ListProductsRequest list;
  list.set_page_size(2);
  const auto first = Block(service_->ListProducts(context_, list));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->products(1).product_id(), "b");
  ASSERT_TRUE(Delete("b").ok());
  ASSERT_TRUE(Put(Make("c", "T")).ok());
  list.set_page_token(first->next_page_token());
  const auto second = Block(service_->ListProducts(context_, list));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->products(0).product_id(), "c");
  EXPECT_EQ(second->products(1).product_id(), "d");
}

TEST_F(CatalogServiceTest, EachRuleOfAProductIsNamed) {
  struct Row {
    const char* field;
    std::function<void(v1::Product&)> spoil;
  };
  const Row rows[] = {
      {"product_id", [](v1::Product& p) { p.set_product_id(std::string(129, 'x')); }},
      {"product_id", [](v1::Product& p) { p.set_product_id("a\nb"); }},
      {"title", [](v1::Product& p) { p.set_title(""); }},
      {"title", [](v1::Product& p) { p.set_title(std::string(501, 'x')); }},
      {"description", [](v1::Product& p) { p.set_description(std::string(20'001, 'x')); }},
      {"brand", [](v1::Product& p) { p.set_brand(std::string(201, 'x')); }},
      {"categories[1]",
       [](v1::Product& p) {
         p.add_categories("a");
         p.add_categories("");
       }},
      {"categories",
       [](v1::Product& p) {
         for (int i = 0; i < 17; ++i) p.add_categories("c");
       }},
      {"price.currency_code", [](v1::Product& p) { p.mutable_price()->set_currency_code("eur"); }},
      {"price.units",
       [](v1::Product& p) {
         p.mutable_price()->set_currency_code("EUR");
         p.mutable_price()->set_units(-1);
       }},
      {"price.nanos",
       [](v1::Product& p) {
         p.mutable_price()->set_currency_code("EUR");
         p.mutable_price()->set_nanos(1'000'000'000);
       }},
      {"availability",
       [](v1::Product& p) { p.set_availability(static_cast<v1::Availability>(9)); }},
      {"attributes", [](v1::Product& p) { (*p.mutable_attributes())[""] = "x"; }},
      {"attributes.colour",
       [](v1::Product& p) { (*p.mutable_attributes())["colour"] = std::string(2'001, 'x'); }},
  };
  for (const Row& row : rows) {
    v1::Product product = Make("p", "T");
    row.spoil(product);
    const Status status = Put(product).status();
    ASSERT_EQ(FieldViolations(status).size(), 1u) << row.field << ": " << status;
    EXPECT_EQ(FieldViolations(status)[0].field, row.field);
  }
  // The limits count characters, not bytes.
  std::string umlauts;
  for (int i = 0; i < 500; ++i) umlauts += "ü";
  EXPECT_TRUE(Put(Make("p", umlauts)).ok());
}

}  // namespace
}  // namespace starling::catalog
