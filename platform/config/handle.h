// Handle<T>: a section as the code that uses it sees it.
//
//   config::Handle<HttpOptions> options = registry.Section<HttpOptions>("http");
//   std::shared_ptr<const HttpOptions> now = options.Get();  // good for as long as it is held
//   config::Subscription changes =
//       options.OnChange([&](const HttpOptions& now) { limiter.SetRate(now.rate); });
//
// Get never locks and costs about 15 ns (platform/base/snapshot.h). A callback runs on the thread
// that reloads, after every section was swapped, and only when its own section changed. Once a
// Subscription is destroyed its callback does not run and will not run. Handles are cheap to copy,
// outlive the registry, and are thread-safe.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "platform/base/snapshot.h"

namespace starling::config {

// Callbacks that can be taken back. Destroying the returned object waits for a call of it on
// another thread.
class Listeners {
 public:
  using Callback = std::function<void(const void*)>;
  std::shared_ptr<void> Add(Callback callback);
  void Call(const void* value) const;

 private:
  struct State {
    // Held during calls; recursive, since a callback may end its own subscription.
    std::recursive_mutex mutex;
    std::list<std::shared_ptr<const Callback>> callbacks;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class [[nodiscard]] Subscription {
 public:
  Subscription() = default;
  explicit Subscription(std::shared_ptr<void> token) : token_(std::move(token)) {}
  void Release() { token_ = nullptr; }

 private:
  std::shared_ptr<void> token_;
};

template <typename T>
class Handle {
 public:
  std::shared_ptr<const T> Get() const { return cell_->snapshot.load(); }
  Subscription OnChange(std::function<void(const T& now)> callback) const {
    return Subscription(cell_->listeners.Add([callback = std::move(callback)](const void* value) {
      callback(*static_cast<const T*>(value));
    }));
  }

  // A section that never changes, for tests and for code that runs without a configuration.
  static Handle Fixed(T value) {
    return Handle(std::make_shared<Cell>(std::make_shared<const T>(std::move(value))));
  }

 private:
  friend class Registry;
  struct Cell {
    explicit Cell(std::shared_ptr<const T> value) : snapshot(std::move(value)) {}
    Snapshot<T> snapshot;
    Listeners listeners;
  };
  explicit Handle(std::shared_ptr<Cell> cell) : cell_(std::move(cell)) {}
  std::shared_ptr<Cell> cell_;
};

}  // namespace starling::config
