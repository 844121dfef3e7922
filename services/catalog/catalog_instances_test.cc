// Two instances of the catalogue on one database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "platform/host/test_environment.h"
#include "services/catalog/catalog_service.h"

namespace starling::catalog {
namespace {

class CatalogInstancesTest : public testing::Test {
 protected:
  void SetUp() override {
    for (auto* instance : {&a_, &b_}) {
      *instance = *CatalogService::Create(environment_.get());
      ASSERT_TRUE((*instance)->Start().ok());
    }
  }
  void TearDown() override {
    for (auto* instance : {&b_, &a_}) (*instance)->Stop();
  }
  std::string Put(CatalogService& to, const std::string& id, const std::string& title) {
    v1::PutProductRequest request;
    request.mutable_product()->set_product_id(id);
    request.mutable_product()->set_title(title);
    const auto put = environment_.Block(to.PutProduct(context_, request));
    EXPECT_TRUE(put.ok()) << put.status();
    return put.ok() ? put->etag() : "";
  }
  void Delete(CatalogService& from, const std::string& id) {
    v1::DeleteProductRequest request;
    request.set_product_id(id);
    EXPECT_TRUE(environment_.Block(from.DeleteProduct(context_, request)).ok());
  }
  // Its title; "" when it is not there.
  std::string Get(CatalogService& from, const std::string& id) {
    v1::GetProductRequest request;
    request.set_product_id(id);
    const auto product = environment_.Block(from.GetProduct(context_, request));
    return product.ok() ? product->title() : "";
  }
  // The same from memory.
  std::string Remembered(CatalogService& from, const std::string& id) {
    v1::BatchGetProductsRequest request;
    request.add_product_ids(id);
    const auto products = environment_.Block(from.BatchGetProducts(context_, request));
    return products->products_size() == 0 ? "" : products->products(0).title();
  }
  bool Comes(CatalogService& to, const std::string& id, const std::string& title) {
    const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (Remembered(to, id) != title) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  host::TestEnvironment environment_{host::TestEnvironment::Log::kFeedsViews};
  std::shared_ptr<CatalogService> a_, b_;
  rpc::CallContext context_ = rpc::CallContext::ForService("test", std::chrono::seconds(60));
};

TEST_F(CatalogInstancesTest, WhatOneAcknowledgedTheOtherReadsAtOnce) {
  for (int i = 0; i < 50; ++i) {
    const std::string title = std::to_string(i);
    Put(*a_, "p", title);
    ASSERT_EQ(Get(*b_, "p"), title);
  }
  Delete(*b_, "p");
  EXPECT_EQ(Get(*a_, "p"), "");
}

TEST_F(CatalogInstancesTest, TheMemoryOfEachFollowsBoth) {
  Put(*a_, "p", "of a");
  EXPECT_EQ(Remembered(*a_, "p"), "of a") << "one that writes has it before the answer";
  EXPECT_TRUE(Comes(*b_, "p", "of a"));
  Put(*b_, "p", "of b");
  EXPECT_TRUE(Comes(*a_, "p", "of b"));
  Delete(*a_, "p");
  EXPECT_TRUE(Comes(*b_, "p", ""));
}

TEST_F(CatalogInstancesTest, EventsThatComeLateTurnNothingBack) {
  for (int i = 0; i < 20; ++i) Put(*a_, "p", std::to_string(i));
  Delete(*a_, "p");
  Put(*a_, "q", "the last of all");
  // Its own events come back to it: none may bring the product back, nor an older state of it.
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Remembered(*b_, "q").empty() && std::chrono::steady_clock::now() < until)
    EXPECT_EQ(Remembered(*a_, "p"), "");
  EXPECT_TRUE(Comes(*b_, "p", ""));
  EXPECT_EQ(Remembered(*a_, "p"), "");
}

TEST_F(CatalogInstancesTest, OneThatStartsLateHasEverything) {
  Put(*a_, "p", "old");
  b_->Stop();
  b_ = *CatalogService::Create(environment_.get());
  Put(*a_, "p", "between its making and its start");
  ASSERT_TRUE(b_->Start().ok());
  EXPECT_EQ(Remembered(*b_, "p"), "between its making and its start");
}

}  // namespace
}  // namespace starling::catalog
