// The fixture of a service's own tests: the service, started, on a TestEnvironment.
//
//   class CatalogServiceTest : public host::ServiceTest<CatalogService> {};
//   TEST_F(CatalogServiceTest, GivesWhatWasPut) {
//     const auto product = Block(service_->GetProduct(context_, request));
//   }
//
// Close() ends the service as a process does, so that what its outbox holds reaches the log; Open()
// starts it again on the same files.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "platform/host/test_environment.h"

namespace starling::host {

template <typename Service>
class ServiceTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override { Close(); }
  void Open() {
    auto made = Service::Create(environment_.get());
    ASSERT_TRUE(made.ok()) << made.status();
    service_ = *std::move(made);
    ASSERT_TRUE(service_->Start().ok());
  }
  void Close() {
    if (service_ != nullptr) service_->Stop();
    service_.reset();
  }
  template <typename T>
  T Block(Task<T> task) {
    return environment_.Block(std::move(task));
  }

  TestEnvironment environment_;
  std::shared_ptr<Service> service_;
  rpc::CallContext context_ = rpc::CallContext::ForService("test", std::chrono::seconds(60));
};

}  // namespace starling::host
