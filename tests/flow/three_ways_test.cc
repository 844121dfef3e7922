// One suite, three ways: in process, over gRPC and over HTTP/JSON a service does the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/ingestion/v1/ingestion.service.h"
#include "contracts/profile/v1/profile.service.h"
#include "platform/rpc/grpc_channel.h"
#include "tests/flow/json_channel.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::RunningProcess;

enum class Way { kInProcess, kGrpc, kHttpJson };

// gRPC hands work between its threads under locks of a library that was built without
// ThreadSanitizer, which then sees races everywhere: there, that way is left out.
#ifdef __SANITIZE_THREAD__
const Way kWays[] = {Way::kInProcess, Way::kHttpJson};
constexpr char kGrpcEnabled[] = "false";
#else
const Way kWays[] = {Way::kInProcess, Way::kGrpc, Way::kHttpJson};
constexpr char kGrpcEnabled[] = "true";
#endif

class ThreeWays : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override { ASSERT_TRUE(running_.status().ok()) << running_.status(); }

  template <typename Service>
  std::shared_ptr<Service> Get() {
    switch (GetParam()) {
      case Way::kInProcess:
        return running_.process().services().Get<Service>();
      case Way::kGrpc:
        return Service::Connect(rpc::MakeGrpcChannel(
            {.target = "127.0.0.1:" + std::to_string(running_.process().grpc_port()),
             .cluster_key = "test-cluster"}));
      case Way::kHttpJson:
        return Service::Connect(testing_support::MakeJsonChannel(running_.client(), running_.url(),
                                                                 running_.admin_key()));
    }
    return nullptr;
  }

  rpc::CallContext Admin() {
    return rpc::CallContext(std::make_shared<security::Identity>(
                                security::Identity{.kind = security::Identity::kKey,
                                                   .subject = "k",
                                                   .scopes = security::ScopeSet::Admin()}),
                            std::chrono::steady_clock::now() + std::chrono::seconds(20));
  }
  template <typename T>
  T Block(Task<T> task) {
    return running_.process().runtime().Block(std::move(task));
  }

  StatusOr<catalog::v1::Product> Put(catalog::v1::Catalog& catalog, const std::string& id,
                                     const std::string& title) {
    auto context = Admin();
    catalog::v1::PutProductRequest request;
    request.mutable_product()->set_product_id(id);
    request.mutable_product()->set_title(title);
    return Block(catalog.PutProduct(context, request));
  }

  RunningProcess running_{
      config::Sources::Pairs{{"grpc.enabled", kGrpcEnabled}, {"grpc.cluster_key", "test-cluster"}}};
};

TEST_P(ThreeWays, AProductIsPutReadChangedListedAndDeleted) {
  const auto catalog = Get<catalog::v1::Catalog>();
  auto context = Admin();
  const auto put = Put(*catalog, "a/b c", "Bread");
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_FALSE(put->etag().empty());

  catalog::v1::GetProductRequest get;
  get.set_product_id("a/b c");
  const auto got = Block(catalog->GetProduct(context, get));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->SerializeAsString(), put->SerializeAsString());

  catalog::v1::UpdateProductRequest update;
  update.mutable_product()->set_product_id("a/b c");
  update.mutable_product()->set_brand("Baker");
  update.mutable_product()->set_etag(put->etag());
  update.mutable_update_mask()->add_paths("brand");
  const auto updated = Block(catalog->UpdateProduct(context, update));
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->title(), "Bread");
  EXPECT_EQ(updated->brand(), "Baker");
  const Status stale = Block(catalog->UpdateProduct(context, update)).status();
  EXPECT_EQ(stale.code(), StatusCode::kAborted);
  EXPECT_EQ(Reason(stale), reason::kEtagMismatch);

  catalog::v1::DeleteProductRequest remove;
  remove.set_product_id("a/b c");
  EXPECT_TRUE(Block(catalog->DeleteProduct(context, remove)).ok());
  EXPECT_EQ(Block(catalog->GetProduct(context, get)).status().code(), StatusCode::kNotFound);
}

