// Linked into a service's tests, runs them on PostgreSQL: each test on a database of its own.
#include "platform/host/test_environment.h"
#include "platform/storage/sql/postgres/test_server.h"

namespace starling::host {
namespace {

const bool chosen = [] {
  TestEnvironment::make_sql_storage = [] {
    return SqlStorageConfig{.url = config::Secret(sql::TestServer::Get().MakeDatabase()),
                            .services = {}};
  };
  return true;
}();

}  // namespace
}  // namespace starling::host
