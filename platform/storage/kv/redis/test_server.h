// A real Redis for tests, started once a test binary, and commands on it as its operator would give
// them.
//
//   kv::TestRedis& server = kv::TestRedis::Get();
//   redis::Url url = server.url();
//   server.Tell({"CONFIG", "SET", "maxmemory", "1mb"});
//
// For tests alone: what fails ends the process with the reason. Used by one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/storage/redis/url.h"

namespace starling::kv {

class TestRedis {
 public:
  static TestRedis& Get();
  explicit TestRedis(std::string_view engine = "redis");  // or "redis-cluster", of three nodes
  ~TestRedis();
  const std::string& url_text() const;
  redis::Url url() const { return redis::ParseUrl(url_text()).value(); }
  // As testing/engine.h has them.
  Status Kill();
  Status Pause();
  Status Resume();
  Status StartAgain();
  std::string Tell(const std::vector<std::string>& words) const {
    return Tell(url().addresses.front(), words);
  }
  // What the server at an address answers: text, or a number as text.
  static std::string Tell(const redis::Address& server, const std::vector<std::string>& words);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace starling::kv
