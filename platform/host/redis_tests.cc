// Linked into a service's tests, runs them on Redis: each test with a prefix of its own.
#include "platform/base/id.h"
#include "platform/host/test_environment.h"
#include "platform/storage/kv/redis/test_server.h"

namespace starling::host {
namespace {

const bool chosen = [] {
  TestEnvironment::make_storage = [] {
    StorageConfig storage;
    storage.kv = {.engine = KvStorageConfig::Engine::kRedis,
                  .url = config::Secret(kv::TestRedis::Get().url_text()),
                  .prefix = "test-" + NewId()};
    return storage;
  };
  return true;
}();

}  // namespace
}  // namespace starling::host