TEST_P(ThreeWays, PagesCoverTheCatalogueOnceAndFiltersCount) {
  const auto catalog = Get<catalog::v1::Catalog>();
  auto context = Admin();
  catalog::v1::BatchUpsertProductsRequest batch;
  for (int i = 0; i < 25; ++i) {
    auto& product = *batch.add_products();
    product.set_product_id(fmt::format("p{:03}", i));
    product.set_title("T");
    product.add_categories(i % 5 == 0 ? "fifth" : "other");
  }
  const auto upserted = Block(catalog->BatchUpsertProducts(context, batch));
  ASSERT_TRUE(upserted.ok()) << upserted.status();
  EXPECT_EQ(upserted->created(), 25);
  const auto again = Block(catalog->BatchUpsertProducts(context, batch));
  EXPECT_EQ(again->unchanged(), 25);

  std::vector<std::string> ids;
  catalog::v1::ListProductsRequest list;
  list.set_page_size(10);
  do {
    const auto page = Block(catalog->ListProducts(context, list));
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->total_size(), 25);
    for (const auto& product : page->products()) ids.push_back(product.product_id());
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(ids.size(), 25u);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));

  catalog::v1::ListProductsRequest filtered;
  filtered.set_category("fifth");
  EXPECT_EQ(Block(catalog->ListProducts(context, filtered))->total_size(), 5);

  catalog::v1::BatchGetProductsRequest some;
  for (const char* id : {"p003", "nope", "p001"}) some.add_product_ids(id);
  const auto found = Block(catalog->BatchGetProducts(context, some));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->products(0).product_id(), "p003");
  EXPECT_THAT(found->missing_product_ids(), ElementsAre("nope"));
}

TEST_P(ThreeWays, AStreamGivesEveryProduct) {
  const auto catalog = Get<catalog::v1::Catalog>();
  for (int i = 0; i < 150; i += 50) {
    catalog::v1::BatchUpsertProductsRequest batch;
    for (int j = i; j < i + 50; ++j) {
      batch.add_products()->set_product_id(fmt::format("p{:03}", j));
      batch.mutable_products(j - i)->set_title("T");
    }
    auto context = Admin();
    ASSERT_TRUE(Block(catalog->BatchUpsertProducts(context, batch)).ok());
  }
  class Collect final : public rpc::Stream<catalog::v1::Product> {
   public:
    Task<Status> Write(const catalog::v1::Product& product) override {
      ids.push_back(product.product_id());
      co_return OkStatus();
    }
    std::vector<std::string> ids;
  } collect;
  auto context = Admin();
  const Status status = Block(catalog->ExportProducts(context, {}, collect));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(collect.ids.size(), 150u);
  EXPECT_EQ(collect.ids.back(), "p149");
}

TEST_P(ThreeWays, ErrorsKeepTheirCodeFieldsAndMessage) {
  const auto catalog = Get<catalog::v1::Catalog>();
  const Status missing_title = Put(*catalog, "x", "").status();
  EXPECT_EQ(missing_title.code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(FieldViolations(missing_title).size(), 1u) << missing_title;
  EXPECT_EQ(FieldViolations(missing_title)[0], (FieldViolation{"title", "is missing"}));
  ASSERT_TRUE(Put(*catalog, "x", "T").ok());
  auto context = Admin();
  catalog::v1::CreateProductRequest create;
  create.mutable_product()->set_product_id("x");
  create.mutable_product()->set_title("T");
  const Status exists = Block(catalog->CreateProduct(context, create)).status();
  EXPECT_EQ(exists.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(exists.message()), HasSubstr("product 'x' exists already"));
}

TEST_P(ThreeWays, AnIdempotencyKeyActsOnce) {
  const auto catalog = Get<catalog::v1::Catalog>();
  catalog::v1::CreateProductRequest create;
  create.mutable_product()->set_product_id("once");
  create.mutable_product()->set_title("T");
  auto first_context = Admin();
  first_context.idempotency_key = "key-1";
  const auto first = Block(catalog->CreateProduct(first_context, create));
  auto second_context = Admin();
  second_context.idempotency_key = "key-1";
  const auto second = Block(catalog->CreateProduct(second_context, create));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->SerializeAsString(), second->SerializeAsString());
  create.mutable_product()->set_title("U");
  auto third_context = Admin();
  third_context.idempotency_key = "key-1";
  EXPECT_EQ(Reason(Block(catalog->CreateProduct(third_context, create)).status()),
            reason::kIdempotencyKeyReused);
}

