// The saga engines of a process, for the pages that show their runs.
//
// Thread-safe. An engine that is listed must live as long as a page may ask it: until the server
// of the pages has drained.
#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

namespace starling::saga {

class Engine;

class Directory {
 public:
  void Add(Engine& engine) {
    const std::lock_guard lock(mutex_);
    engines_.push_back(&engine);
  }
  void Remove(Engine& engine) {
    const std::lock_guard lock(mutex_);
    std::erase(engines_, &engine);
  }
  std::vector<Engine*> engines() const {
    const std::lock_guard lock(mutex_);
    return engines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Engine*> engines_;
};

}  // namespace starling::saga
