// Linked into the saga tests, runs them on PostgreSQL: each test on a database of its own.
#include "platform/saga/test_database.h"
#include "platform/storage/sql/postgres/test_server.h"

namespace starling::saga {
namespace {

const bool chosen = [] {
  TestDatabase::make_url = [] { return sql::TestServer::Get().MakeDatabase(); };
  return true;
}();

}  // namespace
}  // namespace starling::saga
