// A client of etcd (3.4 and later) over its JSON gateway: leases, keys, watches.
//
//   auto client = std::make_shared<Client>(runtime, ClientOptions{.urls =
//   {"http://10.0.0.5:2379"}}); StatusOr<int64_t> lease = co_await
//   client->Grant(std::chrono::seconds(10)); Status put = co_await
//   client->Put({{"/starling/services/catalog/a", value}}, *lease); StatusOr<RangeAnswer> all =
//   co_await client->Range("/starling/services/");
//
// A call that finds nobody at one URL goes to the next, and the next call begins where this one was
// answered; UNAVAILABLE when none answers, etcd's own code otherwise. Nothing else is tried again.
// Thread-safe. Shared with the coroutines that use it; its Runtime outlives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/async/cancellation.h"
#include "platform/async/runtime.h"
#include "platform/discovery/etcd/wire.h"
#include "platform/http/client.h"

namespace starling::discovery::etcd {

struct ClientOptions {
  std::vector<std::string> urls;               // "http://127.0.0.1:2379", at least one
  Duration timeout = std::chrono::seconds(3);  // of one call to one URL
  Duration quiet = std::chrono::seconds(30);   // a watch that says nothing for so long ends
};

// INVALID_ARGUMENT says what is wrong with which URL.
Status CheckUrls(const std::vector<std::string>& urls);

class Client {
 public:
  Client(Runtime& runtime, ClientOptions options);

  Task<StatusOr<RangeAnswer>> Range(std::string prefix);
  // All or none. NOT_FOUND when the lease is no more.
  Task<Status> Put(Values values, int64_t lease = 0);
  Task<Status> Delete(std::string key);
  // Rounded to seconds. etcd may give a longer one than asked for.
  Task<StatusOr<int64_t>> Grant(Duration ttl);
  // False: it is no more.
  Task<StatusOr<bool>> KeepAlive(int64_t lease);
  Task<Status> Revoke(int64_t lease);
  // Every lease that there is, and what is before a revision forgotten: an operator's work.
  Task<StatusOr<std::vector<int64_t>>> Leases();
  Task<Status> Compact(int64_t revision);

  // Every change of keys that begin with `prefix`, from a revision on, until `on_answer` gives an
  // error, it is cancelled, or the connection ends: gives why, DEADLINE_EXCEEDED when it was quiet.
  // `on_answer` runs on an io thread.
  Task<Status> Watch(std::string prefix, int64_t revision,
                     std::function<Status(WatchAnswer)> on_answer, CancellationToken until);

 private:
  Task<StatusOr<std::string>> Call(std::string_view path, std::string body);

  const ClientOptions options_;
  http::Client http_;
  std::atomic<size_t> at_{0};  // of the URL that answered last
};

}  // namespace starling::discovery::etcd
