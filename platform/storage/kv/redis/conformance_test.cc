#include "platform/base/id.h"
#include "platform/storage/kv/conformance/kv_conformance.h"
#include "platform/storage/kv/redis/redis_store.h"
#include "platform/storage/kv/redis/test_server.h"

namespace starling::kv {
namespace {

class NewName final : public Location {
 public:
  StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime, const Clock& clock) override {
    auto client =
        std::make_shared<redis::Client>(redis::Options{.url = TestRedis::Get().url()}, runtime);
    return OpenRedis(std::move(client), {.name = name_}, clock);
  }

 private:
  const std::string name_ = "test/" + NewId();
};

INSTANTIATE_TEST_SUITE_P(
    Redis, KvConformance,
    testing::Values(Adapter{"redis", [] { return std::make_unique<NewName>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

}  // namespace
}  // namespace starling::kv
