// Registration in a real etcd that is killed, hung, and made to forget.
#include "platform/discovery/etcd/etcd_registrar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/discovery/conformance/etcd_world.h"
#include "platform/discovery/conformance/suite.h"

namespace starling::discovery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::IsEmpty;

class EtcdRegistrarTest : public ::testing::Test {
 protected:
  EtcdRegistrarTest() : prefix_(fmt::format("/starling/registrar{}/", ++tests_)) {}
  ~EtcdRegistrarTest() override {
    resolver_.reset();
    registrar_.reset();
    runtime_.Stop();
  }

  Instance Process(std::string id = "p1") {
    return {.id = std::move(id),
            .address = "127.0.0.1:9001",
            .zone = "x",
            .contracts = {{"catalog", "digest"}, {"profile", ""}}};
  }
  Status Register(Instance instance) {
    return runtime_.Block(registrar_->Register(std::move(instance)));
  }
  etcd::Values Stored() {
    auto range = runtime_.Block(client_->Range(prefix_));
    EXPECT_TRUE(range.ok()) << range.status();
    return range.ok() ? range->values : etcd::Values();
  }
  template <typename Condition>
  bool Eventually(Condition condition) {
    for (int i = 0; i < 1500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }

  static inline int tests_ = 0;
  const std::string prefix_;
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  const std::shared_ptr<etcd::Client> client_ =
      std::make_shared<etcd::Client>(runtime_, etcd::ClientOptions{.urls = {SharedEtcd().url()}});
  std::unique_ptr<EtcdRegistrar> registrar_ = std::make_unique<EtcdRegistrar>(
      runtime_, EtcdRegistrarOptions{.urls = {SharedEtcd().url()},
                                     .prefix = prefix_,
                                     .ttl = seconds(2),
                                     .timeout = milliseconds(1500)});
  std::unique_ptr<EtcdResolver> resolver_ = std::make_unique<EtcdResolver>(
      runtime_, EtcdResolverOptions{.urls = {SharedEtcd().url()}, .prefix = prefix_});
};

const Endpoint kRegistered = {
    .address = "127.0.0.1:9001", .zone = "x", .instance = "p1", .contract = "digest", .weight = 1};

TEST_F(EtcdRegistrarTest, RegistersEachServiceUntilItIsTakenBack) {
  Heard heard;
  const auto watch = resolver_->Watch("catalog", heard.Callback());
  ASSERT_TRUE(watch.ok());
  EXPECT_TRUE(heard.Becomes({}));
  ASSERT_TRUE(Register(Process()).ok());
  EXPECT_TRUE(heard.Becomes({kRegistered}));
  EXPECT_EQ(Stored().size(), 2u);
  EXPECT_TRUE(runtime_.Block(registrar_->Deregister()).ok());
  EXPECT_TRUE(heard.Becomes({}));
  EXPECT_THAT(Stored(), IsEmpty());
  EXPECT_TRUE(runtime_.Block(registrar_->Deregister()).ok());  // nothing is registered
}

TEST_F(EtcdRegistrarTest, IsRegisteredOnceAtATimeAndMayBeAgain) {
  ASSERT_TRUE(Register(Process()).ok());
  EXPECT_EQ(Register(Process("p2")).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(runtime_.Block(registrar_->Deregister()).ok());
  ASSERT_TRUE(Register(Process("p3")).ok());
  EXPECT_EQ(Stored().begin()->first, prefix_ + "catalog/p3");
}

TEST_F(EtcdRegistrarTest, RefusesWhatItCannotKeep) {
  Instance no_service = Process();
  no_service.contracts.clear();
  Instance bad_address = Process();
  bad_address.address = "127.0.0.1";
  Instance bad_id = Process("a/b");
  Instance no_weight = Process();
  no_weight.weight = 0;
  for (const Instance& bad : {no_service, bad_address, bad_id, no_weight})
    EXPECT_EQ(Register(bad).code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Stored(), IsEmpty());
}

TEST_F(EtcdRegistrarTest, StaysForLongerThanItsLease) {
  ASSERT_TRUE(Register(Process()).ok());
  std::this_thread::sleep_for(seconds(4));  // of a lease of two: kept alive, or gone
  EXPECT_EQ(Stored().size(), 2u);
  EXPECT_EQ(registrar_->registrations(), 1u);
}

TEST_F(EtcdRegistrarTest, IsGoneWithItsLeaseWhenTheProcessDies) {
  Heard heard;
  const auto watch = resolver_->Watch("catalog", heard.Callback());
  ASSERT_TRUE(Register(Process()).ok());
  ASSERT_TRUE(heard.Becomes({kRegistered}));
  registrar_.reset();  // without Deregister: all that a killed process does
  EXPECT_TRUE(heard.Becomes({}));
}

TEST_F(EtcdRegistrarTest, RegistersAgainWhenItsLeaseWasLost) {
  ASSERT_TRUE(Register(Process()).ok());
  Heard heard;
  const auto watch = resolver_->Watch("catalog", heard.Callback());
  ASSERT_TRUE(heard.Becomes({kRegistered}));
  // A process that hung for longer than its lease: etcd has taken all away.
  for (const auto& [key, value] : Stored()) EXPECT_TRUE(runtime_.Block(client_->Delete(key)).ok());
  auto leases = runtime_.Block(client_->Leases());
  ASSERT_TRUE(leases.ok());
  for (const int64_t lease : *leases) (void)runtime_.Block(client_->Revoke(lease));
  EXPECT_TRUE(Eventually([&] { return registrar_->registrations() == 2; }));
  EXPECT_TRUE(heard.Becomes({kRegistered}));
}

TEST_F(EtcdRegistrarTest, SurvivesAnEtcdThatIsKilledAndOneThatHangs) {
  ASSERT_TRUE(Register(Process()).ok());
  Heard heard;
  const auto watch = resolver_->Watch("catalog", heard.Callback());
  ASSERT_TRUE(heard.Becomes({kRegistered}));
  ASSERT_TRUE(SharedEtcd().Kill().ok());
  std::this_thread::sleep_for(seconds(3));  // longer than the lease
  ASSERT_TRUE(SharedEtcd().StartAgain().ok());
  EXPECT_TRUE(Eventually([&] { return Stored().size() == 2; }));
  ASSERT_TRUE(SharedEtcd().Pause().ok());
  std::this_thread::sleep_for(seconds(1));
  ASSERT_TRUE(SharedEtcd().Resume().ok());
  EXPECT_TRUE(Eventually([&] { return Stored().size() == 2; }));
  EXPECT_TRUE(heard.Becomes({kRegistered}));
}

TEST_F(EtcdRegistrarTest, GoesOnTryingWhenEtcdWasAwayAtTheStart) {
  ASSERT_TRUE(SharedEtcd().Kill().ok());
  EXPECT_EQ(Register(Process()).code(), StatusCode::kUnavailable);
  ASSERT_TRUE(SharedEtcd().StartAgain().ok());
  EXPECT_TRUE(Eventually([&] { return Stored().size() == 2; }));
}

TEST_F(EtcdRegistrarTest, ATwinOfADeadUrlIsFound) {
  EtcdRegistrar twin(
      runtime_, {.urls = {"http://127.0.0.1:1", SharedEtcd().url()}, .prefix = prefix_ + "twin/"});
  EXPECT_TRUE(runtime_.Block(twin.Register(Process())).ok());
  EXPECT_EQ(Stored().size(), 2u);
  EXPECT_TRUE(runtime_.Block(twin.Deregister()).ok());
}

}  // namespace
}  // namespace starling::discovery
