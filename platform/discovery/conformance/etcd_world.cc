#include "platform/discovery/conformance/etcd_world.h"

#include "platform/discovery/conformance/suite.h"
#include "platform/discovery/etcd/etcd_resolver.h"

namespace starling::discovery {
namespace {

// Its own prefix in the etcd that all tests of this binary share.
class EtcdWorld final : public World {
 public:
  EtcdWorld() : prefix_(fmt::format("/starling/test{}/services/", ++worlds_)) {}
  ~EtcdWorld() override { runtime_.Stop(); }

  std::unique_ptr<Resolver> MakeResolver(Runtime& runtime) override {
    return std::make_unique<EtcdResolver>(
        runtime, EtcdResolverOptions{.urls = {SharedEtcd().url()}, .prefix = prefix_});
  }
  void Serve(const std::string& service, std::vector<Endpoint> endpoints) override {
    const std::string prefix = prefix_ + service + "/";
    const auto before = runtime_.Block(client_->Range(prefix));
    ASSERT_TRUE(before.ok()) << before.status();
    etcd::Values now;
    for (const Endpoint& endpoint : endpoints) {
      now[prefix + endpoint.instance] = etcd::WriteRegistered({.address = endpoint.address,
                                                               .zone = endpoint.zone,
                                                               .contract = endpoint.contract,
                                                               .weight = endpoint.weight});
    }
    for (const auto& [key, value] : before->values) {
      if (!now.contains(key)) {
        EXPECT_TRUE(runtime_.Block(client_->Delete(key)).ok());
      }
    }
    EXPECT_TRUE(now.empty() || runtime_.Block(client_->Put(now)).ok());
  }
  void Break() override { ASSERT_TRUE(SharedEtcd().Kill().ok()); }
  void Mend() override { ASSERT_TRUE(SharedEtcd().StartAgain().ok()); }

 private:
  static inline int worlds_ = 0;
  const std::string prefix_;
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  const std::shared_ptr<etcd::Client> client_ =
      std::make_shared<etcd::Client>(runtime_, etcd::ClientOptions{.urls = {SharedEtcd().url()}});
};

std::unique_ptr<testing::Engine> shared;

}  // namespace

testing::Engine& SharedEtcd() {
  if (shared == nullptr) {
    auto started = testing::Engine::Start("etcd");
    if (!started.ok()) {
      ADD_FAILURE() << started.status();
      std::abort();  // a server that is not there fails the test
    }
    shared = *std::move(started);
  }
  return *shared;
}

std::unique_ptr<World> MakeEtcdWorld() { return std::make_unique<EtcdWorld>(); }

}  // namespace starling::discovery
