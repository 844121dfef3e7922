// A real PostgreSQL for tests, started once a test binary, and empty databases on it.
//
//   sql::TestServer& server = sql::TestServer::Get();
//   auto database = sql::Database::Open({.url = server.MakeDatabase(), .schema = "catalog"}, ...);
//
// For tests alone: what fails ends the process with the reason. MakeDatabase and Run are
// thread-safe.
#pragma once

#include <memory>
#include <string>

#include "platform/base/status.h"

namespace starling::sql {

class TestServer {
 public:
  static TestServer& Get();
  // The URL of a database that nobody has used; 50 ms.
  std::string MakeDatabase();
  // Runs statements on the database of a URL, as its operator would.
  static void Run(const std::string& url, const std::string& sql);
  // As testing/engine.h has them.
  Status Kill();
  Status Pause();
  Status Resume();
  Status StartAgain();

 private:
  struct State;
  TestServer();
  ~TestServer();
  const std::unique_ptr<State> state_;
};

}  // namespace starling::sql
