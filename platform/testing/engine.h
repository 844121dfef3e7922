// A real server for a test: PostgreSQL, Redis, Kafka, RabbitMQ, etcd, started on a free loopback
// port and gone with the object.
//
//   auto redis = testing::Engine::Start("redis").value();
//   redis::Client client({.url = *redis::ParseUrl(redis->url())}, runtime);
//   redis->Kill();         // SIGKILL; StartAgain() brings it back on the same port, with the same
//   data
//
// tools/engines.py does the work, for these tests, for those in Python and for ./dev demo alike. An
// engine that is not installed is an error that says what to do: a test must fail by it, not be
// skipped.
//
// Used by one thread. Starting takes 0.2 s (Redis) to 6 s (Kafka, RabbitMQ): share one in a suite.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::testing {

class Engine {
 public:
  // UNAVAILABLE with what the server, or the tool, said.
  static StatusOr<std::unique_ptr<Engine>> Start(std::string_view name);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const std::string& url() const { return url_; }  // "redis://127.0.0.1:40123"
  int port() const { return port_; }
  std::string address() const;  // "127.0.0.1:40123"

  Status Stop();   // as an operator would; what it keeps stays
  Status Kill();   // at once
  Status Pause();  // as a machine that hangs: connections stay, nothing answers
  Status Resume();
  Status StartAgain();  // after Stop or Kill; returns when it answers

 private:
  Engine(int pid, int input, int output) : pid_(pid), input_(input), output_(output) {}
  StatusOr<std::string> ReadLine();
  Status Command(std::string_view command);

  int pid_;
  int input_;   // what the tool reads
  int output_;  // what it writes
  int port_ = 0;
  std::string url_;
  std::string read_;  // of its output, beyond the last line
};

}  // namespace starling::testing
