#include "platform/storage/sql/postgres/test_server.h"

#include <libpq-fe.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "platform/testing/engine.h"

namespace starling::sql {
namespace {

[[noreturn]] void Stop(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}

}  // namespace

struct TestServer::State {
  std::unique_ptr<testing::Engine> engine;
  std::atomic<int> made{0};
};

TestServer::TestServer() : state_(std::make_unique<State>()) {
  auto engine = testing::Engine::Start("postgres");
  if (!engine.ok()) Stop(engine.status().ToString());
  state_->engine = *std::move(engine);
}

TestServer::~TestServer() = default;

TestServer& TestServer::Get() {
  static TestServer server;
  return server;
}

Status TestServer::Kill() { return state_->engine->Kill(); }
Status TestServer::Pause() { return state_->engine->Pause(); }
Status TestServer::Resume() { return state_->engine->Resume(); }
Status TestServer::StartAgain() { return state_->engine->StartAgain(); }

std::string TestServer::MakeDatabase() {
  const std::string name = "test_" + std::to_string(++state_->made);
  const std::string& url = state_->engine->url();
  Run(url, "CREATE DATABASE " + name);
  return url.substr(0, url.rfind('/') + 1) + name;
}

void TestServer::Run(const std::string& url, const std::string& sql) {
  PGconn* const connection = PQconnectdb(url.c_str());
  PGresult* const result = PQexec(connection, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    Stop(sql + ": " + PQerrorMessage(connection));
  PQclear(result);
  PQfinish(connection);
}

}  // namespace starling::sql
