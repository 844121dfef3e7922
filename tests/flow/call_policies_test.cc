// What the configuration says of methods, as the services of a process are given it.
#include "platform/host/call_policies.h"

#include <gtest/gtest.h>

#include "contracts/catalog/v1/catalog.service.h"
#include "platform/telemetry/telemetry.h"

namespace starling::host {
namespace {

using resilience::Priority;

// Nobody calls them: only what is said of them is looked at.
class Nowhere final : public rpc::Channel {
 public:
  Task<StatusOr<std::string>> Call(const rpc::MethodDescriptor&, CallContext&,
                                   std::string) override {
    co_return Unavailable("nobody is here");
  }
  Task<Status> CallStream(const rpc::MethodDescriptor&, CallContext&, std::string,
                          rpc::ByteSink&) override {
    co_return Unavailable("nobody is here");
  }
  std::string_view target() const override { return "nowhere"; }
};

class CallPolicies : public testing::Test {
 protected:
  // A service here, behind it one that is elsewhere: any implementation is good.
  CallPolicies() {
    here_.AddLocal<catalog::v1::Catalog>(catalog::v1::Catalog::Connect(std::make_shared<Nowhere>()),
                                         telemetry_, nullptr, {});
  }
  rpc::ServiceRuntime& runtime() { return *here_.bindings().front().runtime; }
  Priority PriorityOf(std::string_view name) {
    const auto& methods = catalog::v1::Catalog::Descriptor().methods;
    for (size_t i = 0; i < methods.size(); ++i) {
      if (methods[i].name == name) return runtime().method(static_cast<int>(i)).priority.load();
    }
    ADD_FAILURE() << "no method " << name;
    return Priority::kNormal;
  }
  StatusOr<catalog::v1::Product> Get(CallContext& context) {
    return RunSync(
        [](catalog::v1::Catalog& to, CallContext& with) -> Task<StatusOr<catalog::v1::Product>> {
          const catalog::v1::GetProductRequest request;
          StatusOr<catalog::v1::Product> product = co_await to.GetProduct(with, request);
          co_return product;
        }(*here_.Get<catalog::v1::Catalog>(), context));
  }

  telemetry::Telemetry telemetry_;
  rpc::LastGoodAnswers answers_{0};
  rpc::Registry here_;
};

TEST_F(CallPolicies, PrioritiesAreTheContractsUntilTheConfigurationSaysOtherwise) {
  MethodsConfig methods;
  ASSERT_TRUE(ApplyMethods(methods, here_, answers_).ok());
  EXPECT_EQ(PriorityOf("GetProduct"), Priority::kNormal);
  EXPECT_EQ(PriorityOf("ExportProducts"), Priority::kSheddable);
  methods.policies["catalog.ExportProducts"].priority = MethodPolicyConfig::Priority::kCritical;
  methods.policies["catalog.GetProduct"].attempts = 1;
  ASSERT_TRUE(ApplyMethods(methods, here_, answers_).ok());
  EXPECT_EQ(PriorityOf("ExportProducts"), Priority::kCritical);
  EXPECT_EQ(PriorityOf("GetProduct"), Priority::kNormal);
  const std::map<std::string, Priority> expected{{"catalog.ExportProducts", Priority::kCritical}};
  EXPECT_EQ(PrioritiesOf(methods), expected);
  ASSERT_TRUE(ApplyMethods({}, here_, answers_).ok());
  EXPECT_EQ(PriorityOf("ExportProducts"), Priority::kSheddable);
}

TEST_F(CallPolicies, AFallbackIsGivenWhileTheMethodFailsAndNoLongerThanItIsConfigured) {
  MethodsConfig methods;
  methods.policies["catalog.GetProduct"].fallback = rpc::Fallback::kDefault;
  ASSERT_TRUE(ApplyMethods(methods, here_, answers_).ok());
  CallContext context = CallContext::ForService("test", std::chrono::seconds(5));
  EXPECT_TRUE(Get(context).ok());
  EXPECT_EQ(context.degraded, "catalog.GetProduct");
  ASSERT_TRUE(ApplyMethods({}, here_, answers_).ok());
  EXPECT_EQ(Get(context).status().code(), StatusCode::kUnavailable);
}

TEST_F(CallPolicies, WhatCannotBeIsNamed) {
  struct Row {
    const char* name;
    rpc::Fallback fallback;
    StatusCode code;
    const char* says;
  };
  for (const Row& row : {
           Row{"catalog.PutProduct", rpc::Fallback::kDefault, StatusCode::kInvalidArgument,
               "methods.policies.catalog.PutProduct: PutProduct changes something"},
           Row{"catalog.ExportProducts", rpc::Fallback::kLastGood, StatusCode::kInvalidArgument,
               "answers with a stream"},
           Row{"catalog.GetProdct", rpc::Fallback::kNone, StatusCode::kNotFound, "GetProduct"},
           Row{"stock.GetStock", rpc::Fallback::kNone, StatusCode::kNotFound,
               "no service of that name"},
       }) {
    MethodsConfig methods;
    methods.policies[row.name].fallback = row.fallback;
    const Status status = ApplyMethods(methods, here_, answers_);
    EXPECT_EQ(status.code(), row.code) << row.name;
    EXPECT_NE(status.message().find(row.says), std::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace starling::host
