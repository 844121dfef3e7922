// Linked into a service's tests, runs them on PostgreSQL: each test on a database of its own.
#include "platform/host/test_environment.h"
#include "platform/storage/sql/postgres/test_server.h"

namespace starling::host {
namespace {

const bool chosen = [] {
  TestEnvironment::make_storage = [] {
    StorageConfig storage;
    storage.sql.url = config::Secret(sql::TestServer::Get().MakeDatabase());
    return storage;
  };
  return true;
}();

}  // namespace
}  // namespace starling::host