TEST_P(ThreeWays, AnEventReachesTheUsersHistoryOnce) {
  const auto ingestion = Get<ingestion::v1::Ingestion>();
  const auto profile = Get<profile::v1::Profile>();
  ingestion::v1::WriteEventsRequest events;
  for (int i = 0; i < 3; ++i) {
    auto& event = *events.add_events();
    event.set_event_id("e" + std::to_string(i));
    event.set_user_id("u");
    event.set_product_id("p");
    event.set_type("view");
    event.mutable_occurred_at()->set_seconds(1'700'000'000 + i);
  }
  for (int twice = 0; twice < 2; ++twice) {
    auto context = Admin();
    const auto written = Block(ingestion->WriteEvents(context, events));
    ASSERT_TRUE(written.ok()) << written.status();
    EXPECT_EQ(written->accepted(), 3);
  }
  profile::v1::GetHistoryRequest request;
  request.set_user_id("u");
  profile::v1::GetHistoryResponse history;
  // The consumer is asynchronous: ask until both deliveries are consumed.
  while (*running_.process().events().Lag("user-events", "profile") > 0) {
    auto context = Admin();
    ASSERT_TRUE(Block(profile->GetHistory(context, request)).ok());
  }
  auto context = Admin();
  history = *Block(profile->GetHistory(context, request));
  ASSERT_EQ(history.interactions_size(), 3);
  EXPECT_EQ(history.interactions(0).event_id(), "e2");
}

TEST_P(ThreeWays, AUserSignsInAndOutAndSeesOnlyItsOwn) {
  const auto profile = Get<profile::v1::Profile>();
  auto context = Admin();
  profile::v1::UpdateUserRequest update;
  update.mutable_user()->set_user_id("ada");
  update.mutable_user()->set_display_name("Ada");
  update.mutable_update_mask()->add_paths("display_name");
  ASSERT_TRUE(Block(profile->UpdateUser(context, update)).ok());
  profile::v1::SetPasswordRequest password;
  password.set_user_id("ada");
  password.set_password("correct horse");
  const auto set = Block(profile->SetPassword(context, password));
  ASSERT_TRUE(set.ok()) << set.status();
  profile::v1::CreateSessionRequest sign_in;
  sign_in.set_user_id("ada");
  sign_in.set_password("wrong horse");
  EXPECT_EQ(Block(profile->CreateSession(context, sign_in)).status().code(),
            StatusCode::kUnauthenticated);
  sign_in.set_password("correct horse");
  const auto session = Block(profile->CreateSession(context, sign_in));
  ASSERT_TRUE(session.ok()) << session.status();

  const auto own = profile::v1::Profile::Connect(
      testing_support::MakeJsonChannel(running_.client(), running_.url(), session->access_token()));
  profile::v1::GetUserRequest get;
  get.set_user_id("ada");
  EXPECT_EQ(Block(own->GetUser(context, get))->display_name(), "Ada");
  get.set_user_id("bob");
  EXPECT_EQ(Block(own->GetUser(context, get)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Block(own->ListUsers(context, {})).status().code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(Block(own->DeleteCurrentSession(context, {})).ok());
  get.set_user_id("ada");
  EXPECT_EQ(Block(own->GetUser(context, get)).status().code(), StatusCode::kUnauthenticated);
}

INSTANTIATE_TEST_SUITE_P(Bindings, ThreeWays, testing::ValuesIn(kWays),
                         [](const testing::TestParamInfo<Way>& info) -> std::string {
                           switch (info.param) {
                             case Way::kInProcess:
                               return "InProcess";
                             case Way::kGrpc:
                               return "Grpc";
                             case Way::kHttpJson:
                               return "HttpJson";
                           }
                           return "";
                         });

}  // namespace
}  // namespace starling
