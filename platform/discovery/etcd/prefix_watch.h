// A live copy of all keys under a prefix.
//
//   PrefixWatch watch(client, executor, "/starling/config/", [&](const Values& now) { ... });
//
// Calls with all of them once they were read, and again at each change that etcd tells, on an io
// thread, one call at a time. While etcd is away the copy stays as it is; afterwards the watch goes
// on from the revision it had got to, so no change is missed. All is read again when etcd has
// forgotten that revision (compaction), when it has another history than before (restored, or made
// anew), and every `reread`, for what neither shows.
//
// Destroying it waits for a call that runs on another thread; after that none runs.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "platform/discovery/etcd/client.h"

namespace starling::discovery::etcd {

class PrefixWatch {
 public:
  using OnChange = std::function<void(const Values&)>;
  PrefixWatch(std::shared_ptr<Client> client, const Executor& executor, std::string prefix,
              OnChange on_change, Duration reread = std::chrono::minutes(5));
  ~PrefixWatch();
  PrefixWatch(const PrefixWatch&) = delete;
  PrefixWatch& operator=(const PrefixWatch&) = delete;

  // Whether etcd answered last.
  bool connected() const;
  // How often all keys were read, and how often a watch was begun: for tests and metrics.
  uint64_t reads() const;
  uint64_t watches() const;

 private:
  struct State;
  static Task<void> Run(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace starling::discovery::etcd
