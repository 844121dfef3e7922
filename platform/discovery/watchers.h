// The watches of an adapter: who wants to hear of which service, and what was last said of it. It
// keeps what resolver.h promises, so that an adapter only says what it learns.
//
//   std::unique_ptr<Watch> watch = watchers.Add("catalog", on_change);   // told at once, if known
//   watchers.Set("catalog", endpoints);                                  // tells those who watch
//
// Thread-safe. Calls run on the thread that calls Add or Set.
#pragma once

#include <list>
#include <map>
#include <mutex>
#include <optional>

#include "platform/discovery/resolver.h"

namespace starling::discovery {

class Watchers {
 public:
  Watchers();
  ~Watchers();
  Watchers(const Watchers&) = delete;
  Watchers& operator=(const Watchers&) = delete;

  std::unique_ptr<Watch> Add(const std::string& service, Resolver::OnChange on_change);
  // The list, in any order. Nothing happens when it is the one that was set last.
  void Set(const std::string& service, std::vector<Endpoint> endpoints);
  // What was set last; nullopt when nothing was.
  std::optional<std::vector<Endpoint>> Get(const std::string& service) const;

 private:
  struct Watcher;
  struct State;
  class Held;
  std::shared_ptr<State> state_;
};

}  // namespace starling::discovery
