// A client of Redis, one server or a cluster.
//
//   redis::Client client({.url = *redis::ParseUrl("redis://127.0.0.1:6379")}, runtime);
//   StatusOr<redis::Reply> reply = co_await client.Call(key, redis::Command({"GET", key}));
//
//   const redis::Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
//   reply = co_await client.Run(script, std::array{key}, std::array{amount});
//
// A connection a node and io thread; calls go out on their caller's thread, pipelined. Which node
// has a key is learned from the cluster (MOVED, ASK, CLUSTER SLOTS); keys of one command must be in
// one slot, which a hash tag sees to: {tag}.
//
// Errors: UNAVAILABLE the server is gone, hangs, loads its data or is overloaded (at most
// max_waiting calls wait on a connection, beyond is OVERLOADED); with it nobody knows whether the
// command was carried out. Others as StatusOfError has them. Every call ends within connect_timeout
// and call_timeout; while the server is gone, at once. Nothing is sent twice but what a node
// refused.
//
// Thread-safe. A call costs a few us beside the server's time; from a thread that is none of the
// runtime's, two hops more. The client must end after its calls; its runtime after it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/storage/redis/reply.h"
#include "platform/storage/redis/url.h"

namespace starling::redis {

struct Options {
  Url url;
  Duration connect_timeout = std::chrono::seconds(2);
  Duration call_timeout = std::chrono::seconds(5);
  size_t max_waiting = 8192;
  size_t max_waiting_bytes = 256 << 20;
};

// Lua that the server keeps by its SHA-1, so that the text is sent once.
class Script {
 public:
  explicit Script(std::string_view text);
  const std::string& text() const { return text_; }
  const std::string& sha() const { return sha_; }

 private:
  const std::string text_;
  const std::string sha_;
};

class Client {
 public:
  Client(Options options, Runtime& runtime);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `key` says which node of a cluster is asked.
  Task<StatusOr<Reply>> Call(std::string_view key, std::string command);
  // The keys are in one slot. Views live until it returns.
  Task<StatusOr<Reply>> Run(const Script& script, std::span<const std::string_view> keys,
                            std::span<const std::string_view> arguments);

  const std::string& shown() const { return shown_; }

 private:
  class Lane;
  Task<StatusOr<Reply>> Send(uint16_t slot, const std::string& command);

  Runtime& runtime_;
  const std::string shown_;
  std::vector<std::shared_ptr<Lane>> lanes_;  // of each io thread
};

}  // namespace starling::redis
